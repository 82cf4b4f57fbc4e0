'use strict';

/* Wrappers around each kind of function: plain, async, generator, async generator. */

const { storage } = require('./context');
const { later, now } = require('./metering');

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

function plain(meter, fn) {
  return function metered(...args) {
    const scope = now(meter.begin(this, args));
    let result;
    try {
      result = storage.run(scope, () => fn.apply(this, args));
    } catch (error) {
      now(meter.abort(scope));
      throw error;
    }
    if (typeof result?.then === 'function') return settled(meter, scope, result);
    now(meter.finish(scope, result));
    return result;
  };
}

/* What a plain function that gives a promise comes to. */
async function settled(meter, scope, promise) {
  let result;
  try {
    result = await promise;
  } catch (error) {
    await later(meter.abort(scope));
    throw error;
  }
  await later(meter.finish(scope, result));
  return result;
}

function asynchronous(meter, fn) {
  return async function metered(...args) {
    const scope = await later(meter.begin(this, args));
    return settled(meter, scope, storage.run(scope, () => fn.apply(this, args)));
  };
}

/* Gives what the caller answers to a value; a caller that closes the generator leaves through `finally`. */
function* asked(value, close) {
  let closed = true;
  try {
    const answer = yield value;
    closed = false;
    return { thrown: false, value: answer };
  } catch (error) {
    closed = false;
    return { thrown: true, error };
  } finally {
    if (closed) close();
  }
}

async function* askedAsync(value, close) {
  let closed = true;
  try {
    const answer = yield value;
    closed = false;
    return { thrown: false, value: answer };
  } catch (error) {
    closed = false;
    return { thrown: true, error };
  } finally {
    if (closed) await close();
  }
}

/* What the caller does between two steps is outside of the tool, so each step enters the scope by itself. */
function generator(meter, fn) {
  return function* metered(...args) {
    const scope = now(meter.begin(this, args));
    const inside = (work) => storage.run(scope, work);
    let step;
    try {
      const inner = inside(() => fn.apply(this, args));
      step = inside(() => inner.next());
      while (!step.done) {
        const given = yield* asked(step.value, () => {
          inside(() => inner.return());
          now(meter.finish(scope));
        });
        step = inside(() => (given.thrown ? inner.throw(given.error) : inner.next(given.value)));
      }

    } catch (error) {
      now(meter.abort(scope));
      throw error;
    }
    now(meter.finish(scope, step.value));
    return step.value;
  };
}

function asyncGenerator(meter, fn) {
  return async function* metered(...args) {
    const scope = await later(meter.begin(this, args));
    const inside = (work) => storage.run(scope, work);
    let step;
    try {
      const inner = inside(() => fn.apply(this, args));
      step = await inside(() => inner.next());
      while (!step.done) {
        const given = yield* askedAsync(step.value, async () => {
          await inside(() => inner.return());
          await later(meter.finish(scope));
        });
        step = await inside(() => (given.thrown ? inner.throw(given.error) : inner.next(given.value)));
      }

    } catch (error) {
      await later(meter.abort(scope));
      throw error;
    }
    await later(meter.finish(scope, step.value));
    return step.value;
  };
}

module.exports = { wrap };
