'use strict';

/* Who pays, for which run and which call: an AsyncLocalStorage that promises, timers and callbacks inherit. */

const { AsyncLocalStorage } = require('node:async_hooks');

const { refuse } = require('./errors');
const { toUnits } = require('./money');
const { optionsOf } = require('./requests');
const { usageText } = require('./usage');

const USAGE = new Set(['tool', 'description']);
const AMOUNT = new Set(['tool', 'payee', 'description']);
const RECEIPTS_KEPT = 100;
const inspect = Symbol.for('nodejs.util.inspect.custom');

const storage = new AsyncLocalStorage();

function textOf(value, field) {
  if (typeof value !== 'string') throw refuse('INVALID_ARGUMENT', 'A text is a string.', field);
  return value;
}

function functionOf(value, field) {
  if (typeof value !== 'function') throw refuse('INVALID_ARGUMENT', 'What is to be run is a function.', field);
  return value;
}

/** What the context carries: the payment, the id of the call, the call this one is made in, and the call that runs. */
class Scope {
  constructor(payment, call, parent, ordinals, running) {
    this.payment = payment;
    this.call = call;
    this.parent = parent;
    this.ordinals = ordinals;
    this.running = running;
  }
}

/** Numbers the calls of a scope that are alike: by tool and arguments, so that their order does not matter.
 *
 * A tool is the same in each version of its skill, as it is to the library. */
function ordinalOf(scope, tool, text) {
  scope.ordinals ??= new Map();
  const alike = `${tool.replace(/@[^#]*#/, '#')}\n${text}`;
  const ordinal = scope.ordinals.get(alike) ?? 0;
  scope.ordinals.set(alike, ordinal + 1);
  return ordinal;
}

/** The scope of one running metered call: what the library said when it began, and what was recorded since. */
class CallScope {
  constructor(payment, call) {
    this.payment = payment;
    this.call = call;
    this.ordinals = undefined;
    this.begun = undefined;
    this.recorded = undefined;
    this.lines = undefined;
    this.ended = false;
  }

  get running() {
    return this;
  }

  /** The key that calls made inside this one are derived from, if it has one. */
  get parent() {
    return this.payment.engine.core.keyOf(this.begun) || undefined;
  }

  get core() {
    return this.payment.engine.core;
  }

  /** Adds usage to what the call has used; throws what is wrong with it, and then nothing is added. */
  record(usage, field = 'usage') {
    const text = usageText(usage, 'units', () => this.core.scaleOf(this.begun), field);
    if (text === undefined) return;
    const tally = this.recorded ?? this.core.tally();
    this.core.record(tally, text);
    this.recorded = tally;
  }

  /** Adds a line: what another tool would have charged for a usage. */
  recordFor(usage, tool, description) {
    const text = usageText(usage, 'units', () => this.core.scale(this.core.toolAsset(tool)));
    if (text === undefined) return;
    this.core.toolAsset(tool); // as an amount's
    let line = this.lines?.find((one) => one.tool === tool && one.description === description && one.recorded);
    const tally = line?.recorded ?? this.core.tally();
    this.core.record(tally, text);
    if (line === undefined) {
      line = { tool, payee: undefined, description, recorded: tally, amount: undefined };
      (this.lines ??= []).push(line);
    }
  }

  /** Adds a line with an amount. */
  recordAmount(amount, { tool, payee, description }) {
    // What there is not is refused here, and not when the work is done.
    if (tool !== undefined) this.core.toolAsset(tool);
    if (payee !== undefined) this.core.callSync('account.get', JSON.stringify({ account: payee }));
    const units = toUnits(amount, typeof amount === 'bigint' ? 0 : this.core.scaleOf(this.begun), 'amount');
    if (units < 0n) throw refuse('INVALID_AMOUNT', 'An amount that is recorded is at least 0.', 'amount');
    (this.lines ??= []).push({ tool, payee, description, recorded: undefined, amount: units });
  }
}

/** Who pays for metered calls, in which run; made by `Farebox.paying`. */
class Payment {
  #receipts = [];

  constructor(engine, payer, run, onReceipt) {
    this.engine = engine;
    this.payer = textOf(payer, 'payer');
    this.run = run === undefined ? undefined : textOf(run, 'run');
    this.onReceipt = onReceipt === undefined ? undefined : functionOf(onReceipt, 'onReceipt');
  }

  get receipts() {
    return [...this.#receipts];
  }

  get receipt() {
    return this.#receipts.at(-1) ?? null;
  }

  enter(work, ...args) {
    functionOf(work, 'work');
    const outer = storage.getStore();
    if (outer !== undefined) outer.ordinals ??= new Map(); // shared: one numbering for one id
    const scope = new Scope(this, outer?.call, outer?.parent, outer?.ordinals, outer?.running);
    return storage.run(scope, work, ...args);
  }

  toJSON() {
    return { payer: this.payer, run: this.run };
  }

  [inspect]() {
    return `<Payment of ${this.payer}${this.run === undefined ? '' : ` for ${this.run}`}>`;
  }

  /** Keeps the receipt of a call that was charged; one that was charged before is the newest again. */
  static keep(payment, receipt) {
    const kept = payment.#receipts;
    const earlier = receipt.replayed ? kept.findIndex((one) => one.id === receipt.id) : -1;
    if (earlier >= 0) kept.splice(earlier, 1);
    kept.push(receipt);
    if (kept.length > RECEIPTS_KEPT) kept.shift();
    if (!receipt.replayed) payment.onReceipt?.(receipt);
  }
}

/** Names the tool call inside `work` by the id that the framework or model gave it. */
function callId(id, work, ...args) {
  if (textOf(id, 'call') === '') {
    const message = 'The id of a call is empty: two calls would pass for one. Give each call an id, or none.';
    throw refuse('INVALID_ARGUMENT', message, 'call');
  }
  functionOf(work, 'work');
  const outer = storage.getStore();
  return storage.run(new Scope(outer?.payment, id, undefined, undefined, outer?.running), work, ...args);
}

/** Gives the running metered call; where there is none, or it has ended, says so as a warning. */
function runningCall(what) {
  const running = storage.getStore()?.running;
  if (running !== undefined && !running.ended) return running;
  const message =
    running === undefined
      ? `${what} was recorded outside of a metered call and is not charged to anybody.`
      : `${what} was recorded after its call had ended and is not charged. Await what the tool starts.`;
  process.emitWarning(message, { type: 'FareboxWarning', code: 'FAREBOX_NOT_CHARGED' });
  return undefined;
}

/** Records what the running metered call really used; with `tool`, what it used of another tool. */
function recordUsage(usage, options) {
  const { tool, description } = optionsOf(options, USAGE);
  const running = runningCall('Usage');
  if (running === undefined) return;
  if (tool == null) running.record(usage);
  else running.recordFor(usage, textOf(tool, 'tool'), described(description));
}

/** Records an amount that the running metered call costs beside its usage. */
function recordAmount(amount, options) {
  const { tool, payee, description } = optionsOf(options, AMOUNT);
  runningCall('An amount')?.recordAmount(amount, {
    tool: tool == null ? undefined : textOf(tool, 'tool'),
    payee: payee == null ? undefined : textOf(payee, 'payee'),
    description: described(description),
  });
}

function described(description) {
  return description == null ? undefined : textOf(description, 'description');
}

module.exports = { CallScope, Payment, callId, ordinalOf, recordAmount, recordUsage, storage };
