'use strict';

/* What a call used: counts by meter, as the engine takes them. */

const { refuse } = require('./errors');
const { UNITS_MAX, decimalOf, shifted, toUnits } = require('./money');

/** Meters by number, in the order of `farebox_usage`. */
const METERS = [
  'requests',
  'units',
  'inputTokens',
  'outputTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'reasoningTokens',
  'inputAudioTokens',
  'outputAudioTokens',
  'images',
  'value',
];
const INDEX = new Map(METERS.map((meter, index) => [meter, index]));
const UNITS = INDEX.get('units');
const VALUE = INDEX.get('value');
const MICRO = METERS.length;
const MICRO_DIGITS = 6;
const MILLION = 1_000_000n;

const NUMBER = 'A usage is a number, decimal text or a BigInt.';
const SHAPE = 'A usage is a number of units, or counts by meter.';

/** A meter's name as the library has it: `inputTokens` is `input_tokens`. */
function word(meter) {
  return meter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function overflow(field) {
  return refuse('OVERFLOW', 'The usage does not fit into 64 bits.', field);
}

// ---- As text, for metered calls: the library reads it, adds it up and rounds it ----

/** Writes one quantity as JSON; undefined where it is not given. What is no number the library refuses by its name. */
function quantityText(quantity, meter, scaleOf, field) {
  switch (typeof quantity) {
    case 'undefined':
      return undefined;
    case 'number':
      if (!Number.isFinite(quantity)) throw refuse('INVALID_ARGUMENT', 'A usage is a finite number.', field);
      return String(quantity);
    case 'bigint':
      return meter === 'value' ? `"${decimalOf(quantity, scaleOf())}"` : String(quantity);
    case 'string':
    case 'boolean':
      return JSON.stringify(quantity);
    case 'object':
      if (quantity === null) return undefined;
      if (quantity instanceof Number || quantity instanceof String) {
        return quantityText(quantity.valueOf(), meter, scaleOf, field);
      }
      // The decimals of other libraries say what they are by toJSON.
      if (typeof quantity.toJSON === 'function') {
        const plain = quantity.toJSON();
        if (typeof plain === 'string' || typeof plain === 'number') return quantityText(plain, meter, scaleOf, field);
      }
      throw refuse('INVALID_ARGUMENT', NUMBER, field);
    default:
      throw refuse('INVALID_ARGUMENT', NUMBER, field);
  }
}

/* The counts by meter of an object; of what only looks like one nothing could be read, and so it is refused. */
function countsOf(usage, field) {
  if (usage instanceof Map) return [...usage];
  if (Array.isArray(usage) || ArrayBuffer.isView(usage) || typeof usage.then === 'function') {
    throw refuse('INVALID_ARGUMENT', SHAPE, field);
  }
  const prototype = Object.getPrototypeOf(usage);
  const entries = Object.entries(usage);
  if (entries.length === 0 && prototype !== Object.prototype && prototype !== null) {
    throw refuse('INVALID_ARGUMENT', SHAPE, field);
  }
  return entries;
}

/* What a usage is made of: counts by meter, or one quantity of `meter`. */
function membersOf(usage, meter, field) {
  if (usage === null || typeof usage !== 'object') return [[meter, usage]];
  if (usage instanceof Number || usage instanceof String) return [[meter, usage.valueOf()]];
  const given = typeof usage.toJSON === 'function' ? usage.toJSON() : usage;
  return given !== null && typeof given === 'object' ? countsOf(given, field) : [[meter, given]];
}

/* The names of the meters as members of the text: most usages have no others. */
const MEMBERS = new Map(METERS.map((meter) => [meter, `"${word(meter)}":`]));

/** Writes what was used as the library reads it; undefined where nothing is given. `meter` is that of a bare number. */
function usageText(usage, meter, scaleOf, field = 'usage') {
  if (Number.isSafeInteger(usage)) return `{${MEMBERS.get(meter)}${usage}}`;
  let members = '';
  for (const [name, quantity] of membersOf(usage, meter, field)) {
    if (typeof name !== 'string') throw refuse('INVALID_ARGUMENT', SHAPE, field);
    const text = Number.isSafeInteger(quantity)
      ? String(quantity)
      : quantityText(quantity, name, scaleOf, `${field}.${name}`);
    if (text === undefined) continue;
    if (members !== '') members += ',';
    members += (MEMBERS.get(name) ?? `${JSON.stringify(word(name))}:`) + text;
  }
  return members === '' ? undefined : `{${members}}`;
}

// ---- As counts, for charges, holds and quotes ----

/** Reads a count in millionths of a unit; only `units` may have a part of one. */
function millionths(quantity, meter, field) {
  let scaled;
  try {
    scaled = typeof quantity === 'bigint' ? quantity * MILLION : shifted(quantity, MICRO_DIGITS, field);
  } catch (error) {
    if (error.code === 'OVERFLOW') throw overflow(field);
    if (error.code === 'INVALID_AMOUNT') throw refuse('INVALID_ARGUMENT', 'A usage is a finite number.', field);
    scaled = undefined;
  }
  if (scaled === undefined || (meter !== UNITS && scaled % MILLION !== 0n)) {
    const message = 'A usage is a whole count; only units may have digits after the point, at most six.';
    throw refuse('INVALID_ARGUMENT', message, field);
  }
  return scaled;
}

function setCount(counts, name, quantity, scaleOf) {
  const index = INDEX.get(name);
  const field = `usage.${name}`;
  if (index === undefined) {
    throw refuse('UNKNOWN_FIELD', `No meter has this name; there are ${METERS.join(', ')}.`, field);
  }
  if (index === VALUE) {
    counts[index] = toUnits(quantity, typeof quantity === 'bigint' ? 0 : scaleOf(), field);
  } else if (Number.isSafeInteger(quantity)) {
    counts[index] = BigInt(quantity);
  } else {
    const scaled = millionths(quantity, index, field);
    if (scaled < 0n && scaled % MILLION !== 0n) throw refuse('INVALID_ARGUMENT', 'A usage is at least 0.', field);
    counts[index] = scaled / MILLION;
    counts[MICRO] += scaled % MILLION;
  }
  if (counts[index] > UNITS_MAX || counts[index] < -UNITS_MAX) throw overflow(field);
}

/** Turns a usage into the twelve counts of a request: eleven meters and millionths of a unit. Null is not given.
 *
 * A usage is an object of counts by meter, or a single number of units. `scaleOf` is asked for the asset's scale if
 * there is a `value` in decimals. Throws UNKNOWN_FIELD for an unknown meter, INVALID_ARGUMENT for what is no count. */
function usageCounts(usage, scaleOf) {
  const counts = new Array(METERS.length + 1).fill(0n);
  if (typeof usage !== 'object') {
    setCount(counts, 'units', usage, scaleOf);
  } else if (Array.isArray(usage)) {
    throw refuse('INVALID_ARGUMENT', SHAPE, 'usage');
  } else {
    for (const name of Object.keys(usage)) {
      if (usage[name] != null) setCount(counts, name, usage[name], scaleOf);
    }
  }
  return counts;
}

module.exports = { METERS, MICRO_DIGITS, usageCounts, usageText, word };
