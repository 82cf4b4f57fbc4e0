'use strict';

/* Where a call's usage comes from: its arguments, counted as the price's unit says. */

const { refuse } = require('./errors');
const { METERS } = require('./usage');

const INPUT_TOKENS = new Set(['token', 'tokens', 'input_token', 'input_tokens']);
const CHARACTERS = new Set(['character', 'characters']);
const REQUESTS = new Set(['request', 'requests']);
const BYTES_A_TOKEN = 4;

/** A meter's name as prices have it: `inputTokens` is `input_tokens`. */
function word(meter) {
  return meter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Names the meter that counts one of `per`: its own, `inputTokens` for tokens, `units` for anything else. */
function meterOf(per) {
  if (INPUT_TOKENS.has(per)) return 'inputTokens';
  return METERS.find((meter) => per === word(meter) || per === word(meter).slice(0, -1)) ?? 'units';
}

/** Names `per` as a price does, where a unit has no name of its own. */
function pricePer(per) {
  return per === 'token' || per === 'tokens' || meterOf(per) !== 'units' ? per : 'unit';
}

/** Sums the sizes of all text in a value, also inside arrays, sets, maps and objects. `keys` counts names as well. */
function textSize(value, size, keys = true) {
  if (typeof value === 'string') return size(value);
  if (value === null || typeof value !== 'object') return 0;
  if (value instanceof Uint8Array) return value.length;
  let total = 0;
  if (Array.isArray(value) || value instanceof Set) {
    for (const item of value) total += textSize(item, size);
    return total;
  }
  const entries = value instanceof Map ? value.entries() : isPlain(value) ? Object.entries(value) : [];
  for (const [key, item] of entries) total += textSize(item, size) + (keys ? textSize(key, size) : 0);
  return total;
}

function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/* The names in an object of arguments are the tool's, not the caller's text. */
function argumentsSize(args, size) {
  return args.reduce((total, argument) => total + textSize(argument, size, !isArguments(argument)), 0);
}

function isArguments(value) {
  return value !== null && typeof value === 'object' && isPlain(value);
}

const utf8 = (text) => Buffer.byteLength(text, 'utf8');
const characters = (text) => [...text].length;

/** Estimates the tokens of a call's input: the bytes of all text in its arguments as UTF-8, over four, rounded up. */
function estimateTokens(...args) {
  return Math.ceil(argumentsSize(args, utf8) / BYTES_A_TOKEN);
}

/** Makes the function of a tool's arguments that gives the usage of a call. */
function counterOf(per, units) {
  const meter = meterOf(per);
  if (typeof units === 'function') {
    return (...args) => {
      const given = units(...args);
      return given !== null && typeof given === 'object' ? given : { [meter]: given };
    };
  }
  if (typeof units === 'string') {
    return (first) => ({ [meter]: measured(first?.[units], per, units) });
  }
  if (units !== undefined) {
    throw refuse('INVALID_ARGUMENT', "units is a field's name, or a function of the tool's arguments.", 'units');
  }
  if (INPUT_TOKENS.has(per)) return (...args) => ({ [meter]: estimateTokens(...args) });
  if (CHARACTERS.has(per)) return (...args) => ({ [meter]: argumentsSize(args, characters) });
  const each = meter.endsWith('Tokens') || meter === 'value' ? 0 : 1;
  return () => ({ [meter]: each });
}

/** A field that holds a number is the usage; text or a collection is measured. */
function measured(value, per, field) {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (INPUT_TOKENS.has(per) && value != null) return estimateTokens(value);
  if (CHARACTERS.has(per) && value != null) return textSize(value, characters);
  const size = value?.length ?? value?.size;
  if (typeof size !== 'number') {
    throw refuse('INVALID_ARGUMENT', `The argument ${field} is not a usage.`, 'units');
  }
  return size;
}

module.exports = { REQUESTS, counterOf, estimateTokens, pricePer };
