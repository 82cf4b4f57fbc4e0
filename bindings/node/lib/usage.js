'use strict';

/* What a call used: counts by meter, as the engine takes them. */

const { refuse } = require('./errors');
const { UNITS_MAX, shifted, toUnits } = require('./money');

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

function overflow(field) {
  return refuse('OVERFLOW', 'The usage does not fit into 64 bits.', field);
}

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

function addCount(counts, name, quantity, scaleOf) {
  const index = INDEX.get(name);
  const field = `usage.${name}`;
  if (index === undefined) {
    throw refuse('UNKNOWN_FIELD', `No meter has this name; there are ${METERS.join(', ')}.`, field);
  }
  if (index === VALUE) {
    counts[index] += toUnits(quantity, typeof quantity === 'bigint' ? 0 : scaleOf(), field);
  } else if (Number.isSafeInteger(quantity)) {
    counts[index] += BigInt(quantity);
  } else {
    const scaled = millionths(quantity, index, field);
    if (scaled < 0n && scaled % MILLION !== 0n) throw refuse('INVALID_ARGUMENT', 'A usage is at least 0.', field);
    counts[index] += scaled / MILLION;
    counts[MICRO] += scaled % MILLION;
    counts[UNITS] += counts[MICRO] / MILLION;
    counts[MICRO] %= MILLION;
  }
  if (counts[index] > UNITS_MAX || counts[index] < -UNITS_MAX) throw overflow(field);
}

/** Turns usages, which add up, into the twelve counts of a request: eleven meters and millionths of a unit.
 *
 * A usage is an object of counts by meter, or a single number of units. `scaleOf` is asked for the asset's scale if
 * there is a `value` in decimals. Throws UNKNOWN_FIELD for an unknown meter, INVALID_ARGUMENT for what is no count. */
function usageCounts(usages, scaleOf) {
  const counts = new Array(METERS.length + 1).fill(0n);
  for (const usage of usages) {
    if (usage === null || typeof usage !== 'object') {
      addCount(counts, 'units', usage, scaleOf);
    } else if (Array.isArray(usage)) {
      throw refuse('INVALID_ARGUMENT', 'A usage is a number of units, or counts by meter.', 'usage');
    } else {
      for (const name of Object.keys(usage)) {
        if (usage[name] !== undefined) addCount(counts, name, usage[name], scaleOf);
      }
    }
  }
  return counts;
}

module.exports = { METERS, MICRO_DIGITS, usageCounts };
