'use strict';

/* `pricing` and `meter`: tools whose calls are metered. */

const { refuse } = require('./errors');
const { Meter } = require('./metering');
const { optionsOf } = require('./requests');
const { wrap } = require('./wrapping');

const OPTIONS = new Set([
  'cost',
  'currency',
  'per',
  'units',
  'maxCost',
  'revenueShare',
  'owner',
  'description',
  'category',
  'name',
  'payer',
  'engine',
  'measure',
  'failed',
  'holdMs',
  'durability',
  'skill',
  'rates',
  'model',
  'chargeAfterwards',
  'releaseUnreported',
]);

/** Declares what a tool costs, and meters it. */
function pricing(first, ...rest) {
  if (typeof first === 'function') {
    if (isContext(rest[0])) return decorate({}, first, rest);
    return metered(first, optionsOf(rest[0], OPTIONS));
  }
  // A legacy decorator without options gets target, key and descriptor.
  if (rest.length === 2) return decorate({}, first, rest);
  const options = optionsOf(first, OPTIONS);
  // What can be read is read here, at the declaration, and not at the first tool.
  new Meter(() => undefined, { name: 'tool', ...options });
  return (value, ...more) => decorate(options, value, more);
}

/** Meters a tool written by others: the same as `pricing`, with the function first. */
function meter(fn, options) {
  return metered(fn, optionsOf(options, OPTIONS));
}

function metered(fn, options) {
  if (typeof fn !== 'function' || /^class\b/.test(Function.prototype.toString.call(fn))) {
    throw refuse('INVALID_ARGUMENT', 'What is metered is a function.', 'fn');
  }
  return wrap(new Meter(fn, options), fn);
}

/* The context that a standard decorator gets beside the value. */
function isContext(value) {
  return value !== null && typeof value === 'object' && typeof value.kind === 'string' && 'name' in value;
}

/** Wraps a function, a decorated method of either kind of decorator, or a field that will hold a function. */
function decorate(options, value, [second, descriptor]) {
  if (isContext(second)) {
    const named = { name: String(second.name), ...options };
    if (second.kind === 'method') return metered(value, named);
    if (second.kind === 'field') return (initial) => metered(initial, named);
    throw refuse('INVALID_ARGUMENT', `A ${second.kind} cannot be metered, only a method or a field.`, 'pricing');
  }
  if (descriptor !== undefined || typeof second === 'string' || typeof second === 'symbol') {
    if (typeof descriptor?.value !== 'function') {
      throw refuse('INVALID_ARGUMENT', 'Only a method can be metered.', 'pricing');
    }
    return { ...descriptor, value: metered(descriptor.value, { name: String(second), ...options }) };
  }
  return metered(value, options);
}

module.exports = { meter, pricing };
