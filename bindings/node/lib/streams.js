'use strict';

/* Streams that a tool gives: iterators, async iterators, Node's Readable and the web's ReadableStream. A call that
 * gives one ends with it: at its end, at its error, or where the consumer leaves it, also by forgetting it. What the
 * tool does between two items belongs to the call, and what the consumer does there does not. */

const { Duplex, Readable, Transform } = require('node:stream');

const { storage } = require('./context');
const { ENDING } = require('./metering');

/* What a wrapped Readable says by itself; other events come from the stream behind it. */
const OWN_EVENTS = new Set(['data', 'end', 'close', 'error', 'readable', 'pause', 'resume', 'pipe', 'unpipe']);
const LISTENERS = new Set(['newListener', 'removeListener']);

/* Ends the calls whose streams were dropped. What it holds must not lead to the stream. */
const dropped = new FinalizationRegistry((call) => call.drop());

function signalsOf(argument) {
  if (argument === null || typeof argument !== 'object') return [];
  try {
    return [argument, argument.signal, argument.abortSignal].filter((one) => one instanceof AbortSignal);
  } catch {
    return [];
  }
}

/** Whether the caller gave up: by a signal that it handed to the tool, or by one that cannot be seen from here. */
function isAborted(args, error) {
  const signals = args.flatMap(signalsOf);
  return signals.length > 0 ? signals.some((signal) => signal.aborted) : error?.name === 'AbortError';
}

/** One running call whose result comes in parts, or after the call: how it ends, once. */
class Running {
  constructor(meter, scope, args) {
    this.meter = meter;
    this.scope = scope;
    this.args = args;
    this.delivered = false;
    this.isLeft = false;
    this.isWhole = false; // handed over as an object of which nothing was read yet
    this.taken = 0;
    this.ended = undefined; // what those wait for who come later
    this.cancel = undefined; // closes what is behind a stream that was dropped
  }

  /** Runs a step of the tool. */
  inside(work) {
    return storage.run(this.scope, work);
  }

  endingOf(error) {
    return this.isLeft || isAborted(this.args, error) ? ENDING.LEFT : ENDING.FAILED;
  }

  // ---- At once ----

  returnSync(result) {
    const ending = this.isLeft ? ENDING.LEFT : ENDING.RETURNED;
    if (this.#close()) this.meter.finishSync(this.scope, ending, this.delivered, result);
  }

  failSync(error) {
    if (this.#close()) this.meter.abandonSync(this.scope, this.endingOf(error), this.delivered);
  }

  #close() {
    if (this.ended !== undefined) return false;
    this.ended = Promise.resolve();
    dropped.unregister(this);
    return true;
  }

  // ---- Off the event loop ----

  return(result) {
    const ending = this.isLeft ? ENDING.LEFT : ENDING.RETURNED;
    return this.#end(() => this.meter.finish(this.scope, ending, this.delivered, result));
  }

  fail(error) {
    return this.#end(() => this.meter.abandon(this.scope, this.endingOf(error), this.delivered));
  }

  #end(work) {
    if (this.ended === undefined) {
      dropped.unregister(this);
      this.ended = work();
    }
    return this.ended;
  }

  // ---- Streams ----

  /** Ends the call when a stream is collected. */
  watch(stream) {
    this.taken += 1;
    if (this.ended === undefined) dropped.register(stream, this, this);
    return stream;
  }

  drop() {
    if (this.ended !== undefined || this.scope.core.closed) return;
    this.isLeft = !this.isWhole;
    const ending = this.isLeft ? ENDING.LEFT : ENDING.RETURNED;
    this.ended = this.meter.abandon(this.scope, ending, this.delivered);
    this.cancel?.();
  }

  /** Gives a result as a stream that ends the call, or undefined where it is no stream. */
  stream(result) {
    if (result === null || typeof result !== 'object') return undefined;
    if (result instanceof ReadableStream) return result.locked ? undefined : webStream(this, result);
    if (isNodeStream(result)) return isReadable(result) ? readable(this, result) : undefined;
    if (typeof result[Symbol.asyncIterator] === 'function') {
      return typeof result.next === 'function' ? asyncIterator(this, result) : asyncIterable(this, result);
    }
    if (typeof result.next !== 'function' || typeof result[Symbol.iterator] !== 'function') return undefined;
    return result[Symbol.iterator]() === result ? iterator(this, result) : undefined;
  }
}

// ---- Iterators ----

/* Gives an object methods in front of those it has, so that everything else of it stays; what cannot be changed gets a
 * stand-in. */
function fronted(object, methods) {
  const keys = Reflect.ownKeys(methods);
  const isFree = (key) => Object.getOwnPropertyDescriptor(object, key)?.configurable ?? Object.isExtensible(object);
  const target = keys.every(isFree) ? object : Object.create(object);
  for (const key of keys) {
    Object.defineProperty(target, key, { value: methods[key], writable: true, configurable: true });
  }
  return target;
}

function iterator(call, inner) {
  const { next, return: close, throw: raise } = inner;
  const step = (work) => {
    let result;
    try {
      result = call.inside(work);
    } catch (error) {
      call.failSync(error);
      throw error;
    }
    if (result?.done) call.returnSync(result.value);
    else call.delivered = true;
    return result;
  };
  const leave = (...given) => {
    call.isLeft = true;
    return step(() => (close === undefined ? { done: true, value: given[0] } : close.apply(inner, given)));
  };
  const methods = {
    next: (...given) => step(() => next.apply(inner, given)),
    return: leave,
    throw: (error) => {
      if (raise !== undefined) return step(() => raise.call(inner, error));
      leave();
      throw error;
    },
    [Symbol.iterator]() {
      return this;
    },
  };
  return call.watch(fronted(inner, methods));
}

function asyncIterator(call, inner) {
  const { next, return: close, throw: raise } = inner;
  const step = async (work) => {
    let result;
    try {
      result = await call.inside(work);
    } catch (error) {
      await call.fail(error);
      throw error;
    }
    if (result?.done) await call.return(result.value);
    else call.delivered = true;
    return result;
  };
  const leave = (...given) => {
    call.isLeft = true;
    return step(() => (close === undefined ? { done: true, value: given[0] } : close.apply(inner, given)));
  };
  const methods = {
    next: (...given) => step(() => next.apply(inner, given)),
    return: leave,
    throw: async (error) => {
      if (raise !== undefined) return step(() => raise.call(inner, error));
      await leave();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  return call.watch(fronted(inner, methods));
}

/* An object that can be iterated and does other things as well, such as a provider's stream. It is metered when it is
 * iterated, also through what its methods give; if it is dropped without that, it was a value. */
function asyncIterable(call, object) {
  call.isWhole = true;
  const begin = object[Symbol.asyncIterator];
  const methods = {
    [Symbol.asyncIterator]() {
      call.isWhole = false;
      return asyncIterator(call, begin.call(object));
    },
  };
  for (const name of methodNames(object)) {
    const method = object[name];
    methods[name] = function (...given) {
      const before = call.taken;
      const result = method.apply(this, given);
      return result === object || call.taken > before ? result : derived(call, result);
    };
  }
  return call.watch(fronted(object, methods));
}

function methodNames(object) {
  const names = new Set();
  for (let each = object; each !== null && each !== Object.prototype; each = Object.getPrototypeOf(each)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(each))) {
      if (typeof value === 'function' && name !== 'constructor') names.add(name);
    }
  }
  return names;
}

function derived(call, result) {
  if (Array.isArray(result)) return result.map((one) => derived(call, one));
  const { isWhole } = call;
  const stream = call.stream(result);
  call.isWhole = stream === undefined && isWhole;
  return stream ?? result;
}

// ---- Node's streams ----

function isNodeStream(value) {
  return typeof value.pipe === 'function' && typeof value.on === 'function';
}

/* A connection that can be written to is a thing to work with, and no result that ends. */
function isReadable(value) {
  if (value instanceof Duplex && !(value instanceof Transform)) return value.readable && !value.writable;
  return value instanceof Readable || value.readable === true;
}

function readable(call, inner) {
  const source = typeof inner[Symbol.asyncIterator] === 'function' ? inner : new Readable().wrap(inner);
  const items = source[Symbol.asyncIterator]();
  const isObjects = source.readableObjectMode;
  let seen; // weak, so that a stream that is dropped can be collected
  const fail = async (error) => {
    const reason = await call.fail(error).then(() => error, (refusal) => refusal);
    seen.deref()?.destroy(reason);
  };
  const read = async () => {
    for (;;) {
      const { done, value } = await call.inside(() => items.next());
      if (done) {
        await call.return();
        return null;
      }
      if (isObjects || value.length > 0) return value;
    }
  };
  const outer = new Readable({
    objectMode: isObjects,
    encoding: source.readableEncoding ?? undefined,
    highWaterMark: 0, // the stream behind reads ahead already
    read() {
      read().then((item) => {
        if (item !== null) call.delivered = true;
        this.push(item);
      }, fail);
    },
    destroy(error, done) {
      if (call.ended === undefined) call.isLeft = true;
      inner.destroy?.();
      call.return().then(() => done(error), (refusal) => done(error ?? refusal));
    },
  });
  seen = new WeakRef(outer);
  call.cancel = () => inner.destroy?.();
  inner.on('error', fail);
  forward(inner, outer, seen);
  return call.watch(outer);
}

/* What the stream behind has beside what every Readable has is reached through the one in front. */
function forward(inner, outer, seen) {
  for (let each = inner; each !== null && each !== Object.prototype; each = Object.getPrototypeOf(each)) {
    for (const name of Reflect.ownKeys(each)) {
      if (name in outer) continue;
      Object.defineProperty(outer, name, {
        get: () => (typeof inner[name] === 'function' ? inner[name].bind(inner) : inner[name]),
        set: (value) => {
          inner[name] = value;
        },
        configurable: true,
      });
    }
  }
  const { emit } = inner;
  inner.emit = function (event, ...args) {
    const answer = emit.call(this, event, ...args);
    if (!OWN_EVENTS.has(event) && !LISTENERS.has(event)) seen.deref()?.emit(event, ...args);
    return answer;
  };
}

// ---- The web's streams ----

function isOfBytes(stream) {
  try {
    stream.getReader({ mode: 'byob' }).releaseLock();
    return true;
  } catch {
    return false;
  }
}

function webStream(call, inner) {
  const isBytes = isOfBytes(inner);
  const reader = inner.getReader();
  const read = async () => {
    for (;;) {
      const item = await call.inside(() => reader.read());
      if (item.done || !isBytes || item.value.byteLength > 0) return item;
    }
  };
  const outer = new ReadableStream(
    {
      type: isBytes ? 'bytes' : undefined,
      async pull(controller) {
        let item;
        try {
          item = await read();
        } catch (error) {
          await call.fail(error);
          throw error;
        }
        if (!item.done) {
          call.delivered = true;
          controller.enqueue(item.value);
          return;
        }
        await call.return();
        controller.close();
        controller.byobRequest?.respond(0);
      },
      async cancel(reason) {
        call.isLeft = true;
        try {
          await call.inside(() => reader.cancel(reason));
        } finally {
          await call.return();
        }
      },
    },
    { highWaterMark: 0 },
  );
  call.cancel = () => reader.cancel().catch(() => undefined);
  const prototype = Object.getPrototypeOf(inner);
  if (prototype !== ReadableStream.prototype) Object.setPrototypeOf(outer, prototype);
  for (const name of Reflect.ownKeys(inner)) {
    if (!(name in outer)) Object.defineProperty(outer, name, Object.getOwnPropertyDescriptor(inner, name));
  }
  return call.watch(outer);
}

module.exports = { Running, asyncIterator, isAborted, iterator };
