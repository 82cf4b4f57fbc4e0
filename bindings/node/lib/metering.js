'use strict';

/* One metered tool: what its price says, and the two ends of a call of it. The library decides what is held, what the
 * call's key is and what each ending costs; here it is told what is known before the call and what happened in it. */

const { createHash } = require('node:crypto');

const { canonical } = require('./canonical');
const { CallScope, Payment, ordinalOf, storage } = require('./context');
const { REQUESTS, counterOf, meterOf, pricePer } = require('./counting');
const { FareboxError, refuse } = require('./errors');
const { encodeJson } = require('./json');
const { textOf, toUnits } = require('./money');
const { durabilityOf, millisecondsOf } = require('./requests');
const { METERS, usageText, word } = require('./usage');

const CALL_AMOUNT_GIVEN = 1;
const CALL_MAX_COST_GIVEN = 2;
const CALL_CHARGE_AFTERWARDS = 4;
const CALL_RELEASE_UNREPORTED = 8;
const FINISH_DELIVERED = 1;
const FINISH_AMOUNT = 2;
const ENDING = { RETURNED: 0, REPORTED_FAILURE: 1, FAILED: 2, LEFT: 3 };

function missingPayer() {
  const message = 'Nobody pays for this call: call it inside engine.paying(account, fn), or give payer and engine.';
  return refuse('MISSING_FIELD', message, 'payer');
}

function stated(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null));
}

function functionOrNone(value, field) {
  if (value !== undefined && typeof value !== 'function') {
    throw refuse('INVALID_ARGUMENT', `${field} is a function.`, field);
  }
  return value;
}

function flagOf(value, field) {
  if (value !== undefined && typeof value !== 'boolean') {
    throw refuse('INVALID_ARGUMENT', `${field} is true or false.`, field);
  }
  return value === true;
}

function stringOrNone(value, field) {
  if (value !== undefined && (typeof value !== 'string' || value === '')) {
    throw refuse('INVALID_ARGUMENT', `${field} is a string that is not empty.`, field);
  }
  return value;
}

function warn(message) {
  process.emitWarning(message, { type: 'FareboxWarning', code: 'FAREBOX_CALL' });
}

function said(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Whether a tool's result says that it failed, as MCP results do with `isError` or `is_error`. */
function isFailedResult(result) {
  if (result === null || typeof result !== 'object') return false;
  try {
    if (result.isError === true || result.is_error === true) return true;
    return result instanceof Map && (result.get('isError') === true || result.get('is_error') === true);
  } catch {
    return false; // it does not let itself be asked
  }
}

/* Names the meter of a price with several of them. */
function meterNamed(name) {
  const meter = meterOf(name);
  if (name === 'token' || name === 'tokens') {
    const message = `A price with several meters names the class of each token, such as input_token and output_token.`;
    throw refuse('INVALID_ARGUMENT', message, `cost.${name}`);
  }
  return word(meter);
}

/* The costs of a price with several meters, as text by their names. */
function costsOf(cost) {
  const costs = Object.entries(cost).filter(([, value]) => value != null);
  const meters = costs.map(([name]) => meterNamed(name));
  if (costs.length === 0 || new Set(meters).size < meters.length) {
    const message = `A price with several meters has one cost for each: ${METERS.map(word).join(', ')}.`;
    throw refuse('INVALID_ARGUMENT', message, 'cost');
  }
  return Object.freeze(Object.fromEntries(costs.map(([name, value]) => [name, textOf(value, `cost.${name}`)])));
}

/** One metered tool: its price metadata, and the two ends of a call. */
class Meter {
  constructor(fn, options) {
    const { cost, currency = 'USD', per = 'request', maxCost, units, rates, model } = options;
    const tool = options.name ?? (typeof fn.name === 'string' ? fn.name.replace(/^(bound )+/, '') : undefined);
    if (typeof tool !== 'string' || tool === '') {
      throw refuse('MISSING_FIELD', 'This function has no name: give name.', 'name');
    }
    for (const [field, value] of Object.entries({ currency, per })) {
      if (typeof value !== 'string') throw refuse('INVALID_ARGUMENT', `${field} is a string.`, field);
    }
    const text = (value, field) => (value == null ? null : textOf(value, field));
    const severalMeters = cost !== null && typeof cost === 'object';
    const computed = typeof cost === 'function';
    if (severalMeters && options.per !== undefined) {
      throw refuse('INVALID_ARGUMENT', 'A price with several meters has no per: each meter has its own cost.', 'per');
    }
    this.#readRates(options, rates, model);
    this.pricing = Object.freeze({
      tool,
      cost: computed ? null : severalMeters ? costsOf(cost) : text(cost, 'cost'),
      currency,
      per: severalMeters || rates !== undefined ? null : per,
      maxCost: text(maxCost, 'maxCost'),
      description: options.description ?? null,
      category: options.category ?? null,
      revenueShare: text(options.revenueShare, 'revenueShare'),
      owner: options.owner ?? null,
      dynamic: computed,
    });
    this.skill = stringOrNone(options.skill, 'skill');
    this.currency = options.currency;
    this.costOf = computed ? cost : undefined;
    // A model that only the result names is charged as a line of a call whose own price is the maximum.
    this.isLate = rates !== undefined && model === undefined;
    this.priced = cost != null || this.isLate;
    const counted = !computed && (severalMeters || !REQUESTS.has(per) || units !== undefined);
    this.counter = counted ? counterOf(severalMeters ? Object.keys(this.pricing.cost) : [per], units) : undefined;
    this.engine = options.engine;
    this.payer = options.payer;
    this.measure = functionOrNone(options.measure, 'measure');
    this.failed = functionOrNone(options.failed, 'failed');
    this.expiresInMs = options.holdMs == null ? 0 : Math.max(1, millisecondsOf(options.holdMs, 'holdMs'));
    this.durability = durabilityOf(options.durability);
    this.flags =
      (computed || this.isLate ? CALL_AMOUNT_GIVEN : 0) |
      (maxCost == null ? 0 : CALL_MAX_COST_GIVEN) |
      (flagOf(options.chargeAfterwards, 'chargeAfterwards') ? CALL_CHARGE_AFTERWARDS : 0) |
      (flagOf(options.releaseUnreported, 'releaseUnreported') ? CALL_RELEASE_UNREPORTED : 0);
    this.hasAmounts = maxCost != null || computed;
    this.tools = new WeakMap();
  }

  #readRates(options, rates, model) {
    this.rates = stringOrNone(rates, 'rates');
    if (rates === undefined) {
      if (model !== undefined) throw refuse('INVALID_ARGUMENT', 'A model is for rates: give rates.', 'model');
      return;
    }
    for (const field of ['cost', 'per', 'revenueShare', 'owner', 'skill']) {
      if (options[field] != null) {
        const message = `A tool with rates has the price of its rate card: leave ${field} out.`;
        throw refuse('INVALID_ARGUMENT', message, field);
      }
    }
    if (model !== undefined && typeof model !== 'string' && typeof model !== 'function') {
      throw refuse('INVALID_ARGUMENT', "model is a field's name, or a function of the tool's arguments.", 'model');
    }
    if (model === undefined && options.maxCost == null) {
      const message = 'Only the result names the model, so its price is not known before the call: give maxCost.';
      throw refuse('MISSING_FIELD', message, 'maxCost');
    }
    this.modelOf = typeof model === 'string' ? (first) => first?.[model] : model;
  }

  // ---- The two ends of a call ----

  /** Holds the price of a call that is about to run, and gives its scope. */
  beginSync(receiver, args) {
    const who = this.#who(receiver, args);
    if (who.manifest !== undefined) this.registerSync(who.payment.engine, who);
    const call = this.#call(who, receiver, args);
    call.scope.begun = call.scope.core.beginSync(call);
    return call.scope;
  }

  /** The same, off the event loop. */
  async begin(receiver, args) {
    const who = this.#who(receiver, args);
    const { core } = who.payment.engine;
    if (who.manifest !== undefined) await this.register(who.payment.engine, who);
    if (this.hasAmounts) {
      // Asked before the functions of the options, which are called once.
      const scale = core.plan(() => core.scale(this.#currency(core, who.tool)));
      if (scale instanceof Promise) await scale;
    }
    const call = this.#call(who, receiver, args);
    call.scope.begun = await core.begin(call);
    return call.scope;
  }

  /** Tells the library how a call ended. What is said of a `result` counts where it was returned. */
  finishSync(scope, ending, delivered, result) {
    const plan = this.#ending(scope, ending, delivered, result);
    this.#receive(scope, scope.core.finishSync(plan));
  }

  /** The same, off the event loop. */
  async finish(scope, ending, delivered, result) {
    const plan = this.#ending(scope, ending, delivered, result);
    this.#receive(scope, await scope.core.finish(plan));
  }

  /** Tells the library that a call failed or was left. The error of the tool is what the caller is to see. */
  abandonSync(scope, ending, delivered) {
    try {
      this.finishSync(scope, ending, delivered);
    } catch (error) {
      this.#lost(error);
    }
  }

  /** The same, off the event loop. */
  async abandon(scope, ending, delivered) {
    try {
      await this.finish(scope, ending, delivered);
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error) {
    if (!(error instanceof FareboxError)) throw error;
    warn(`The end of a call of ${this.pricing.tool} could not be recorded: ${error.message}`);
  }

  // ---- What they are made of ----

  /** Says who pays for a call, and of which tool it is. */
  #who(receiver, args) {
    const outer = storage.getStore();
    const payment = this.resolve(outer, receiver, args);
    const { tool, manifest } = this.rates === undefined || this.isLate
      ? this.identify(payment.engine)
      : { tool: this.#rate(receiver, args) };
    return { outer, payment, tool, manifest };
  }

  /** Says what is known of a call before it runs. */
  #call({ outer, payment, tool }, receiver, args) {
    const { core } = payment.engine;
    const { maxCost } = this.pricing;
    const scaleOf = () => core.scale(this.#currency(core, tool));
    const units = (value, field) => toUnits(value, typeof value === 'bigint' ? 0 : scaleOf(), field);
    const maximum = maxCost === null ? 0n : units(maxCost, 'maxCost');
    const amount = this.costOf === undefined ? 0n : units(this.costOf.apply(receiver, args), 'cost');
    const { meter, count } = this.counter ?? {};
    const expected = count && usageText(count.apply(receiver, args), meter, scaleOf, 'units');
    const parent = outer?.parent;
    const isNamed = outer?.call !== undefined || parent !== undefined;
    const given = isNamed ? canonical(args) : undefined;
    return {
      scope: new CallScope(payment, outer?.call),
      payer: payment.payer,
      tool,
      run: payment.run,
      call: outer?.call,
      parent,
      arguments: given,
      expected,
      flags: this.flags,
      amount: this.isLate ? maximum : amount,
      maxCost: maximum,
      expiresInMs: this.expiresInMs,
      ordinal: isNamed ? ordinalOf(outer, tool, given) : 0,
    };
  }

  /** Says how a call ended. */
  #ending(scope, ending, delivered, result) {
    const isFailure = ending === ENDING.RETURNED && this.#isFailure(scope, result);
    if (ending === ENDING.RETURNED && !isFailure && scope.recorded === undefined) this.#measure(scope, result);
    scope.ended = true;
    const plan = {
      ending: isFailure ? ENDING.REPORTED_FAILURE : ending,
      flags: delivered ? FINISH_DELIVERED : 0,
      durability: this.durability,
      amount: 0n,
      begun: scope.begun,
      recorded: scope.recorded,
      lines: scope.lines,
    };
    if (this.isLate && scope.recorded !== undefined) this.#asLine(plan, result);
    return plan;
  }

  /* What was used of the model that the result names is a line at its rate; the call itself costs nothing then. */
  #asLine(plan, result) {
    const model = result?.model ?? result?.modelId ?? result?.response?.modelId;
    if (typeof model !== 'string' || model === '') return;
    plan.lines = [...(plan.lines ?? []), { tool: `${this.rates}/${model}`, recorded: plan.recorded }];
    plan.recorded = undefined;
    plan.flags |= FINISH_AMOUNT;
  }

  #isFailure(scope, result) {
    if (this.failed === undefined) return isFailedResult(result);
    try {
      const answer = this.failed(result);
      if (typeof answer?.then !== 'function') return Boolean(answer);
      warn(`failed of ${this.pricing.tool} gave a promise, which says nothing; isError of the result decides.`);
    } catch (error) {
      warn(`failed of ${this.pricing.tool} threw: ${said(error)}; isError of the result decides.`);
    }
    return isFailedResult(result);
  }

  #measure(scope, result) {
    if (this.measure === undefined) return;
    try {
      scope.record(this.measure(result), 'measure');
    } catch (error) {
      warn(`The usage that measure of ${this.pricing.tool} gave cannot be read: ${said(error)}`);
    }
  }

  #receive(scope, receipt) {
    if (!receipt.released) Payment.keep(scope.payment, receipt);
  }

  /** Finds who pays: what the options say, else the context. */
  resolve(outer, receiver, args) {
    const context = outer?.payment;
    const engine = typeof this.engine === 'function' ? this.engine() : (this.engine ?? context?.engine);
    const payer = typeof this.payer === 'function' ? this.payer.apply(receiver, args) : (this.payer ?? context?.payer);
    if (engine == null || payer == null) throw missingPayer();
    if (context !== undefined && context.engine === engine && context.payer === payer) return context;
    if (engine.core === undefined) throw refuse('INVALID_ARGUMENT', 'The engine is a Farebox.', 'engine');
    return new Payment(engine, payer, context?.run, undefined);
  }

  // ---- The tool's name and price ----

  #rate(receiver, args) {
    const model = this.modelOf.apply(receiver, args);
    if (typeof model !== 'string' || model === '') {
      throw refuse('MISSING_FIELD', 'The call names no model, so its rate is not known.', 'model');
    }
    return `${this.rates}/${model}`;
  }

  /** The name that the library knows this tool by, and where it is not registered yet, the request that does it. */
  identify(engine) {
    if (!this.priced) return { tool: this.pricing.tool };
    const known = this.tools.get(engine);
    if (known !== undefined) return { tool: known };
    const manifest = this.manifest(engine);
    const tool = `${manifest.id}@${manifest.version}#${this.pricing.tool}`;
    if (engine.core.skills.has(tool)) {
      this.tools.set(engine, tool);
      return { tool };
    }
    return { tool, manifest: encodeJson({ manifest, keep_current: true }) };
  }

  /** Registers the tool, where that has not been done. */
  registerSync(engine, { tool, manifest }) {
    if (manifest === undefined) return;
    engine.core.callSync('skill.register', manifest);
    this.#registered(engine, tool);
  }

  async register(engine, { tool, manifest }) {
    if (manifest === undefined) return;
    await engine.core.call('skill.register', manifest);
    this.#registered(engine, tool);
  }

  #registered(engine, tool) {
    engine.core.toolAssets.clear();
    engine.core.knowSkill(tool);
    this.tools.set(engine, tool);
  }

  /* The asset of the amounts here: what is stated, else that of a price that others registered. */
  #currency(core, tool) {
    return this.currency ?? (this.priced ? this.pricing.currency : core.toolAsset(tool));
  }

  /** Returns the skill manifest that registers this tool with an engine, its version derived from its content. */
  manifest(engine) {
    const { tool, currency, maxCost, revenueShare, description, category, owner } = this.pricing;
    const pricing = stated({ ...this.#price(), currency, max_cost: maxCost });
    const entry = stated({ name: tool, pricing, revenue_share: revenueShare, description, category });
    const id = this.skill ?? `node.${tool.replace(/[^A-Za-z0-9._:/-]/g, '')}`.slice(0, 128);
    const content = stated({ id, owner: owner ?? engine.defaultOwner, tools: [entry] });
    const digest = createHash('sha256').update(JSON.stringify(content)).digest('hex');
    return { version: `0.0.0+${digest.slice(0, 16)}`, ...content };
  }

  #price() {
    const { cost, per, dynamic } = this.pricing;
    if (dynamic || this.isLate) return { components: [{ model: 'dynamic' }] };
    if (cost === null || typeof cost !== 'object') return { cost, per: pricePer(per) };
    return { components: Object.entries(cost).map(([name, rate]) => ({ meter: meterNamed(name), rate })) };
  }

  scale(core) {
    return core.scale(this.pricing.currency);
  }
}

module.exports = { ENDING, Meter, isFailedResult, missingPayer };
