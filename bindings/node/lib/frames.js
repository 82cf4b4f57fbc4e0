'use strict';

/* What crosses the border to the addon: plans as rows of numbers with texts behind them, results as views of memory.
 * Places are those of the header, which the addon tells. */

const { native } = require('./library');
const { CHARGE_TEXTS } = require('./requests');

const { quote, quoteLine, receipt, row } = native();

const WORD = 8;
const ASSET_BYTES = 24;
const QUOTE_LINES = 64;
const QUOTE_WORDS = (quote.size + QUOTE_LINES * quoteLine.size) / WORD;
const RECEIPT_WORDS = receipt.size / WORD;
const ROW_WORDS = row.size;

/** A result of the library, and views of it. */
class Frame {
  constructor(words) {
    this.words = new BigInt64Array(words);
    this.unsigned = new BigUint64Array(this.words.buffer);
    this.ints = new Int32Array(this.words.buffer);
    this.bytes = Buffer.from(this.words.buffer);
  }

  asset(at) {
    return this.bytes.latin1Slice(at, at + ASSET_BYTES);
  }
}

/** Writes a plan as a row of numbers, and its texts behind those that are there. */
function writePlan(target, at, texts, fields, plan) {
  let mask = 0;
  for (let i = 0; i < fields.length; i++) {
    const text = plan[fields[i]];
    if (text !== undefined) {
      mask |= 1 << i;
      texts.push(text);
    }
  }
  target.fill(0n, at, at + ROW_WORDS);
  target[at + row.texts] = BigInt(mask);
  target[at + row.flags] = BigInt(plan.flags);
  target[at + row.amount] = plan.amount;
  target[at + row.max_cost] = plan.maxCost;
  target[at + row.durability] = BigInt(plan.durability);
  if (plan.counts !== undefined) {
    for (let i = 0; i < plan.counts.length; i++) target[at + row.usage + i] = plan.counts[i];
  }
  if (plan.expiresInMs !== undefined) target[at + row.expires_in_ms] = BigInt(plan.expiresInMs);
  if (plan.overCapture !== undefined) target[at + row.over_capture] = BigInt(plan.overCapture);
  if (plan.hold !== undefined) target[at + row.hold] = plan.hold;
  if (plan.at !== undefined) target[at + row.at] = plan.at;
}

/** Charges that go to the library as one call. */
class Batch {
  constructor() {
    this.count = 0;
    this.texts = [];
    this.numbers = new BigInt64Array(16 * ROW_WORDS);
  }

  add(plan) {
    const at = this.count * ROW_WORDS;
    if (at === this.numbers.length) {
      const larger = new BigInt64Array(2 * at);
      larger.set(this.numbers);
      this.numbers = larger;
    }
    writePlan(this.numbers, at, this.texts, CHARGE_TEXTS, plan);
    this.count += 1;
  }

  rows() {
    return this.numbers.subarray(0, this.count * ROW_WORDS);
  }
}

module.exports = { Batch, Frame, QUOTE_WORDS, RECEIPT_WORDS, ROW_WORDS, WORD, writePlan };
