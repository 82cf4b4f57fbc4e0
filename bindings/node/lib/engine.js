'use strict';

/* The engine: an open ledger, its charges, holds, prices and balances. */

const fs = require('node:fs');

const { Payment } = require('./context');
const { failureOf, refuse } = require('./errors');
const { meterFunction, meterFunctionSync } = require('./functions');
const { Hold, asyncDispose, dispose } = require('./hold');
const { decodeJson, encodeJson } = require('./json');
const { native } = require('./library');
const { textOf } = require('./money');
const { openCall } = require('./opening');
const requests = require('./requests');
const webhooks = require('./webhooks');

const ACCOUNT = new Set(['wallet', 'creditLine', 'asset']);
const DEPOSIT = new Set(['asset', 'key', 'description']);
const RUN = new Set(['payer', 'call', 'asset', 'from']);
const PAYING = new Set(['run', 'onReceipt']);
const RATES = new Set(['name', 'source', 'dryRun']);
const token = Symbol('open');
const uncloneable = Symbol('An engine is not copied: open its ledger again in the other thread. It');
const inspect = Symbol.for('nodejs.util.inspect.custom');

/** An open ledger. */
class Farebox {
  constructor(given, core, options) {
    if (given !== token) throw new TypeError('Farebox.open or Farebox.openSync makes an engine');
    Object.defineProperty(this, 'core', { value: core });
    this.url = this.callSync('engine.describe').address;
    this.defaultAsset = core.defaultAsset;
    core.learnDefault();
    this.defaultOwner = options.defaultOwner ?? null;
    // A structured clone refuses a symbol, and would else make an empty object.
    this.uncloneable = uncloneable;
  }

  // ---- Open and close ----

  static async open(url = 'farebox.db', options = undefined) {
    const call = openCall(url, options);
    const { open } = require('./core');
    return opened(await open(call.texts, call.numbers, call.clock), call);
  }

  static openSync(url = 'farebox.db', options = undefined) {
    const call = openCall(url, options);
    const { openSync } = require('./core');
    return opened(openSync(call.texts, call.numbers, call.clock), call);
  }

  async close() {
    if (!this.core.closed) await this.core.close();
  }

  closeSync() {
    if (!this.core.closed) this.core.closeSync();
  }

  get closed() {
    return this.core.closed;
  }

  [dispose]() {
    this.closeSync();
  }

  async [asyncDispose]() {
    await this.close();
  }

  [inspect]() {
    return `<Farebox ${this.url}${this.closed ? ' closed' : ''}>`;
  }

  toJSON() {
    return { url: this.url, defaultAsset: this.defaultAsset, defaultOwner: this.defaultOwner, closed: this.closed };
  }

  // ---- Charges and holds ----

  async charge(payer, request) {
    const plan = this.core.plan(() => requests.chargePlan(this.core, payer, request));
    return this.core.charge(plan instanceof Promise ? await plan : plan);
  }

  chargeSync(payer, request) {
    return this.core.chargeSync(requests.chargePlan(this.core, payer, request));
  }

  async chargeMany(list) {
    // A plan may be made again, and an iterable gives its items once.
    const given = typeof list?.[Symbol.iterator] === 'function' ? [...list] : list;
    const plans = await this.core.plan(() => requests.manyPlans(this.core, given));
    return plans.length === 0 ? [] : this.core.chargeMany(plans);
  }

  chargeManySync(list) {
    const plans = requests.manyPlans(this.core, list);
    return plans.length === 0 ? [] : this.core.chargeManySync(plans);
  }

  async reserve(payer, request) {
    const plan = await this.core.plan(() => requests.reservePlan(this.core, payer, request));
    return new Hold(this, await this.core.reserve(plan));
  }

  reserveSync(payer, request) {
    return new Hold(this, this.core.reserveSync(requests.reservePlan(this.core, payer, request)));
  }

  async increase(hold, amount, options) {
    return this.core.increase(await this.core.plan(() => requests.increasePlan(this.core, hold, amount, options)));
  }

  increaseSync(hold, amount, options) {
    return this.core.increaseSync(requests.increasePlan(this.core, hold, amount, options));
  }

  async capture(hold, request) {
    return this.core.capture(await this.core.plan(() => requests.capturePlan(this.core, hold, request)));
  }

  captureSync(hold, request) {
    return this.core.captureSync(requests.capturePlan(this.core, hold, request));
  }

  async release(hold) {
    return this.core.release(requests.holdPlan(hold));
  }

  releaseSync(hold) {
    return this.core.releaseSync(requests.holdPlan(hold));
  }

  async extend(hold, expiresInMs) {
    return this.core.extend(requests.holdPlan(hold, expiresInMs ?? null));
  }

  extendSync(hold, expiresInMs) {
    return this.core.extendSync(requests.holdPlan(hold, expiresInMs ?? null));
  }

  // ---- Prices and balances ----

  async priceTool(tool, options) {
    return this.core.priceTool(await this.core.plan(() => requests.pricePlan(this.core, tool, options)));
  }

  priceToolSync(tool, options) {
    return this.core.priceToolSync(requests.pricePlan(this.core, tool, options));
  }

  async balance(account, asset) {
    return this.core.balance(account, asset ?? this.defaultAsset);
  }

  balanceSync(account, asset) {
    return this.core.balanceSync(account, asset ?? this.defaultAsset);
  }

  async tick() {
    return this.core.tick();
  }

  tickSync() {
    return this.core.tickSync();
  }

  // ---- Accounts, skills, webhooks, everything else ----

  async openAccount(account, options) {
    return this.call('account.open', await this.core.plan(() => accountFields(this.core, account, options)));
  }

  openAccountSync(account, options) {
    return this.callSync('account.open', accountFields(this.core, account, options));
  }

  async deposit(account, amount, options) {
    const fields = await this.core.plan(() => depositFields(this.core, account, amount, options));
    return this.call('account.deposit', fields);
  }

  depositSync(account, amount, options) {
    return this.callSync('account.deposit', depositFields(this.core, account, amount, options));
  }

  async runCost(run, options) {
    return this.call('run.cost', { ...requests.optionsOf(options, RUN), run });
  }

  runCostSync(run, options) {
    return this.callSync('run.cost', { ...requests.optionsOf(options, RUN), run });
  }

  async registerSkill(manifest) {
    const body = isPath(manifest)
      ? manifestBody(await fs.promises.readFile(manifest, 'utf8'))
      : encodeJson({ manifest });
    this.core.toolAssets.clear();
    return this.core.call('skill.register', body);
  }

  registerSkillSync(manifest) {
    const body = isPath(manifest) ? manifestBody(fs.readFileSync(manifest, 'utf8')) : encodeJson({ manifest });
    this.core.toolAssets.clear();
    return this.core.callSync('skill.register', body);
  }

  async importRates(format, data, options) {
    const rates = isPath(data) ? await fs.promises.readFile(data) : data;
    return this.core.call('rate_card.import', ratesBody(format, rates, options));
  }

  importRatesSync(format, data, options) {
    const rates = isPath(data) ? fs.readFileSync(data) : data;
    return this.core.callSync('rate_card.import', ratesBody(format, rates, options));
  }

  async verifyWebhook(body, headers, secrets, options) {
    return webhooks.verify(this.core, body, headers, secrets, options);
  }

  verifyWebhookSync(body, headers, secrets, options) {
    return webhooks.verifySync(this.core, body, headers, secrets, options);
  }

  async callTool(payer, tool, input, options) {
    return this.core.callTool(await this.core.plan(() => requests.toolPlan(this.core, payer, tool, input, options)));
  }

  callToolSync(payer, tool, input, options) {
    return this.core.callToolSync(requests.toolPlan(this.core, payer, tool, input, options));
  }

  async meterFunction(options) {
    return meterFunction(this, options);
  }

  meterFunctionSync(options) {
    return meterFunctionSync(this, options);
  }

  async call(operation, fields = {}) {
    return this.core.call(operation, encodeJson(withHolds(fields)));
  }

  callSync(operation, fields = {}) {
    return this.core.callSync(operation, encodeJson(withHolds(fields)));
  }

  paying(payer, options, work) {
    const bare = typeof options === 'function';
    const { run, onReceipt } = requests.optionsOf(bare ? undefined : options, PAYING);
    const payment = new Payment(this, payer, run ?? undefined, onReceipt ?? undefined);
    const inner = bare ? options : work;
    return inner === undefined ? payment : payment.enter(inner);
  }
}

/* ---- What the calls above are made of ---- */

function opened(handle, call) {
  const { Core } = require('./core');
  return new Farebox(token, new Core(handle, call.defaultAsset), call.options);
}

function accountFields(core, account, given) {
  const { wallet, creditLine, asset } = requests.optionsOf(given, ACCOUNT);
  const fields = { account };
  if (wallet != null) fields.wallet = wallet;
  if (creditLine != null) {
    fields.asset = asset ?? core.defaultAsset;
    fields.credit_line = textOf(creditLine, 'creditLine', () => core.scale(fields.asset));
  }
  return fields;
}

function depositFields(core, account, amount, given) {
  const { asset = core.defaultAsset, key, description } = requests.optionsOf(given, DEPOSIT);
  const text = textOf(amount, 'amount', () => core.scale(asset));
  return { account, amount: text, asset, idempotency_key: key, description };
}

function isPath(manifest) {
  return typeof manifest === 'string' || manifest instanceof URL;
}

/* The file's own text goes to the engine, so that each digit of a price stays as it was typed. */
/** JSON text that is passed on as it is, so that its numbers stay as they are written. */
function checked(text, field) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw refuse('INVALID_JSON', error.message, field);
  }
  return text;
}

function manifestBody(text) {
  return `{"manifest":${checked(text, 'manifest')}}`;
}

function ratesBody(format, text, options) {
  const { name, source, dryRun } = requests.optionsOf(options, RATES);
  const fields = encodeJson({ format, name, source, dry_run: dryRun });
  const data = text instanceof Uint8Array ? Buffer.from(text).toString() : text;
  return `${fields.slice(0, -1)},"data":${typeof data === 'string' ? checked(data, 'data') : encodeJson(data, 'data')}}`;
}

function withHolds(fields) {
  const isHold = (value) => value instanceof Hold;
  if (fields === null || typeof fields !== 'object' || !Object.values(fields).some(isHold)) return fields;
  const plain = Object.entries(fields).map(([name, value]) => [name, isHold(value) ? value.id : value]);
  return Object.fromEntries(plain);
}

/** Says what plugins this process may load; it may be called again to allow less. */
function setPluginPolicy(policy) {
  const failure = native().setPluginPolicySync(null, new BigInt64Array(1), [encodeJson(policy, 'policy')]);
  if (failure !== undefined) throw failureOf(failure, true);
}

/** Describes the library: version, statuses, limits, and each operation with its fields, errors and a doc line. */
function describe() {
  const answer = native().describeSync(null, new BigInt64Array(1), []);
  if (typeof answer !== 'string') throw failureOf(answer);
  return decodeJson(answer);
}

module.exports = { Farebox, describe, setPluginPolicy };
