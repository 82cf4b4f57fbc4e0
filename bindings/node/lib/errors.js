'use strict';

/* Errors: one class a family of statuses, one code a reason. */

const { REFUSALS, STATUSES, STATUS_OF } = require('./statuses');

/** A call was not carried out; the subclass says what a caller can do about it. */
class FareboxError extends Error {
  constructor(code, message = '', { field = '', retryable, details = {} } = {}) {
    const row = STATUSES[STATUS_OF[code]];
    super(message || (row === undefined ? 'The library gave an unknown status.' : row.doc));
    this.code = row === undefined ? 'UNKNOWN' : code;
    this.number = row === undefined ? Number(code) || 0 : STATUS_OF[code];
    this.field = field;
    this.retryable = retryable === undefined ? row !== undefined && row.retryable : retryable;
    this.details = details;
    this.userMessage = '';
  }

  get name() {
    return this.constructor.name;
  }
}

/** The request is wrong as it stands: change it. */
class RequestError extends FareboxError {}

/** The engine is closed, or was called back from its own callback. */
class HandleError extends FareboxError {}

/** The account, asset, tool or transfer named does not exist, or is not in a state that allows this. */
class StateError extends FareboxError {
  /** A payer that is unknown, frozen or closed is both: a state, and the reason of a refusal. */
  static [Symbol.hasInstance](value) {
    return Function.prototype[Symbol.hasInstance].call(this, value) || (this === StateError && isPayerRefused(value));
  }
}

/** An expected "no": a payer, a wallet, a budget, a limit or a price stood against it, and nothing was moved. */
class PaymentRefused extends FareboxError {
  constructor(code, message = '', options = {}) {
    super(code, message, options);
    this.userMessage = options.userMessage || REFUSALS[this.number] || REFUSALS[0];
  }

  /** The binding constraint: its kind, limit, what is spent, and what is held and by whom. */
  get constraint() {
    const inner = this.details.constraint;
    return inner !== null && typeof inner === 'object' ? { ...inner } : { ...this.details };
  }
}

/** The payer is unknown, frozen or closed, or may not use the tool: a refusal, and a StateError as well. */
class PayerRefused extends PaymentRefused {}

function isPayerRefused(value) {
  return value instanceof PayerRefused;
}

/** The hold is captured, released or expired, or the capture is more than is left of it. */
class HoldError extends FareboxError {}

/** The idempotency key was used for another request; `field` names the first difference. */
class KeyConflict extends FareboxError {}

/** The webhook must not be trusted. */
class WebhookError extends FareboxError {}

/** The store could not do it. */
class StoreError extends FareboxError {}

/** A plugin could not be loaded, or its call did not succeed; where a call was made, its payer was charged nothing. */
class PluginError extends FareboxError {}

/** A fault of the library's own, or of the machine. */
class InternalError extends FareboxError {}

const FAMILIES = {
  request: RequestError,
  handle: HandleError,
  state: StateError,
  refused: PaymentRefused,
  hold: HoldError,
  conflict: KeyConflict,
  webhook: WebhookError,
  store: StoreError,
  internal: InternalError,
  plugin: PluginError,
};

/** Names a field of the C header as this package does: `max_cost` is `maxCost`, `idempotency_key` is `key`.
 *
 * What is inside of a tool's input or of metadata has the caller's own names. */
function fieldName(field) {
  if (/^(input|metadata)\b/.test(field)) return field;
  return field.replace('idempotency_key', 'key').replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

function parsedDetails(text) {
  if (!text) return {};
  try {
    const details = JSON.parse(text);
    return details !== null && typeof details === 'object' && !Array.isArray(details) ? details : {};
  } catch {
    return {};
  }
}

/** Makes the error of a status number, of the class of its family; a number outside the table is an InternalError.
 *
 * `refusal` is what the library says of it: then it is a PaymentRefused, whatever its family. */
function errorOf(number, message = '', options = {}) {
  const row = STATUSES[number];
  let kind = (row !== undefined && FAMILIES[row.family]) || InternalError;
  if (options.refusal && kind !== PaymentRefused) kind = PayerRefused;
  return new kind(row === undefined ? String(number) : row.name, message, options);
}

/** Makes the error that the addon describes. `verbatim` keeps the field's name as the JSON door has it. */
function failureOf({ number, message, field, retryable, details, refusal, userMessage, told }, verbatim = false) {
  if (!told) return errorOf(number);
  return errorOf(number, message, {
    field: verbatim ? field : fieldName(field),
    retryable,
    details: parsedDetails(details),
    refusal,
    userMessage,
  });
}

/** Makes the error of a request that this package itself refuses. */
function refuse(code, message, field) {
  return new RequestError(code, message, { field });
}

module.exports = {
  FareboxError,
  HandleError,
  HoldError,
  InternalError,
  KeyConflict,
  PayerRefused,
  PaymentRefused,
  PluginError,
  RequestError,
  StateError,
  StoreError,
  WebhookError,
  errorOf,
  failureOf,
  refuse,
};
