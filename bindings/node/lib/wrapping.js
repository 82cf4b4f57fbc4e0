'use strict';

/* Wrappers around each kind of function. What a result is decides how its call ends, and not what its function is. */

const { storage } = require('./context');
const { ENDING } = require('./metering');
const { Running, asyncIterator, isAborted, iterator } = require('./streams');

/** Returns the metered function, of the same kind, name and length. */
function wrap(meter, fn) {
  const wrapper = WRAPPERS[fn[Symbol.toStringTag]] ?? plain;
  const metered = wrapper(meter, fn);
  Object.defineProperty(metered, 'name', { value: fn.name, configurable: true });
  Object.defineProperty(metered, 'length', { value: fn.length, configurable: true });
  Object.defineProperty(metered, 'farebox', { value: meter.pricing });
  return metered;
}

const WRAPPERS = { AsyncFunction: asynchronous, GeneratorFunction: generator, AsyncGeneratorFunction: asyncGenerator };

function streamOf(meter, scope, args, result) {
  return result !== null && typeof result === 'object' ? new Running(meter, scope, args).stream(result) : undefined;
}

function endingOf(args, error) {
  return isAborted(args, error) ? ENDING.LEFT : ENDING.FAILED;
}

function plain(meter, fn) {
  return function metered(...args) {
    const scope = meter.beginSync(this, args);
    let result, stream;
    try {
      result = storage.run(scope, () => fn.apply(this, args));
      if (typeof result?.then === 'function') return settled(meter, scope, args, result);
      stream = streamOf(meter, scope, args, result);
    } catch (error) {
      meter.abandonSync(scope, endingOf(args, error), false);
      throw error;
    }
    if (stream !== undefined) return stream;
    meter.finishSync(scope, ENDING.RETURNED, false, result);
    return result;
  };
}

/* What a promise of a result comes to. */
async function settled(meter, scope, args, promise) {
  let result, stream;
  try {
    result = await promise;
    stream = streamOf(meter, scope, args, result);
  } catch (error) {
    await meter.abandon(scope, endingOf(args, error), false);
    throw error;
  }
  if (stream !== undefined) return stream;
  await meter.finish(scope, ENDING.RETURNED, false, result);
  return result;
}

function asynchronous(meter, fn) {
  return async function metered(...args) {
    const scope = await meter.begin(this, args);
    return settled(meter, scope, args, storage.run(scope, () => fn.apply(this, args)));
  };
}

/* A generator begins its call at its first step, and the payer is that of the context in which it was made: it may be
 * consumed anywhere. */
function made(store) {
  return store?.payment === undefined ? (work) => work() : (work) => storage.run(store, work);
}

/* Gives a function the kind of another, as `constructor.name` and `Symbol.toStringTag` tell it. */
function likewise(fn, metered) {
  return Object.setPrototypeOf(metered, Object.getPrototypeOf(fn));
}

function generator(meter, fn) {
  const steps = function* (receiver, args, there) {
    const call = new Running(meter, there(() => meter.beginSync(receiver, args)), args);
    let inner;
    try {
      inner = call.inside(() => fn.apply(receiver, args));
    } catch (error) {
      call.failSync(error);
      throw error;
    }
    return yield* iterator(call, inner);
  };
  return likewise(fn, function metered(...args) {
    return steps(this, args, made(storage.getStore()));
  });
}

function asyncGenerator(meter, fn) {
  const steps = async function* (receiver, args, there) {
    const call = new Running(meter, await there(() => meter.begin(receiver, args)), args);
    let inner;
    try {
      inner = call.inside(() => fn.apply(receiver, args));
    } catch (error) {
      await call.fail(error);
      throw error;
    }
    return yield* asyncIterator(call, inner);
  };
  return likewise(fn, function metered(...args) {
    return steps(this, args, made(storage.getStore()));
  });
}

module.exports = { wrap };
