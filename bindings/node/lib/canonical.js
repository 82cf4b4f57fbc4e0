'use strict';

/* What a call is given, as a text that is the same for the same arguments in another try, another thread and another
 * process: names are sorted, and what has no content to compare counts as its type. It is part of the call's key. */

const { createHash } = require('node:crypto');
const { types } = require('node:util');

const DEPTH_MAX = 200;
const TEXT_MAX = 1024;

function digest(content) {
  return createHash('sha256').update(content).digest('hex');
}

function typeOf(value) {
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === 'string' ? name : 'object';
}

/* Marks what JSON cannot say, so that it is not taken for text that looks like it. */
function marked(kind, content) {
  return `<${kind} ${content}>`;
}

function bytesOf(value) {
  return ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
}

/* Objects whose fields are their workings, which differ from one try to the next. */
function isOpaque(value) {
  return (
    value instanceof AbortSignal ||
    value instanceof EventTarget ||
    types.isPromise(value) ||
    types.isProxy(value) ||
    types.isGeneratorObject(value) ||
    typeof value.on === 'function' ||
    typeof value.getReader === 'function' ||
    typeof value.next === 'function'
  );
}

function textOf(value, above) {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return Number.isFinite(value) ? String(value === 0 ? 0 : value) : marked('number', value);
    case 'bigint':
      return String(value);
    case 'boolean':
      return String(value);
    case 'undefined':
      return 'null';
    case 'object':
      return value === null ? 'null' : objectText(value, above);
    default:
      return marked(typeof value, value.description ?? value.name ?? '');
  }
}

function objectText(value, above) {
  if (above.includes(value)) return marked('above', above.length - above.indexOf(value));
  if (above.length === DEPTH_MAX) return marked('deep', typeOf(value));
  const inner = [...above, value];
  try {
    return contentText(value, inner);
  } catch {
    return marked('object', typeOf(value)); // it does not let itself be read
  }
}

function contentText(value, inner) {
  const item = (one) => textOf(one, inner);
  if (Array.isArray(value)) return `[${value.map(item).join(',')}]`;
  if (types.isBoxedPrimitive(value)) return item(value.valueOf());
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return marked(typeOf(value), digest(bytesOf(value)));
  if (value instanceof Map) {
    const entries = [...value].map(([key, one]) => `${item(key)}:${item(one)}`);
    return marked('Map', entries.sort().join(','));
  }
  if (value instanceof Set) return marked('Set', [...value].map(item).sort().join(','));
  if (value instanceof RegExp) return marked('RegExp', String(value));
  if (typeof value.toJSON === 'function') return item(value.toJSON());
  if (isOpaque(value)) return marked('object', typeOf(value));
  const fields = Object.keys(value);
  if (value instanceof Error) fields.push('name', 'message');
  if (fields.length === 0 && !isPlain(value)) return marked('object', typeOf(value));
  const members = fields.sort().filter((name) => value[name] !== undefined);
  return `{${members.map((name) => `${JSON.stringify(name)}:${item(value[name])}`).join(',')}}`;
}

function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Writes arguments in their one form; a long one is its digest. */
function canonical(args) {
  let length = args.length;
  while (length > 0 && args[length - 1] === undefined) length -= 1;
  const text = textOf(args.slice(0, length), []);
  return text.length <= TEXT_MAX ? text : marked('digest', digest(text));
}

module.exports = { canonical, isPlain };
