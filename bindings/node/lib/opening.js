'use strict';

/* How a ledger is opened: the options of `Farebox.open`, as the addon takes them. */

const { fileURLToPath } = require('node:url');

const { refuse } = require('./errors');
const { microsecondsOf } = require('./json');
const { durabilityOf, millisecondsOf, optionsOf } = require('./requests');

const OPEN_EXCLUSIVE = 1;
const OPEN_EXISTING = 2;
const OPEN = new Set([
  'durability',
  'holdDurability',
  'exclusive',
  'existing',
  'keyMemoryBytes',
  'busyTimeoutMs',
  'defaultAsset',
  'defaultOwner',
  'paymentUrl',
  'clock',
]);

/** Reads a URL and options: the URL as it was given, the numbers of the library, and a clock that cannot throw. */
function openCall(given, givenOptions) {
  const options = optionsOf(givenOptions, OPEN);
  const url = addressOf(given);
  const { clock, defaultAsset = 'USD', defaultOwner = null, paymentUrl = '' } = options;
  if (clock !== undefined && typeof clock !== 'function') {
    throw refuse('INVALID_ARGUMENT', 'A clock is a function.', 'clock');
  }
  if (typeof defaultAsset !== 'string') {
    throw refuse('INVALID_ARGUMENT', 'The default asset is a string.', 'defaultAsset');
  }
  if (defaultOwner !== null && typeof defaultOwner !== 'string') {
    throw refuse('INVALID_ARGUMENT', 'The default owner is an account.', 'defaultOwner');
  }
  const place = paymentUrl instanceof URL ? paymentUrl.href : paymentUrl;
  if (typeof place !== 'string') throw refuse('INVALID_ARGUMENT', 'The payment URL is a URL.', 'paymentUrl');
  const numbers = BigInt64Array.of(
    BigInt((options.exclusive ? OPEN_EXCLUSIVE : 0) | (options.existing ? OPEN_EXISTING : 0)),
    BigInt(durabilityOf(options.durability)),
    BigInt(durabilityOf(options.holdDurability, 'holdDurability')),
    bytesOf(options.keyMemoryBytes, 'keyMemoryBytes'),
    timeoutOf(options.busyTimeoutMs),
  );
  return { url, texts: [url, place], options, numbers, defaultAsset, clock: clock && guarded(clock) };
}

/* A URL of a file is a path, as it is to node:fs. */
function addressOf(given) {
  if (typeof given === 'string') return given;
  if (!(given instanceof URL)) throw refuse('INVALID_ARGUMENT', 'The url is a path or a URL.', 'url');
  if (given.protocol !== 'file:') return given.href;
  try {
    return fileURLToPath(given);
  } catch {
    throw refuse('INVALID_ARGUMENT', 'A URL of a file has no host and no escaped slash.', 'url');
  }
}

/* 0 would be the library's default. */
function timeoutOf(value) {
  return value == null ? 0n : BigInt(Math.max(1, millisecondsOf(value, 'busyTimeoutMs')));
}

function bytesOf(value, field) {
  if (value == null) return 0n;
  if (!Number.isSafeInteger(value) || value < 0) {
    throw refuse('INVALID_ARGUMENT', 'A size is a whole number of bytes.', field);
  }
  return BigInt(value);
}

/* What a clock throws must not reach the library: it is a warning, and the time before it is given again. */
function guarded(clock) {
  let last;
  return () => {
    try {
      last = microsecondsOf(clock(), 'clock');
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : new Error(`The clock threw ${String(error)}.`));
    }
    return last ?? BigInt(Date.now()) * 1000n;
  };
}

module.exports = { openCall };
