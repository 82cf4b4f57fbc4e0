'use strict';

/* JSON of the JSON door: exact both ways. */

const { randomBytes } = require('node:crypto');

const { refuse } = require('./errors');

const TOKENS = /"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/g;
const mark = `${randomBytes(12).toString('hex')}:`;

/** Microseconds since 1970 of a Date, a whole number or a BigInt. */
function microsecondsOf(value, field) {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw refuse('INVALID_ARGUMENT', 'The Date is invalid.', field);
    return BigInt(value.getTime()) * 1000n;
  }
  const number = Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof number !== 'bigint' || BigInt.asIntN(64, number) !== number) {
    throw refuse('INVALID_ARGUMENT', 'A time is a Date, or whole microseconds.', field);
  }
  return number;
}

/** What JSON.stringify would change in silence is refused: NaN, functions, maps and the like. */
function replacer(key, converted) {
  const value = this[key];
  switch (typeof value) {
    case 'bigint':
      return String(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
      return value;
    case 'function':
    case 'symbol':
      throw new TypeError(`a ${typeof value} has no JSON form`);
    case 'object':
      if (value instanceof Date) return String(microsecondsOf(value, key));
      if (value instanceof Map || value instanceof Set || ArrayBuffer.isView(value)) {
        throw new TypeError(`a ${value.constructor.name} has no JSON form`);
      }
      return converted;
    default:
      return converted;
  }
}

/** Writes an object for the JSON door: a BigInt as its digits, a Date as microseconds since 1970. */
function encodeJson(value, field = '') {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw refuse('INVALID_ARGUMENT', 'The value is not an object.', field);
  }
  let text;
  try {
    text = JSON.stringify(value, replacer);
  } catch (error) {
    if (error.code !== undefined) throw error;
    throw refuse('INVALID_ARGUMENT', `The value has no JSON form: ${error.message.split('\n')[0]}.`, field);
  }
  if (text === undefined) throw refuse('INVALID_ARGUMENT', 'The value has no JSON form.', field);
  return text;
}

/** Reads what the JSON door answers; an integer that a number cannot hold exactly becomes a BigInt. */
function decodeJson(text) {
  if (!/[0-9]{16}/.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKENS, (token) =>
    /^-?[0-9]{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${mark}${token}"` : token,
  );
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

module.exports = { decodeJson, encodeJson, microsecondsOf };
