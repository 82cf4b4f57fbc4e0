'use strict';

/* Requests as a caller writes them become plans: names checked, money in atomic units, usage in counts. */

const { RequestError, StateError, refuse } = require('./errors');
const { encodeJson, microsecondsOf } = require('./json');
const { toUnits } = require('./money');
const { usageCounts } = require('./usage');

const DURABILITY = { full: 1, normal: 2, relaxed: 3 };
const OVER_CAPTURE = { reject: 0, cap: 1, overflow: 2 };
const AMOUNT_GIVEN = 1;
const MAX_COST_GIVEN = 2;
const CAPTURE_PARTIAL = 1;
const CAPTURE_AMOUNT = 2;
const CAPTURE_USAGE = 4;
const TOOL_UNCHARGED = 1;
const UINT32_MAX = 2 ** 32 - 1;
const CHARGE_TEXTS = ['payer', 'tool', 'payee', 'asset', 'key', 'run', 'call', 'description', 'metadata'];

const CHARGE = new Set([
  'tool',
  'amount',
  'asset',
  'payee',
  'usage',
  'key',
  'run',
  'call',
  'description',
  'metadata',
  'maxCost',
  'durability',
]);
const RESERVE = new Set([...CHARGE, 'expiresInMs', 'overCapture']);
const MANY = new Set([...CHARGE, 'payer']);
const CAPTURE = new Set(['amount', 'usage', 'final', 'key', 'asset', 'description', 'metadata', 'durability']);
const INCREASE = new Set(['key', 'asset', 'description', 'metadata', 'durability']);
const TOOL = new Set(['key', 'run', 'call', 'maxCost', 'deadlineMs', 'durability', 'uncharged']);
const PRICE = new Set(['usage', 'customer', 'maxCost', 'at']);

/** Reads options: undefined is none; anything but an object, or a name that is not known, is refused. */
function optionsOf(options, known, what = 'options') {
  if (options === undefined || options === null) return {};
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw refuse('INVALID_ARGUMENT', 'The options are an object.', what);
  }
  for (const name in options) {
    if (!known.has(name)) throw refuse('UNKNOWN_FIELD', `There is no option ${name}.`, name);
  }
  return options;
}

function choice(table, value, field, what) {
  if (typeof value !== 'string' || !Object.hasOwn(table, value)) {
    throw refuse('INVALID_ARGUMENT', `${field} is ${what}.`, field);
  }
  return table[value];
}

function durabilityOf(value, field = 'durability') {
  return value == null ? 0 : choice(DURABILITY, value, field, "'full', 'normal' or 'relaxed'");
}

function overCaptureOf(value) {
  return value == null ? 0 : choice(OVER_CAPTURE, value, 'overCapture', "'reject', 'cap' or 'overflow'");
}

/** Reads a time span as whole milliseconds. */
function millisecondsOf(value, field) {
  const rounded = typeof value === 'number' ? Math.round(value) : -1;
  if (!(rounded >= 0 && rounded <= UINT32_MAX)) {
    throw refuse('INVALID_ARGUMENT', 'A time span is 0 to 4,294,967,295 milliseconds.', field);
  }
  return rounded;
}

/** Reads how long a hold lasts. The library refuses what is too long, but takes 0 for its default. */
function holdMillisecondsOf(value, field) {
  const rounded = typeof value === 'number' ? Math.round(value) : 0;
  if (!(rounded >= 1 && rounded <= Number.MAX_SAFE_INTEGER)) {
    throw refuse('INVALID_ARGUMENT', 'A hold lasts from 1 ms to 366 days.', field);
  }
  return rounded;
}

/** Reads the number of a hold, or the hold itself. */
function holdOf(hold) {
  const number = hold !== null && typeof hold === 'object' ? hold.id : hold;
  const id = Number.isSafeInteger(number) ? BigInt(number) : number;
  if (typeof id !== 'bigint' || BigInt.asUintN(64, id) !== id) {
    throw refuse('INVALID_ARGUMENT', 'A hold is a Hold, or its number.', 'hold');
  }
  return id;
}

/* null counts as absent, as it does in JSON. */
function textOrNone(value) {
  return value === null ? undefined : value;
}

function metadataOf(value) {
  return value == null ? undefined : encodeJson(value, 'metadata');
}

/** Throws where a text of a charge is none: in a batch, what is wrong with one charge must not be another's error. */
function checkTexts(plan) {
  for (const field of CHARGE_TEXTS) {
    if (plan[field] !== undefined && typeof plan[field] !== 'string') {
      throw refuse('INVALID_ARGUMENT', 'A text is a string.', field);
    }
  }
}

/** Makes the plan of a charge. */
function chargePlan(core, payer, given, known = CHARGE) {
  const options = optionsOf(given, known, 'request');
  const tool = textOrNone(options.tool);
  let asset = textOrNone(options.asset);
  if (asset === undefined && tool === undefined) asset = core.defaultAsset;
  // Of a tool, only a dynamic price takes an amount, in the asset of the price.
  const scaleOf = () => core.scale(asset ?? core.toolAsset(tool));
  const { amount, maxCost, usage } = options;
  return {
    payer,
    tool,
    payee: textOrNone(options.payee),
    asset,
    key: textOrNone(options.key),
    run: textOrNone(options.run),
    call: textOrNone(options.call),
    description: textOrNone(options.description),
    metadata: metadataOf(options.metadata),
    flags: givenFlags(amount, maxCost),
    amount: amount == null ? 0n : unitsOf(amount, scaleOf, 'amount'),
    maxCost: maxCost == null ? 0n : unitsOf(maxCost, scaleOf, 'maxCost'),
    counts: usage == null ? undefined : usageCounts(usage, scaleOf),
    durability: durabilityOf(options.durability),
  };
}

/** The flags of an amount and a maximum that count although they are 0. */
function givenFlags(amount, maxCost) {
  return (amount == null ? 0 : AMOUNT_GIVEN) | (maxCost == null ? 0 : MAX_COST_GIVEN);
}

function unitsOf(value, scaleOf, field) {
  return toUnits(value, typeof value === 'bigint' ? 0 : scaleOf(), field);
}

/** Makes the plan of a reservation. */
function reservePlan(core, payer, options) {
  const plan = chargePlan(core, payer, options, RESERVE);
  plan.expiresInMs = options?.expiresInMs == null ? 0 : holdMillisecondsOf(options.expiresInMs, 'expiresInMs');
  plan.overCapture = overCaptureOf(options?.overCapture);
  return plan;
}

/** Makes the plans of a batch, and an error in place of a request that cannot be encoded; its field names the request. */
function manyPlans(core, requests) {
  if (requests === null || typeof requests !== 'object' || typeof requests[Symbol.iterator] !== 'function') {
    throw refuse('INVALID_ARGUMENT', 'The requests are an array, or another iterable.', 'requests');
  }
  return Array.from(requests, (request, index) => {
    try {
      if (request === null || typeof request !== 'object') {
        throw refuse('INVALID_ARGUMENT', 'A request is an object.', '');
      }
      if (request.payer == null) throw refuse('MISSING_FIELD', 'A request needs a payer.', 'payer');
      const plan = chargePlan(core, request.payer, request, MANY);
      checkTexts(plan);
      return plan;
    } catch (error) {
      if (!(error instanceof RequestError || error instanceof StateError)) throw error;
      error.field = `requests[${index}]${error.field === '' ? '' : '.'}${error.field}`;
      return error;
    }
  });
}

/** Makes the plan of a capture. */
function capturePlan(core, hold, given) {
  const options = optionsOf(given, CAPTURE, 'request');
  const { amount, usage } = options;
  const asset = textOrNone(options.asset) ?? (hold !== null && typeof hold === 'object' ? hold.asset : undefined);
  const scaleOf = () => core.scale(asset);
  let flags = options.final === false ? CAPTURE_PARTIAL : 0;
  if (amount != null) flags |= CAPTURE_AMOUNT;
  if (usage != null) flags |= CAPTURE_USAGE;
  return {
    hold: holdOf(hold),
    key: textOrNone(options.key),
    description: textOrNone(options.description),
    metadata: metadataOf(options.metadata),
    flags,
    amount: amount == null ? 0n : unitsOf(amount, scaleOf, 'amount'),
    maxCost: 0n,
    counts: usage == null ? undefined : usageCounts(usage, scaleOf),
    durability: durabilityOf(options.durability),
  };
}

/** Makes the plan of what is added to a hold. */
function increasePlan(core, hold, amount, given) {
  const options = optionsOf(given, INCREASE);
  const asset = textOrNone(options.asset) ?? (hold !== null && typeof hold === 'object' ? hold.asset : undefined);
  return {
    hold: holdOf(hold),
    key: textOrNone(options.key),
    description: textOrNone(options.description),
    metadata: metadataOf(options.metadata),
    flags: 0,
    amount: unitsOf(amount, () => core.scale(asset), 'amount'),
    maxCost: 0n,
    durability: durabilityOf(options.durability),
  };
}

/** Makes the plan of a release, or of an extension. */
function holdPlan(hold, expiresInMs) {
  const plan = { hold: holdOf(hold), flags: 0, amount: 0n, maxCost: 0n, durability: 0 };
  if (expiresInMs !== undefined) plan.expiresInMs = holdMillisecondsOf(expiresInMs, 'expiresInMs');
  return plan;
}

/** Makes the plan of a quote. */
function pricePlan(core, tool, given) {
  const options = optionsOf(given, PRICE);
  const scaleOf = () => core.scale(core.toolAsset(tool));
  const { at, maxCost, usage } = options;
  return {
    tool,
    customer: textOrNone(options.customer),
    flags: givenFlags(undefined, maxCost),
    amount: 0n,
    maxCost: maxCost == null ? 0n : unitsOf(maxCost, scaleOf, 'maxCost'),
    counts: usage == null ? undefined : usageCounts(usage, scaleOf),
    durability: 0,
    at: at == null ? 0n : microsecondsOf(at, 'at'),
  };
}

/** Makes the plan of a call of a plugin's tool. */
function toolPlan(core, payer, tool, input, given) {
  const options = optionsOf(given, TOOL);
  const { maxCost } = options;
  return {
    payer: textOrNone(payer),
    tool,
    input: input == null ? undefined : encodeJson(input, 'input'),
    key: textOrNone(options.key),
    run: textOrNone(options.run),
    call: textOrNone(options.call),
    flags: givenFlags(undefined, maxCost) | (options.uncharged === true ? TOOL_UNCHARGED : 0),
    amount: 0n,
    maxCost: maxCost == null ? 0n : unitsOf(maxCost, () => core.scale(core.toolAsset(tool)), 'maxCost'),
    durability: durabilityOf(options.durability),
    expiresInMs: options.deadlineMs == null ? 0 : millisecondsOf(options.deadlineMs, 'deadlineMs'),
  };
}

module.exports = {
  AMOUNT_GIVEN,
  CAPTURE_AMOUNT,
  CAPTURE_PARTIAL,
  CAPTURE_USAGE,
  capturePlan,
  CHARGE_TEXTS,
  chargePlan,
  checkTexts,
  durabilityOf,
  givenFlags,
  holdPlan,
  increasePlan,
  manyPlans,
  millisecondsOf,
  optionsOf,
  overCaptureOf,
  pricePlan,
  reservePlan,
  toolPlan,
};
