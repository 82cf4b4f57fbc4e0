'use strict';

/* Who pays, for which run and which call: an AsyncLocalStorage that promises, timers and callbacks inherit. */

const { AsyncLocalStorage } = require('node:async_hooks');
const { randomBytes } = require('node:crypto');

const { refuse } = require('./errors');

const storage = new AsyncLocalStorage();
const unique = { prefix: randomBytes(10).toString('hex'), count: 0 };

/** A key of 128 bits that no other process, thread or call gives. */
function uniqueKey() {
  unique.count += 1;
  return unique.prefix + unique.count.toString(16).padStart(12, '0');
}

function textOf(value, field) {
  if (typeof value !== 'string') throw refuse('INVALID_ARGUMENT', 'A text is a string.', field);
  return value;
}

function functionOf(value, field) {
  if (typeof value !== 'function') throw refuse('INVALID_ARGUMENT', 'What is to be run is a function.', field);
  return value;
}

/** What the context carries: the payment, and the call id that a framework gave. */
class Scope {
  #names = 0;

  constructor(payment, call) {
    this.payment = payment;
    this.call = call;
  }

  /** Names the next metered call: the first by the framework's id, each later one by the id and its number.
   *
   * A repeat of the whole gives each call the same name again. */
  nextCall() {
    if (this.call === undefined) return undefined;
    const number = this.#names++;
    return number === 0 ? this.call : `${this.call}+${number}`;
  }
}

/** The scope of one running metered call: its hold, and what is needed to settle it. */
class CallScope extends Scope {
  #names = 0;

  constructor(payment, call) {
    super(payment, call);
    this.hold = 0n;
    this.key = undefined;
    this.amount = 0n;
    this.counts = undefined;
    this.usages = undefined;
    this.settled = false;
  }

  /** Names a metered call made inside this one by this one's name and a number. */
  nextCall() {
    if (this.call === undefined) return undefined;
    this.#names += 1;
    return `${this.call}.${this.#names}`;
  }
}

/** Who pays for metered calls, in which run; made by `Farebox.paying`. */
class Payment {
  constructor(engine, payer, run, onReceipt) {
    this.engine = engine;
    this.payer = textOf(payer, 'payer');
    this.run = run === undefined ? undefined : textOf(run, 'run');
    this.onReceipt = onReceipt === undefined ? undefined : functionOf(onReceipt, 'onReceipt');
  }

  enter(work, ...args) {
    functionOf(work, 'work');
    return storage.run(new Scope(this, storage.getStore()?.call), work, ...args);
  }
}

/** Names the tool call inside `work` by the id that the framework or model gave it. */
function callId(id, work, ...args) {
  textOf(id, 'call');
  functionOf(work, 'work');
  return storage.run(new Scope(storage.getStore()?.payment, id), work, ...args);
}

/** Records what the running metered call really used; outside of one it does nothing. */
function recordUsage(usage) {
  const scope = storage.getStore();
  if (!(scope instanceof CallScope)) return;
  // A copy, for the caller may use the object again.
  const copy = usage !== null && typeof usage === 'object' ? { ...usage } : usage;
  if (scope.usages === undefined) scope.usages = [];
  scope.usages.push(copy);
}

module.exports = { CallScope, Payment, callId, recordUsage, storage, uniqueKey };
