'use strict';

/* The doors of one engine: plans in, values out. A plan is a request whose names are checked and whose money is atomic
 * units; requests.js makes them. Each verb runs at once (`Sync`) or on a thread of the pool, from the same numbers and
 * texts. This file is loaded with the first engine, when the library is there. */

const { FareboxError, HandleError, failureOf, refuse } = require('./errors');
const {
  Batch,
  Frame,
  QUOTE_WORDS,
  RECEIPT_WORDS,
  ROW_WORDS,
  WORD,
  assetOfCall,
  emptyTally,
  keyOfCall,
  newCall,
  scaleOfCall,
  writeBegin,
  writeFinish,
  writePlan,
} = require('./frames');
const { decodeJson } = require('./json');
const { native } = require('./library');
const { ChargeQueue } = require('./queue');
const { CHARGE_TEXTS, checkTexts } = require('./requests');
const { Balance, Quote, QuoteLine, Receipt, RefusedReceipt, ToolResult } = require('./values');

const addon = native();
const { balanceResult, quote, quoteLine, receipt, tickResult } = addon;

const CAPTURE_TEXTS = ['key', 'description', 'metadata'];
const PRICE_TEXTS = ['tool', 'customer'];
const TOOL_TEXTS = ['payer', 'tool', 'input', 'key', 'run', 'call'];
const SKILLS_KEPT = 512;
const METER_TEXTS = ['library', 'symbol', 'signature', 'tool', 'usage', 'failure'];

/* A synchronous call has read its frame before another one begins. */
const syncFrame = new Frame(QUOTE_WORDS);
const numbers = new BigInt64Array(ROW_WORDS);

function textOnly(value, field) {
  if (typeof value !== 'string') throw refuse('INVALID_ARGUMENT', 'A text is a string.', field);
}

/* Stops a plan that has to know something of the ledger first; see Core.plan. */
class Unasked {
  constructor(operation, body) {
    this.operation = operation;
    this.body = body;
  }
}

class Core {
  constructor(handle, defaultAsset) {
    this.handle = handle;
    this.defaultAsset = defaultAsset;
    this.closed = false;
    this.queue = new ChargeQueue(this);
    this.scales = new Map();
    this.toolAssets = new Map();
    this.assets = new Map();
    this.skills = new Set();
    this.answers = undefined;
    this.asking = new Set();
  }

  // ---- Running ----

  /** Throws where the engine was closed. */
  alive() {
    if (this.closed) throw new HandleError('CLOSED');
  }

  sync(verb, plan, fields, read) {
    this.alive();
    const texts = [];
    writePlan(numbers, 0, texts, fields, plan);
    const failure = addon[verb](this.handle, numbers, texts, syncFrame.words);
    if (failure !== undefined) throw failureOf(failure);
    return read.call(this, syncFrame, 0, plan);
  }

  async later(verb, plan, fields, read, words) {
    this.alive();
    const frame = new Frame(words);
    const texts = [];
    writePlan(numbers, 0, texts, fields, plan);
    const failure = await addon[verb](this.handle, numbers, texts, frame.words);
    if (failure !== undefined) throw failureOf(failure);
    await this.learn(frame);
    return read.call(this, frame, 0, plan);
  }

  /** Makes a plan, or gives a promise of one where something has to be asked for it: a question may have to wait for
   * another call, and must not on the event loop. A plan may be made several times, so it must do nothing else. */
  plan(build, answers = new Map()) {
    this.answers = answers;
    try {
      return build();
    } catch (error) {
      if (!(error instanceof Unasked)) throw error;
      const answered = this.answered(build, answers, error);
      this.asking.add(answered);
      answered.catch(() => undefined).then(() => this.asking.delete(answered));
      return answered;
    } finally {
      this.answers = undefined;
    }
  }

  async answered(build, answers, { operation, body }) {
    this.alive();
    answers.set(operation + body, await addon.call(this.handle, numbers, [operation, body]));
    return this.plan(build, answers);
  }

  /** Asks the ledger; inside of `plan` only where the answer is there. */
  ask(operation, body) {
    if (this.answers === undefined) return this.callSync(operation, body);
    const answer = this.answers.get(operation + body);
    if (answer === undefined) throw new Unasked(operation, body);
    if (typeof answer !== 'string') throw failureOf(answer, true);
    return decodeJson(answer);
  }

  // ---- Charges and holds ----

  /** Charges with the next batch; see queue.js. */
  async charge(plan) {
    this.alive();
    checkTexts(plan);
    return this.queue.add(plan);
  }

  chargeSync(plan) {
    return this.sync('chargeSync', plan, CHARGE_TEXTS, this.receiptAt);
  }

  reserveSync(plan) {
    return this.sync('reserveSync', plan, CHARGE_TEXTS, this.receiptAt);
  }

  reserve(plan) {
    return this.later('reserve', plan, CHARGE_TEXTS, this.receiptAt, RECEIPT_WORDS);
  }

  increaseSync(plan) {
    return this.sync('increaseSync', plan, CAPTURE_TEXTS, this.receiptAt);
  }

  increase(plan) {
    return this.later('increase', plan, CAPTURE_TEXTS, this.receiptAt, RECEIPT_WORDS);
  }

  captureSync(plan) {
    return this.sync('captureSync', plan, CAPTURE_TEXTS, this.receiptAt);
  }

  capture(plan) {
    return this.later('capture', plan, CAPTURE_TEXTS, this.receiptAt, RECEIPT_WORDS);
  }

  releaseSync(plan) {
    return this.sync('releaseSync', plan, [], this.receiptAt);
  }

  release(plan) {
    return this.later('release', plan, [], this.receiptAt, RECEIPT_WORDS);
  }

  extendSync(plan) {
    return this.sync('extendSync', plan, [], this.receiptAt);
  }

  extend(plan) {
    return this.later('extend', plan, [], this.receiptAt, RECEIPT_WORDS);
  }

  /** Charges the plans of a batch; in place of one there may be the error of a request that made none. */
  chargeManySync(plans) {
    this.alive();
    const batch = this.batch(plans);
    const frame = new Frame(batch.count * RECEIPT_WORDS);
    const failure = batch.count > 0 && addon.chargeManySync(this.handle, batch.rows(), batch.texts, frame.words);
    if (failure) throw failureOf(failure);
    return this.receiptsOf(plans, frame);
  }

  async chargeMany(plans) {
    this.alive();
    const batch = this.batch(plans);
    const frame = new Frame(batch.count * RECEIPT_WORDS);
    const failure = batch.count > 0 && (await addon.chargeMany(this.handle, batch.rows(), batch.texts, frame.words));
    if (failure) throw failureOf(failure);
    await this.learn(frame, batch.count);
    return this.receiptsOf(plans, frame);
  }

  /** Charges a batch whose items have nothing to do with each other; gives receipts, or the error of an item. */
  async chargeEach(batch) {
    const frame = new Frame(batch.count * RECEIPT_WORDS);
    const failed = await addon.chargeEach(this.handle, batch.rows(), batch.texts, frame.words);
    if (failed !== undefined && !Array.isArray(failed)) throw failureOf(failed);
    await this.learn(frame, batch.count);
    const results = this.receipts(frame, batch.count);
    return failed === undefined
      ? results
      : results.map((result, i) => (failed[i] === undefined ? result : failureOf(failed[i])));
  }

  batch(plans) {
    const batch = new Batch();
    for (const plan of plans) if (!(plan instanceof FareboxError)) batch.add(plan);
    return batch;
  }

  receiptsOf(plans, frame) {
    let at = -receipt.size;
    return plans.map((plan) =>
      plan instanceof FareboxError ? new RefusedReceipt(plan) : this.receiptAt(frame, (at += receipt.size)),
    );
  }

  receipts(frame, count) {
    return Array.from({ length: count }, (_, i) => this.receiptAt(frame, i * receipt.size));
  }

  receiptAt(frame, at) {
    const { words, unsigned, ints } = frame;
    const [asset, scale] = this.assetOf(frame.asset(at + receipt.asset));
    return new Receipt(
      ints[(at + receipt.status) >> 2],
      ints[(at + receipt.flags) >> 2],
      unsigned[(at + receipt.id) >> 3],
      Number(unsigned[(at + receipt.hold) >> 3]),
      words[(at + receipt.amount) >> 3],
      words[(at + receipt.hold_remaining) >> 3],
      words[(at + receipt.balance) >> 3],
      words[(at + receipt.available) >> 3],
      words[(at + receipt.time) >> 3],
      unsigned[(at + receipt.price_version) >> 3],
      asset,
      scale,
      words[(at + receipt.shortfall) >> 3],
    );
  }

  // ---- Metered calls: what a call is, and how it ended; what it costs the library decides ----

  beginSync(plan) {
    this.alive();
    const texts = [];
    const begun = newCall();
    writeBegin(numbers, texts, plan);
    const failure = addon.beginSync(this.handle, numbers, texts, begun);
    if (failure !== undefined) throw failureOf(failure);
    return begun;
  }

  async begin(plan) {
    this.alive();
    const texts = [];
    const begun = newCall();
    writeBegin(numbers, texts, plan);
    const failure = await addon.begin(this.handle, numbers, texts, begun);
    if (failure !== undefined) throw failureOf(failure);
    return begun;
  }

  finishSync(plan) {
    this.alive();
    const texts = [];
    const failure = addon.finishSync(this.handle, writeFinish(texts, plan), texts, syncFrame.words);
    if (failure !== undefined) throw failureOf(failure);
    this.learnOf(plan.begun);
    return this.receiptAt(syncFrame, 0);
  }

  async finish(plan) {
    this.alive();
    const texts = [];
    const frame = new Frame(RECEIPT_WORDS);
    const failure = await addon.finish(this.handle, writeFinish(texts, plan), texts, frame.words);
    if (failure !== undefined) throw failureOf(failure);
    this.learnOf(plan.begun);
    return this.receiptAt(frame, 0);
  }

  tally() {
    return emptyTally();
  }

  /** Adds a usage to a tally, which stays as it is where the usage is refused. */
  record(tally, usage) {
    const failure = addon.recordSync(null, tally, [usage], tally);
    if (failure !== undefined) throw failureOf(failure);
  }

  keyOf(begun) {
    return keyOfCall(begun);
  }

  scaleOf(begun) {
    return scaleOfCall(begun);
  }

  /** Remembers that the skill of a tool's name is registered; a bounded number of them. */
  knowSkill(name) {
    this.skills.add(name);
    if (this.skills.size > SKILLS_KEPT) this.skills.delete(this.skills.values().next().value);
  }

  // ---- Prices, balances, ticks ----

  priceToolSync(plan) {
    let frame = syncFrame;
    for (;;) {
      this.alive();
      const texts = [];
      writePlan(numbers, 0, texts, PRICE_TEXTS, plan);
      const failure = addon.priceToolSync(this.handle, numbers, texts, frame.words);
      if (failure !== undefined) throw failureOf(failure);
      const more = this.roomForLines(frame);
      if (more === undefined) return this.quoteOf(frame, plan);
      frame = more;
    }
  }

  async priceTool(plan) {
    let frame = new Frame(QUOTE_WORDS);
    for (;;) {
      this.alive();
      const texts = [];
      writePlan(numbers, 0, texts, PRICE_TEXTS, plan);
      const failure = await addon.priceTool(this.handle, numbers, texts, frame.words);
      if (failure !== undefined) throw failureOf(failure);
      const more = this.roomForLines(frame);
      if (more === undefined) return this.quoteOf(frame, plan);
      frame = more;
    }
  }

  /** Makes a larger frame for a quote that has more lines than this one took. */
  roomForLines(frame) {
    const words = (quote.size + frame.ints[quote.line_count >> 2] * quoteLine.size) / WORD;
    return words <= frame.words.length ? undefined : new Frame(words);
  }

  quoteOf(frame, plan) {
    const { words, unsigned, ints } = frame;
    const [asset, scale] = this.assetOf(frame.asset(quote.asset));
    const lines = Array.from({ length: ints[quote.line_count >> 2] }, (_, i) => {
      const at = quote.size + i * quoteLine.size;
      return new QuoteLine(
        ints[(at + quoteLine.meter) >> 2],
        ints[(at + quoteLine.tier) >> 2],
        words[(at + quoteLine.quantity_micro) >> 3],
        words[(at + quoteLine.rate_pico) >> 3],
        words[(at + quoteLine.amount) >> 3],
        scale,
      );
    });
    const capped = ints[quote.capped >> 2] !== 0;
    const version = unsigned[quote.price_version >> 3];
    return new Quote(plan.tool, asset, scale, words[quote.total >> 3], capped, version, lines);
  }

  balanceSync(account, asset) {
    this.alive();
    const failure = addon.balanceSync(this.handle, numbers, [account, asset], syncFrame.words);
    if (failure !== undefined) throw failureOf(failure);
    return this.balanceOf(syncFrame, account);
  }

  async balance(account, asset) {
    this.alive();
    const frame = new Frame(balanceResult.size / WORD);
    const failure = await addon.balance(this.handle, numbers, [account, asset], frame.words);
    if (failure !== undefined) throw failureOf(failure);
    return this.balanceOf(frame, account);
  }

  balanceOf(frame, account) {
    const asset = frame.asset(balanceResult.asset).replace(/\0+$/, '');
    const { words, ints } = frame;
    return new Balance(
      account,
      asset,
      ints[balanceResult.scale >> 2],
      words[balanceResult.balance >> 3],
      words[balanceResult.held >> 3],
      words[balanceResult.credit_line >> 3],
      words[balanceResult.available >> 3],
    );
  }

  tickSync() {
    this.alive();
    const failure = addon.tickSync(this.handle, numbers, [], syncFrame.words);
    if (failure !== undefined) throw failureOf(failure);
    return this.tickOf(syncFrame);
  }

  async tick() {
    this.alive();
    const frame = new Frame(tickResult.size / WORD);
    const failure = await addon.tick(this.handle, numbers, [], frame.words);
    if (failure !== undefined) throw failureOf(failure);
    return this.tickOf(frame);
  }

  tickOf({ ints }) {
    return {
      expiredHolds: ints[tickResult.expired_holds >> 2],
      committed: ints[tickResult.committed >> 2],
      sealed: ints[tickResult.sealed >> 2],
    };
  }

  // ---- The JSON door, webhooks, the end ----

  callSync(operation, body) {
    this.alive();
    const answer = addon.callSync(this.handle, numbers, [operation, body]);
    if (typeof answer !== 'string') throw failureOf(answer, true);
    return decodeJson(answer);
  }

  async call(operation, body) {
    this.alive();
    const answer = await addon.call(this.handle, numbers, [operation, body]);
    if (typeof answer !== 'string') throw failureOf(answer, true);
    return decodeJson(answer);
  }

  // ---- Plugins and C functions ----

  callToolSync(plan) {
    this.alive();
    const texts = [];
    writePlan(numbers, 0, texts, TOOL_TEXTS, plan);
    return this.toolOf(addon.callToolSync(this.handle, numbers, texts, syncFrame.words), syncFrame);
  }

  async callTool(plan) {
    this.alive();
    const frame = new Frame(RECEIPT_WORDS);
    const texts = [];
    writePlan(numbers, 0, texts, TOOL_TEXTS, plan);
    const answer = await addon.callTool(this.handle, numbers, texts, frame.words);
    await this.learn(frame);
    return this.toolOf(answer, frame);
  }

  toolOf(answer, frame) {
    if (!Buffer.isBuffer(answer)) throw failureOf(answer);
    return new ToolResult(answer, this.receiptOrNone(frame));
  }

  /** The receipt of a call, or null where it was not charged. */
  receiptOrNone(frame) {
    return frame.unsigned[receipt.id >> 3] === 0n ? null : this.receiptAt(frame, 0);
  }

  /** Gives the handle of a C function whose calls through `invoke` are charged. */
  meterSync(plan) {
    this.alive();
    const texts = [];
    writePlan(numbers, 0, texts, METER_TEXTS, plan);
    return made(addon.meterSync(this.handle, numbers, texts));
  }

  async meter(plan) {
    this.alive();
    const texts = [];
    writePlan(numbers, 0, texts, METER_TEXTS, plan);
    return made(await addon.meter(this.handle, numbers, texts));
  }

  invokeSync(handle, values, texts) {
    this.alive();
    const answer = addon.invokeSync(this.handle, values, texts, syncFrame.words, handle);
    return this.invoked(answer, syncFrame);
  }

  async invoke(handle, values, texts) {
    this.alive();
    const frame = new Frame(RECEIPT_WORDS);
    const answer = await addon.invoke(this.handle, values, texts, frame.words, handle);
    await this.learn(frame);
    return this.invoked(answer, frame);
  }

  invoked(answer, frame) {
    if (answer.integer === undefined) throw failureOf(answer);
    return { value: answer, receipt: this.receiptOrNone(frame) };
  }

  closeSync() {
    this.closed = true;
    const failure = addon.closeSync(this.handle, numbers, []);
    if (failure !== undefined) throw failureOf(failure);
  }

  /** Closes the ledger when what is in the queue is done. */
  async close() {
    while (this.asking.size > 0) await Promise.allSettled(this.asking);
    this.closed = true;
    await this.queue.drained();
    const failure = await addon.close(this.handle, numbers, []);
    if (failure !== undefined) throw failureOf(failure);
  }

  // ---- Assets ----

  /** The scale of an asset, which never changes. */
  scale(asset = this.defaultAsset) {
    let scale = this.scales.get(asset);
    if (scale === undefined) {
      textOnly(asset, 'asset');
      scale = this.ask('asset.get', JSON.stringify({ asset })).scale;
      this.scales.set(asset, scale);
    }
    return scale;
  }

  /** The asset of a tool's price; the default one where the tool has none. */
  toolAsset(tool) {
    let asset = this.toolAssets.get(tool);
    if (asset === undefined) {
      textOnly(tool, 'tool');
      const { pricing } = this.ask('tool.inspect', JSON.stringify({ tool }));
      // Without a price at this time the library refuses the call, or knows it as a repeat.
      if (pricing === null) return this.defaultAsset;
      asset = pricing.currency;
      this.toolAssets.set(tool, asset);
    }
    return asset;
  }

  /** Asks for the scale of the default asset, if there is one; nothing else waits for the ledger yet. */
  learnDefault() {
    try {
      this.scale();
    } catch {
      // A plan that needs it says so.
    }
  }

  /** Asks for the assets of receipts that came off the event loop, where they are not known. */
  async learn(frame, count = 1) {
    for (let i = 0; i < count; i++) {
      const raw = frame.asset(i * receipt.size + receipt.asset);
      if (this.assets.has(raw) || raw.startsWith('\0') || this.closed) continue;
      const code = raw.replace(/\0+$/, '');
      const answer = await addon.call(this.handle, numbers, ['asset.get', JSON.stringify({ asset: code })]);
      if (typeof answer !== 'string') continue; // it is asked for again where it is needed
      const { scale } = decodeJson(answer);
      this.scales.set(code, scale);
      this.assets.set(raw, [code, scale]);
    }
  }

  /** Takes the asset of a metered call from what the library said when it began. */
  learnOf(begun) {
    const raw = assetOfCall(begun);
    if (!this.assets.has(raw)) this.assets.set(raw, [raw.replace(/\0+$/, ''), scaleOfCall(begun)]);
  }

  /** Code and scale of an asset by the bytes of a receipt. */
  assetOf(raw) {
    const found = this.assets.get(raw);
    if (found !== undefined) return found;
    const code = raw.replace(/\0+$/, '');
    if (code === '') return ['', 0];
    let entry;
    try {
      entry = [code, this.scale(code)];
    } catch {
      // What was done is done, and its receipt must not be lost: only its decimals are.
      return [code, null];
    }
    this.assets.set(raw, entry);
    return entry;
  }
}

/** Opens a ledger; `clock` is a function that gives microseconds as a BigInt, or undefined. */
function openSync(texts, options, clock) {
  return made(addon.openSync(null, options, texts, undefined, clock));
}

async function open(texts, options, clock) {
  return made(await addon.open(null, options, texts, undefined, clock));
}

function made(answer) {
  // A handle has no properties of its own.
  if (answer.number !== undefined) throw failureOf(answer);
  return answer;
}

module.exports = { Core, open, openSync };
