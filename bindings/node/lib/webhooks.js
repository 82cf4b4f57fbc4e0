'use strict';

/* Webhooks: signature and age, over the raw bytes. */

const { HandleError, WebhookError, failureOf, refuse } = require('./errors');
const { microsecondsOf } = require('./json');
const { native } = require('./library');
const { optionsOf } = require('./requests');

const SCHEMES = { standard: 0, stripe: 1, robutler: 2 };
/** The header names of each scheme: signature, id and timestamp. Of two sets the first that is whole counts. */
const HEADERS = {
  standard: [
    ['webhook-signature', 'webhook-id', 'webhook-timestamp'],
    ['svix-signature', 'svix-id', 'svix-timestamp'],
  ],
  stripe: [['stripe-signature']],
  robutler: [['x-robutler-signature']],
};
const NAMES = new Set(Object.values(HEADERS).flat(2));
const OPTIONS = new Set(['scheme', 'tolerance', 'now']);
const ENGINE_OPTIONS = new Set([...OPTIONS, 'eventId', 'sender']);
const TOLERANCE = 300;
const SECRETS_MAX = 64; // the engine's own limit is lower

/** The pairs of name and value of a Headers, a Map, an object, a list of pairs, or `rawHeaders` of node:http. */
function pairsOf(headers) {
  if (headers === null || typeof headers !== 'object') {
    throw refuse('INVALID_ARGUMENT', 'The headers are an object, a Headers, a Map or a list.', 'headers');
  }
  if (!Array.isArray(headers)) {
    return typeof headers.entries === 'function' ? headers.entries() : Object.entries(headers);
  }
  if (headers.every((one) => Array.isArray(one) && one.length === 2)) return headers;
  if (headers.length % 2 !== 0 || headers.some(Array.isArray)) {
    throw refuse('INVALID_ARGUMENT', 'A list of headers has pairs, or names and values by turns.', 'headers');
  }
  return headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]]] : []));
}

const textOf = (value) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value));

/** The headers that a scheme knows, by their names in small letters. */
function headersOf(headers) {
  const found = new Map();
  for (const [key, value] of pairsOf(headers)) {
    const name = textOf(key).toLowerCase();
    if (!NAMES.has(name) || value == null) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one !== 'string' && !(one instanceof Uint8Array)) {
        throw refuse('INVALID_ARGUMENT', 'A header is a string.', `headers.${name}`);
      }
      if (found.has(name) && textOf(found.get(name)) !== textOf(one)) {
        const message = `The header ${name} is there twice.`;
        throw new WebhookError('SIGNATURE_MALFORMED', message, { field: `headers.${name}` });
      }
      found.set(name, one);
    }
  }
  return found;
}

function schemeOf(found, scheme) {
  if (scheme == null) {
    return Object.keys(HEADERS).find((one) => HEADERS[one].some(([name]) => found.has(name))) ?? 'standard';
  }
  if (typeof scheme !== 'string' || !Object.hasOwn(SCHEMES, scheme)) {
    throw refuse('INVALID_ARGUMENT', "The scheme is 'standard', 'stripe' or 'robutler'.", 'scheme');
  }
  return scheme;
}

function toleranceOf(tolerance) {
  if (tolerance === null) return -1n;
  if (!Number.isSafeInteger(tolerance) || tolerance === 0) {
    const message = 'A tolerance is at least 1 whole second, or null for no check.';
    throw refuse('INVALID_ARGUMENT', message, 'tolerance');
  }
  return BigInt(tolerance);
}

function secretsOf(secrets) {
  const list = typeof secrets === 'string' || secrets instanceof Uint8Array ? [secrets] : secrets;
  if (!Array.isArray(list) || list.some((one) => typeof one !== 'string' && !(one instanceof Uint8Array))) {
    throw refuse('INVALID_ARGUMENT', 'A secret is a string or a Uint8Array.', 'secrets');
  }
  if (list.length > SECRETS_MAX) throw refuse('TOO_LONG', `There are more than ${SECRETS_MAX} secrets.`, 'secrets');
  return list;
}

/** Makes the numbers and texts of a verification. */
function webhookCall(body, headers, secrets, given, known) {
  const options = optionsOf(given, known);
  if (!(body instanceof Uint8Array)) {
    throw refuse('INVALID_ARGUMENT', 'The body is the raw bytes as a Uint8Array, not decoded text.', 'body');
  }
  const found = headersOf(headers);
  const scheme = schemeOf(found, options.scheme);
  const sets = HEADERS[scheme];
  const names =
    sets.find((set) => set.every((name) => found.has(name))) ?? sets.find(([name]) => found.has(name)) ?? sets[0];
  const [signature, id, timestamp] = names.map((name) => found.get(name));
  const number = scheme === 'standard' ? id : (options.eventId ?? undefined);
  const texts = [body, signature, number, timestamp, options.sender ?? undefined];
  const mask = texts.reduce((bits, text, i) => (text === undefined ? bits : bits | (1 << i)), 0);
  const tolerance = toleranceOf(options.tolerance === undefined ? TOLERANCE : options.tolerance);
  const now = options.now == null ? 0n : microsecondsOf(options.now, 'now');
  const numbers = BigInt64Array.of(BigInt(mask), BigInt(SCHEMES[scheme]), tolerance, now);
  return { numbers, texts: [...texts.filter((text) => text !== undefined), ...secretsOf(secrets)] };
}

/** Verifies the signature and age of a webhook; if it returns, the body may be trusted. */
function verifyWebhook(body, headers, secrets, options) {
  const { numbers, texts } = webhookCall(body, headers, secrets, options, OPTIONS);
  const failure = native().verifyWebhookSync(null, numbers, texts);
  if (failure !== undefined) throw failureOf(failure);
}

/** The same with the replay guard of an engine. */
function verifySync(core, body, headers, secrets, options) {
  if (core.closed) throw new HandleError('CLOSED');
  const { numbers, texts } = webhookCall(body, headers, secrets, options, ENGINE_OPTIONS);
  const failure = native().verifyWebhookSync(core.handle, numbers, texts);
  if (failure !== undefined) throw failureOf(failure);
}

async function verify(core, body, headers, secrets, options) {
  if (core.closed) throw new HandleError('CLOSED');
  const { numbers, texts } = webhookCall(body, headers, secrets, options, ENGINE_OPTIONS);
  const failure = await native().verifyWebhook(core.handle, numbers, texts);
  if (failure !== undefined) throw failureOf(failure);
}

module.exports = { verify, verifySync, verifyWebhook };
