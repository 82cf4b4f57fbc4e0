'use strict';

/* What crosses the border to the addon: plans as rows of numbers with texts behind them, results as views of memory.
 * Places are those of the header, which the addon tells. */

const { native } = require('./library');
const { CHARGE_TEXTS } = require('./requests');

const { beginRow, finishRow, lineRow, meteredCall, quote, quoteLine, receipt, row, tally } = native();

const WORD = 8;
const ASSET_BYTES = 24;
const QUOTE_LINES = 64;
const QUOTE_WORDS = (quote.size + QUOTE_LINES * quoteLine.size) / WORD;
const RECEIPT_WORDS = receipt.size / WORD;
const ROW_WORDS = row.size;
const CALL_WORDS = meteredCall.size / WORD;
const TALLY_WORDS = tally.size / WORD;
const FINISH_WORDS = finishRow.size + CALL_WORDS;
const KEY_BYTES = 40;
const CALL_LINE_AMOUNT = 1;
const LINE_TEXTS = ['tool', 'payee', 'description'];

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

/* Making a BigInt costs more than finding one. */
const SMALL = Array.from({ length: 64 }, (_, number) => BigInt(number));
const big = (number) => SMALL[number] ?? BigInt(number);

/* Puts the texts that a plan has behind the others; gives the mask that says which they are. */
function pushTexts(texts, fields, plan) {
  let mask = 0;
  for (let i = 0; i < fields.length; i++) {
    const text = plan[fields[i]];
    if (text !== undefined) {
      mask |= 1 << i;
      texts.push(text);
    }
  }
  return big(mask);
}

/** Writes a plan as a row of numbers, and its texts behind those that are there. */
function writePlan(target, at, texts, fields, plan) {
  target.fill(0n, at, at + ROW_WORDS);
  target[at + row.texts] = pushTexts(texts, fields, plan);
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

/** Writes what a metered call begins with. */
function writeBegin(target, texts, plan) {
  target[beginRow.texts] = pushBeginTexts(texts, plan);
  target[beginRow.flags] = big(plan.flags);
  target[beginRow.amount] = plan.amount;
  target[beginRow.max_cost] = plan.maxCost;
  target[beginRow.durability] = 0n;
  target[beginRow.expires_in_ms] = big(plan.expiresInMs);
  target[beginRow.ordinal] = big(plan.ordinal);
}

/* As pushTexts, without a loop: every call of a tool comes by here. */
function pushBeginTexts(texts, plan) {
  let mask = 3;
  texts.push(plan.payer, plan.tool);
  if (plan.run !== undefined) {
    mask |= 4;
    texts.push(plan.run);
  }
  if (plan.call !== undefined) {
    mask |= 8;
    texts.push(plan.call);
  }
  if (plan.parent !== undefined) {
    mask |= 16;
    texts.push(plan.parent);
  }
  if (plan.arguments !== undefined) {
    mask |= 32;
    texts.push(plan.arguments);
  }
  if (plan.expected !== undefined) {
    mask |= 64;
    texts.push(plan.expected);
  }
  return big(mask);
}

/* Room for the end of a call that has recorded nothing: most have not. */
const finishNumbers = new BigInt64Array(FINISH_WORDS);

/** Writes how a metered call ended: its row, the call, what it used, and its lines. */
function writeFinish(texts, plan) {
  const { begun, recorded, lines = [] } = plan;
  let words = FINISH_WORDS + (recorded === undefined ? 0 : TALLY_WORDS);
  for (const line of lines) words += lineRow.size + (line.recorded === undefined ? 0 : TALLY_WORDS);
  const target = words === FINISH_WORDS ? finishNumbers : new BigInt64Array(words);
  target[finishRow.texts] = 0n;
  target[finishRow.flags] = big(plan.flags);
  target[finishRow.ending] = big(plan.ending);
  target[finishRow.durability] = big(plan.durability);
  target[finishRow.amount] = plan.amount;
  target[finishRow.recorded] = recorded === undefined ? 0n : 1n;
  target[finishRow.lines] = big(lines.length);
  target.set(begun, finishRow.size);
  let at = FINISH_WORDS;
  const put = (numbers) => {
    if (numbers === undefined) return;
    target.set(numbers, at);
    at += TALLY_WORDS;
  };
  put(recorded);
  for (const line of lines) {
    target[at + lineRow.texts] = pushTexts(texts, LINE_TEXTS, line);
    target[at + lineRow.flags] = line.amount === undefined ? 0n : BigInt(CALL_LINE_AMOUNT);
    target[at + lineRow.amount] = line.amount ?? 0n;
    target[at + lineRow.recorded] = line.recorded === undefined ? 0n : 1n;
    at += lineRow.size;
    put(line.recorded);
  }
  return target;
}

/** An empty tally, as the library has it. */
function emptyTally() {
  const words = new BigInt64Array(TALLY_WORDS);
  words[0] = BigInt(tally.size);
  return words;
}

/* An array of its own for each call would cost more than the call does. */
const CALLS_A_SLAB = 64;
let slab;
let slabEnd = 0;

/** Makes room for what the library says of a call. */
function newCall() {
  if (slabEnd === 0) {
    slab = new BigInt64Array(CALLS_A_SLAB * CALL_WORDS);
    slabEnd = slab.length;
  }
  slabEnd -= CALL_WORDS;
  return slab.subarray(slabEnd, slabEnd + CALL_WORDS);
}

/* The bytes of a call that has begun. */
function bytesOfCall(begun) {
  return Buffer.from(begun.buffer, begun.byteOffset, begun.byteLength);
}

/** The key that calls made inside of this one are derived from, or ''. */
function keyOfCall(begun) {
  const bytes = bytesOfCall(begun);
  const end = bytes.indexOf(0, meteredCall.key);
  const last = meteredCall.key + KEY_BYTES;
  return bytes.latin1Slice(meteredCall.key, end === -1 || end > last ? last : end);
}

/** The bytes of the call's asset, as those of a receipt are. */
function assetOfCall(begun) {
  return bytesOfCall(begun).latin1Slice(meteredCall.asset, meteredCall.asset + ASSET_BYTES);
}

/** Digits after the point of the call's asset. */
function scaleOfCall(begun) {
  return bytesOfCall(begun).readUInt32LE(meteredCall.scale);
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

module.exports = {
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
};
