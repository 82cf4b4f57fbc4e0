'use strict';

/* Webhooks: signature and age, over the raw bytes. */

const { HandleError, failureOf, refuse } = require('./errors');
const { microsecondsOf } = require('./json');
const { native } = require('./library');
const { optionsOf } = require('./requests');

const SCHEMES = { standard: 0, stripe: 1, robutler: 2 };
const SIGNATURES = { standard: 'webhook-signature', stripe: 'stripe-signature', robutler: 'x-robutler-signature' };
const OPTIONS = new Set(['scheme', 'tolerance', 'now']);
const ENGINE_OPTIONS = new Set([...OPTIONS, 'eventId']);
const TOLERANCE = 300;
const SECRETS_MAX = 64; // the engine's own limit is lower

/** Finds a header by its name in small letters: in a Headers or Map, or an object of any case. */
function header(headers, name) {
  if (headers === null || typeof headers !== 'object') {
    throw refuse('INVALID_ARGUMENT', 'The headers are an object, a Headers or a Map.', 'headers');
  }
  const entries = typeof headers.entries === 'function' ? headers.entries() : Object.entries(headers);
  for (const [key, value] of entries) {
    if (String(key).toLowerCase() !== name || value == null) continue;
    const single = Array.isArray(value) && value.length === 1 ? value[0] : value;
    if (typeof single !== 'string' && !(single instanceof Uint8Array)) {
      throw refuse('INVALID_ARGUMENT', 'A header is a string.', `headers.${name}`);
    }
    return single;
  }
  return undefined;
}

function schemeOf(headers, scheme) {
  if (scheme == null) {
    const found = Object.keys(SIGNATURES).find((name) => header(headers, SIGNATURES[name]) !== undefined);
    return found ?? 'standard';
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
  const scheme = schemeOf(headers, options.scheme);
  const standard = scheme === 'standard';
  const texts = [
    body,
    header(headers, SIGNATURES[scheme]),
    standard ? header(headers, 'webhook-id') : (options.eventId ?? undefined),
    standard ? header(headers, 'webhook-timestamp') : undefined,
  ];
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
