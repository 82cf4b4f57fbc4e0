'use strict';

/* Where the estimate of a call's usage comes from: its arguments, counted as the price's unit says. */

const { types } = require('node:util');

const { isPlain } = require('./canonical');
const { refuse } = require('./errors');
const { METERS, word } = require('./usage');

const INPUT_TOKENS = new Set(['token', 'tokens', 'input_token', 'input_tokens']);
const CHARACTERS = new Set(['character', 'characters']);
const REQUESTS = new Set(['request', 'requests']);
const BYTES_A_TOKEN = 4;

/** Names the meter that counts one of `per`: its own, `inputTokens` for tokens, `units` for anything else. */
function meterOf(per) {
  if (INPUT_TOKENS.has(per)) return 'inputTokens';
  const names = (meter) => [meter, meter.slice(0, -1), word(meter), word(meter).slice(0, -1)];
  return METERS.find((meter) => per === 'value' ? meter === per : names(meter).includes(per)) ?? 'units';
}

/** Names `per` as a price does, where a unit has no name of its own. */
function pricePer(per) {
  if (per === 'token' || per === 'tokens') return per;
  const meter = meterOf(per);
  return meter === 'units' ? 'unit' : word(meter);
}

// ---- Text ----

const utf8 = (text) => Buffer.byteLength(text, 'utf8');
const characters = (text) => [...text].length;

function unreadable(value) {
  const name = value?.constructor?.name || typeof value;
  const message =
    `The text in a ${name} cannot be counted before the call. ` +
    'Give units, a function of the arguments that counts it, or price the tool by what it records.';
  return refuse('INVALID_ARGUMENT', message, 'units');
}

/* What is no text by its nature: signals and the like that a caller hands to a tool beside its input. */
function isNoText(value) {
  return value instanceof AbortSignal || value instanceof AbortController || types.isDate(value);
}

/* What holds text that cannot be looked at without using it up or waiting for it. */
function isClosed(value) {
  return (
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    typeof value.then === 'function' ||
    typeof value.next === 'function' ||
    typeof value.getReader === 'function' ||
    typeof value.pipe === 'function' ||
    typeof value.arrayBuffer === 'function' ||
    typeof value[Symbol.asyncIterator] === 'function'
  );
}

/* The fields of an object: its own, and what its class gives by getters. */
function fieldsOf(value) {
  const fields = new Map(Object.entries(value));
  if (value instanceof Error) fields.set('message', value.message);
  for (let each = Object.getPrototypeOf(value); each !== null && each !== Object.prototype;) {
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(each))) {
      if (get !== undefined && name !== '__proto__' && !fields.has(name)) fields.set(name, get.call(value));
    }
    each = Object.getPrototypeOf(each);
  }
  return fields;
}

/* What an object is made of: {value, name} for each part, whose name counts as text where there is one. */
function partsOf(value, size, isNamed) {
  const unnamed = (items) => Array.from(items, (item) => ({ value: item, isNamed: true }));
  if (Array.isArray(value) || value instanceof Set) return unnamed(value);
  if (value instanceof Map) return unnamed([...value].flat());
  if (types.isBoxedPrimitive(value)) return unnamed([value.valueOf()]);
  if (value instanceof RegExp) return unnamed([String(value)]);
  if (typeof value.toJSON === 'function') return [{ value: value.toJSON(), isNamed }];
  if (isClosed(value)) throw unreadable(value);
  const named = ([name, item]) => ({ name: isNamed ? name : undefined, value: item, isNamed: true });
  const fields = Array.from(fieldsOf(value), named);
  const items = typeof value[Symbol.iterator] === 'function' ? unnamed(value) : [];
  if (items.length === 0 && fields.length === 0 && !isPlain(value)) throw unreadable(value);
  if (items.length === 0 || fields.length === 0) return items.length === 0 ? fields : items;
  // Of a collection with fields, both may be the same text.
  const sizeOf = (parts) => parts.reduce((total, part) => total + textSize(part.value, size), 0);
  return sizeOf(items) > sizeOf(fields) ? items : fields;
}

function readParts(value, size, isNamed) {
  try {
    return partsOf(value, size, isNamed);
  } catch (error) {
    throw error?.field === 'units' ? error : unreadable(value);
  }
}

/** Sums the sizes of all text in a value, at any depth. `isNamed` counts the names of its own fields as well. */
function textSize(given, size, isNamed = true) {
  let total = 0;
  const above = new Set();
  const waiting = [{ value: given, isNamed }];
  while (waiting.length > 0) {
    const { value, name, isNamed: hasNames, left } = waiting.pop();
    if (name !== undefined) total += size(name);
    if (left !== undefined) {
      above.delete(left);
    } else if (typeof value === 'string') {
      total += size(value);
    } else if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) {
      total += value.byteLength;
    } else if (value !== null && typeof value === 'object' && !isNoText(value) && !above.has(value)) {
      above.add(value);
      waiting.push({ left: value });
      for (const part of readParts(value, size, hasNames)) waiting.push(part);
    }
  }
  return total;
}

/* The names in an object of arguments are the tool's, not the caller's text. */
function argumentsSize(args, size) {
  return args.reduce((total, argument) => total + textSize(argument, size, false), 0);
}

/** Estimates the tokens of a call's input: the bytes of all text in its arguments as UTF-8, over four, rounded up. */
function estimateTokens(...args) {
  return Math.ceil(argumentsSize(args, utf8) / BYTES_A_TOKEN);
}

// ---- Usage ----

/** Whether a meter's count can be known from the arguments alone, where nothing says how. */
function isCountable(meter) {
  return meter === 'inputTokens' || !(meter.endsWith('Tokens') || meter === 'value');
}

/** Makes the function of a tool's arguments that estimates the usage of a call; undefined where nothing can be said. */
function counterOf(pers, units) {
  const meters = pers.map(meterOf);
  if (typeof units === 'function') return { meter: meters[0], count: units };
  if (units !== undefined) {
    if (typeof units !== 'string') {
      throw refuse('INVALID_ARGUMENT', "units is a field's name, or a function of the tool's arguments.", 'units');
    }
    return { meter: meters[0], count: (first) => measured(first?.[units], pers[0], units) };
  }
  if (!meters.every(isCountable)) return undefined;
  if (pers.length === 1) {
    const each = countOf(pers[0]);
    return { meter: meters[0], count: (...args) => each(args) };
  }
  const counts = pers.map((per, i) => [meters[i], countOf(per)]);
  const count = (...args) => Object.fromEntries(counts.map(([meter, each]) => [meter, each(args)]));
  return { meter: meters[0], count };
}

function countOf(per) {
  if (INPUT_TOKENS.has(per) || meterOf(per) === 'inputTokens') return (args) => estimateTokens(...args);
  if (CHARACTERS.has(per)) return (args) => argumentsSize(args, characters);
  return () => 1;
}

/** A field that holds a number, also as text, is the usage; text and collections are measured where they can be. */
function measured(value, per, field) {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (value != null && (INPUT_TOKENS.has(per) || meterOf(per) === 'inputTokens')) {
    return Math.ceil(textSize(value, utf8, false) / BYTES_A_TOKEN);
  }
  if (value != null && CHARACTERS.has(per)) return textSize(value, characters, false);
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))) return value.trim();
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return value.length ?? value.byteLength;
  if (value instanceof Set || value instanceof Map) return value.size;
  const given = value === undefined ? 'is missing' : 'is neither a number nor a collection';
  throw refuse('INVALID_ARGUMENT', `The argument ${field} ${given}, so the usage of the call is not known.`, 'units');
}

module.exports = { REQUESTS, counterOf, estimateTokens, meterOf, pricePer };
