'use strict';

/* What the engine answers: receipts, quotes and balances, with exact decimal text beside BigInt atomic units. */

const { HandleError, errorOf } = require('./errors');
const { decimalOf } = require('./money');
const { METERS, MICRO_DIGITS } = require('./usage');

const RATE_DIGITS = 12;
const RATE_UNKNOWN = 2n ** 63n - 1n;
const REPLAYED = 1;
const UNCOMMITTED = 2;
const FINAL = 4;
const CAPPED = 8;
const UNREPORTED = 16;
const RELEASED = 32;
const REFUSAL = 256;
const FLAGS = ['replayed', 'uncommitted', 'final', 'capped', 'unreported', 'released'];
const inspect = Symbol.for('nodejs.util.inspect.custom');

/* `scale` is null where it could not be asked for, such as after the engine was closed. */
function decimal(units, scale) {
  if (scale === null) {
    throw new HandleError('CLOSED', 'The scale of the asset could not be asked for; the atomic units are exact.');
  }
  return decimalOf(units, scale);
}

/* BigInts have no JSON form; their digits do. */
function plain(value, names) {
  return Object.fromEntries(
    names.map((name) => [name, typeof value[name] === 'bigint' ? String(value[name]) : value[name]]),
  );
}

/* What console.log shows: decimals as text, without the atomic units, where the scale is known. */
function shown(value, names, depth, options, show) {
  if (depth < 0) return `[${value.constructor.name}]`;
  const facts = value.scale === null ? { ...value } : Object.fromEntries(names.map((name) => [name, value[name]]));
  return `${value.constructor.name} ${show(facts, options)}`;
}

/** Proof of a charge, hold, capture or release. */
class Receipt {
  constructor(
    status, flags, id, hold, amount, holdRemaining, balance, available, time, priceVersion, asset, scale, shortfall,
  ) {
    this.status = status;
    this.flags = flags;
    this.id = id;
    this.hold = hold;
    this.amountUnits = amount;
    this.holdRemainingUnits = holdRemaining;
    this.balanceUnits = balance;
    this.availableUnits = available;
    this.time = time;
    this.priceVersion = priceVersion;
    this.asset = asset;
    this.scale = scale;
    this.shortfallUnits = shortfall;
  }

  get ok() {
    return this.status === 0;
  }

  get error() {
    return this.status === 0 ? null : errorOf(this.status, '', { refusal: (this.flags & REFUSAL) !== 0 });
  }

  require() {
    if (this.status !== 0) throw this.error;
    return this;
  }

  get amount() {
    return decimal(this.amountUnits, this.scale);
  }

  get holdRemaining() {
    return decimal(this.holdRemainingUnits, this.scale);
  }

  get balance() {
    return decimal(this.balanceUnits, this.scale);
  }

  get available() {
    return decimal(this.availableUnits, this.scale);
  }

  get at() {
    return new Date(Number(this.time / 1000n));
  }

  get replayed() {
    return (this.flags & REPLAYED) !== 0;
  }

  get uncommitted() {
    return (this.flags & UNCOMMITTED) !== 0;
  }

  get final() {
    return (this.flags & FINAL) !== 0;
  }

  get capped() {
    return (this.flags & CAPPED) !== 0;
  }

  get unreported() {
    return (this.flags & UNREPORTED) !== 0;
  }

  get released() {
    return (this.flags & RELEASED) !== 0;
  }

  get shortfall() {
    return decimal(this.shortfallUnits, this.scale);
  }

  toJSON() {
    const names = ['status', 'id', 'hold', 'amount', 'holdRemaining', 'balance', 'available', 'asset', 'time'];
    return plain(this, [...names, 'priceVersion', ...FLAGS, 'shortfall']);
  }

  [inspect](depth, options, show) {
    const flags = FLAGS.filter((name) => this[name]);
    const hold = this.hold === 0 ? [] : ['hold', 'holdRemaining'];
    const shortfall = this.shortfallUnits === 0n ? [] : ['shortfall'];
    const names = ['id', 'amount', 'asset', ...hold, 'balance', 'available', 'at', ...flags, ...shortfall];
    return shown(this, this.ok ? names : ['status', 'error'], depth, options, show);
  }
}

/** The receipt of an item of a batch that could not be encoded: nothing but the reason. */
class RefusedReceipt extends Receipt {
  #reason;

  constructor(reason) {
    super(reason.number, 0, 0n, 0, 0n, 0n, 0n, 0n, 0n, 0n, '', 0);
    this.#reason = reason;
  }

  get error() {
    return this.#reason;
  }

  require() {
    throw this.#reason;
  }
}

/** One component of a quote: quantity x rate + flat = amount. */
class QuoteLine {
  constructor(meter, tier, quantityMicro, ratePico, amountUnits, scale) {
    this.meter = METERS[meter] ?? String(meter);
    this.tier = tier < 0 ? null : tier;
    this.quantity = decimalOf(quantityMicro, MICRO_DIGITS);
    this.rate = ratePico === RATE_UNKNOWN ? null : decimalOf(ratePico, RATE_DIGITS);
    this.amount = decimal(amountUnits, scale);
    this.amountUnits = amountUnits;
  }

  [inspect](depth, options, show) {
    return shown(this, ['meter', 'tier', 'quantity', 'rate', 'amount'], depth, options, show);
  }

  toJSON() {
    return plain(this, ['meter', 'tier', 'quantity', 'rate', 'amount']);
  }
}

/** A price applied to a usage, explained line by line. */
class Quote {
  constructor(tool, asset, scale, totalUnits, capped, priceVersion, lines) {
    this.tool = tool;
    this.asset = asset;
    this.scale = scale;
    this.totalUnits = totalUnits;
    this.capped = capped;
    this.priceVersion = priceVersion;
    this.lines = lines;
  }

  get total() {
    return decimal(this.totalUnits, this.scale);
  }

  toJSON() {
    return plain(this, ['tool', 'asset', 'total', 'capped', 'priceVersion', 'lines']);
  }

  [inspect](depth, options, show) {
    return shown(this, ['tool', 'total', 'asset', 'capped', 'priceVersion', 'lines'], depth, options, show);
  }
}

/** The balance of an account's wallet. */
class Balance {
  constructor(account, asset, scale, balance, held, creditLine, available) {
    this.account = account;
    this.asset = asset;
    this.scale = scale;
    this.balanceUnits = balance;
    this.heldUnits = held;
    this.creditLineUnits = creditLine;
    this.availableUnits = available;
  }

  get balance() {
    return decimal(this.balanceUnits, this.scale);
  }

  get held() {
    return decimal(this.heldUnits, this.scale);
  }

  get creditLine() {
    return decimal(this.creditLineUnits, this.scale);
  }

  get available() {
    return decimal(this.availableUnits, this.scale);
  }

  toJSON() {
    return plain(this, ['account', 'asset', 'balance', 'held', 'creditLine', 'available']);
  }

  [inspect](depth, options, show) {
    return shown(this, ['account', 'balance', 'held', 'creditLine', 'available', 'asset'], depth, options, show);
  }
}

/** What a tool of a plugin gave, and the receipt of its call. */
class ToolResult {
  constructor(output, receipt) {
    this.output = output;
    this.receipt = receipt;
  }

  get text() {
    return this.output.toString('utf8');
  }

  json() {
    return JSON.parse(this.text);
  }
}

module.exports = { Balance, Quote, QuoteLine, Receipt, RefusedReceipt, ToolResult };
