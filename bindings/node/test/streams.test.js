'use strict';

/* Tools that give streams: a call ends with what it gave, whatever its function looks like. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Duplex, PassThrough, Readable, Stream, Writable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { setTimeout: sleep } = require('node:timers/promises');

const { pricing, recordUsage } = require('..');
const { collect, spent, usd, warnings, withEngine, withFolder } = require('./support');

const PER_TOKEN = { cost: '0.01', per: 'output_token', maxCost: '5' };
const FLAT = { cost: '1' };

/** Gives the items of a source one by one; `count` of them, each worth ten tokens, then an error if there is one. */
class Source {
  constructor(count, error) {
    this.count = count;
    this.error = error;
    this.given = 0;
    this.closed = 0;
  }

  take() {
    if (this.given === this.count) {
      if (this.error !== undefined) throw this.error;
      return { done: true, value: undefined };
    }
    this.given += 1;
    recordUsage({ outputTokens: 10 });
    return { done: false, value: `item ${this.given}` };
  }
}

/* What a compiler for an older target makes of an async generator. */
function downlevelled(source) {
  return {
    next: async () => source.take(),
    return: async (value) => {
      source.closed += 1;
      return { done: true, value };
    },
    throw: async (error) => {
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/* Forms of a stream, each as [what makes it, how a consumer takes so many items and leaves then]. */
async function takeAsync(stream, most) {
  let taken = 0;
  for await (const item of stream) {
    assert.match(String(item), /^item/);
    taken += 1;
    if (taken === most) break;
  }
  return taken;
}

function takeSync(stream, most) {
  let taken = 0;
  for (const item of stream) {
    assert.match(item, /^item/);
    taken += 1;
    if (taken === most) break;
  }
  return taken;
}

async function takeFromReader(stream, most) {
  const reader = stream.getReader();
  for (let taken = 0; ; taken++) {
    if (taken === most) return reader.cancel('enough');
    if ((await reader.read()).done) return taken;
  }
}

function takeEvents(stream, most) {
  return new Promise((resolve, reject) => {
    let taken = 0;
    stream.on('data', () => {
      taken += 1;
      if (taken === most) stream.destroy();
    });
    stream.on('error', reject);
    stream.on('close', () => setTimeout(resolve, 20, taken));
  });
}

async function takePiped(stream, most) {
  let taken = 0;
  const sink = new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(item, encoding, done) {
      taken += 1;
      if (taken === most) stream.destroy();
      done();
    },
  });
  await pipeline(stream, sink).catch((error) => {
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  });
  await sleep(20);
}

const pulling = (source, type) => ({
  type,
  pull(controller) {
    const { done, value } = source.take();
    if (done) controller.close();
    else controller.enqueue(type === 'bytes' ? new TextEncoder().encode(value) : value);
  },
  cancel() {
    source.closed += 1;
  },
});

function nodeStream(source, options = { objectMode: true, highWaterMark: 1 }) {
  return new Readable({
    ...options,
    read() {
      try {
        const { done, value } = source.take();
        this.push(done ? null : value);
      } catch (error) {
        this.destroy(error);
      }
    },
    destroy(error, done) {
      source.closed += 1;
      done(error);
    },
  });
}

function* yielding(source) {
  for (let step = source.take(); !step.done; step = source.take()) yield step.value;
}

async function* yieldingAsync(source) {
  for (let step = source.take(); !step.done; step = source.take()) {
    await sleep(1);
    yield step.value;
  }
}

/* As the streams of providers' packages: an object that can be iterated, and does more. */
class ProviderStream {
  #source;
  constructor(source) {
    this.#source = source;
  }
  async *[Symbol.asyncIterator]() {
    yield* yieldingAsync(this.#source);
  }
  toReadableStream() {
    const items = this[Symbol.asyncIterator]();
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await items.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => items.return(),
    });
  }
  other() {
    return new ReadableStream(pulling(this.#source), { highWaterMark: 0 });
  }
  get left() {
    return this.#source.count - this.#source.given;
  }
}

const FORMS = {
  'a generator': [(source) => function* () { yield* yielding(source); }, takeSync],
  'an async generator': [(source) => async function* () { yield* yieldingAsync(source); }, takeAsync],
  'a function that gives a generator': [(source) => () => yielding(source), takeSync],
  'a function that gives an async generator': [(source) => () => yieldingAsync(source), takeAsync],
  'an async generator made by a compiler': [(source) => () => downlevelled(source), takeAsync],
  'a promise of an async iterator': [(source) => async () => downlevelled(source), takeAsync],
  'a promise of an iterator': [(source) => async () => yielding(source), takeSync],
  'a frozen iterator': [(source) => () => Object.freeze(downlevelled(source)), takeAsync],
  "a provider's stream": [(source) => async () => new ProviderStream(source), takeAsync],
  "the web stream of a provider's": [
    (source) => async () => new ProviderStream(source),
    (stream, most) => takeFromReader(stream.toReadableStream(), most),
  ],
  "another stream of a provider's": [
    (source) => async () => new ProviderStream(source),
    (stream, most) => takeFromReader(stream.other(), most),
  ],
  'a Readable, iterated': [(source) => () => nodeStream(source), takeAsync],
  'a Readable, by its events': [(source) => () => nodeStream(source), takeEvents],
  'a Readable, piped': [(source) => async () => nodeStream(source), takePiped],
  'a Readable of text': [(source) => () => nodeStream(source, { encoding: 'utf8', highWaterMark: 1 }), takeAsync],
  'a Readable from a generator': [(source) => () => Readable.from(yieldingAsync(source)), takeAsync],
  'a web stream, read': [(source) => () => new ReadableStream(pulling(source), { highWaterMark: 0 }), takeFromReader],
  'a web stream, iterated': [(source) => async () => new ReadableStream(pulling(source)), takeAsync],
  'a web stream of bytes': [(source) => async () => new ReadableStream(pulling(source, 'bytes')), takeFromReader],
};

for (const [form, [make, take]] of Object.entries(FORMS)) {
  withEngine(`${form} is metered to its end`, async (engine) => {
    const payment = engine.paying('user:ana', { run: 'r' });
    const run = async (options, source, most) => {
      const before = spent(engine);
      const stream = await payment.enter(pricing({ name: 'chat', ...options })(make(source)));
      await take(stream, most);
      return spent(engine) - before;
    };
    assert.equal(await run(PER_TOKEN, new Source(3), undefined), usd('0.3'), 'used to its end');
    assert.equal(await run(FLAT, new Source(3), undefined), usd('1'), 'at its end');
    assert.equal(await run(FLAT, new Source(3), 1), usd('1'), 'left');
    const left = new Source(300);
    const charged = await run(PER_TOKEN, left, 2);
    assert.ok(charged >= usd('0.2') && charged <= usd('1'), `used until it was left: ${charged}`);
    assert.ok(left.given < 10);
    const broken = new RangeError('upstream');
    const after = spent(engine);
    await assert.rejects(run(FLAT, new Source(2, broken), undefined), (error) => error === broken);
    await assert.rejects(run(FLAT, new Source(0, broken), undefined), (error) => error === broken);
    assert.equal(spent(engine), after, 'a flat price is not due where the tool breaks');
    await assert.rejects(run(PER_TOKEN, new Source(2, broken), undefined), (error) => error === broken);
    assert.equal(spent(engine) - after, usd('0.2'), 'what was used until then is');
    await assert.rejects(run(PER_TOKEN, new Source(0, broken), undefined), (error) => error === broken);
    assert.equal(spent(engine) - after, usd('0.2'));
  });
}

withEngine('a stream that is left before its first item costs nothing', async (engine) => {
  const tool = (make) => pricing({ ...FLAT, name: 'chat' })(make);
  await engine.paying('user:ana', async () => {
    const source = new Source(3);
    await tool(() => downlevelled(source))().return();
    assert.equal(source.closed, 1);
    tool(() => yielding(source))().return();
    await tool(() => new ReadableStream(pulling(source), { highWaterMark: 0 }))().cancel();
    await new Promise((resolve) => tool(() => nodeStream(source))().on('close', resolve).destroy());
    assert.equal(source.given, 0);
  });
  assert.equal(spent(engine), 0n);
});

withEngine('an estimate is charged of what was left without a record', async (engine) => {
  const stream = pricing({ cost: '0.001', per: 'token', name: 'stream' })(() => [1, 2, 3][Symbol.iterator]());
  engine.paying('user:ana', () => {
    for (const item of stream('x'.repeat(40))) if (item === 2) break;
  });
  assert.equal(spent(engine), usd('0.01'));
});

withEngine('what is a container is a value, and is charged at once', async (engine) => {
  const values = [
    [1, 2],
    new Set([1]),
    new Map(),
    'text',
    new (class List { *[Symbol.iterator]() { yield 1; } })(),
    { next: 5 },
    { next() {} },
    Buffer.from('x'),
    new Duplex({ read() {}, write() {} }),
    new Writable(),
    Object.assign(new ReadableStream(), { taken: true }),
  ];
  values.at(-1).getReader();
  const tool = pricing({ cost: '0.1' })(function tool(value) { return value; });
  for (const value of values) assert.equal(engine.paying('user:ana', () => tool(value)), value);
  assert.equal(spent(engine), usd('1.1'));
});

withEngine('a signal that the caller gave up is no failure of the tool', async (engine) => {
  const chat = (take) => pricing({ ...FLAT, name: 'chat' })(async function* (...args) {
    yield 'item';
    await sleep(60_000, undefined, { signal: take(...args) });
  });
  const cases = [
    [(signal) => signal, (signal) => [signal]],
    [(_, { signal }) => signal, (signal) => ['prompt', { signal }]],
    [(_, { abortSignal }) => abortSignal, (signal) => ['prompt', { abortSignal: signal }]],
  ];
  for (const [take, given] of cases) {
    const controller = new AbortController();
    await assert.rejects(engine.paying('user:ana', async () => {
      for await (const item of chat(take)(...given(controller.signal))) {
        assert.equal(item, 'item');
        setImmediate(() => controller.abort());
      }
    }), { name: 'AbortError' });
  }
  assert.equal(spent(engine), usd('3'));
  // One that the tool has from elsewhere cannot be seen.
  const controller = new AbortController();
  await assert.rejects(engine.paying('user:ana', async () => {
    for await (const item of chat(() => controller.signal)('prompt')) {
      assert.equal(item, 'item');
      setImmediate(() => controller.abort());
    }
  }), { name: 'AbortError' });
  assert.equal(spent(engine), usd('4'));
  // A time limit of the tool's own is a failure of the tool.
  const limited = pricing({ ...FLAT, name: 'limited' })(async function* ({ signal }) {
    yield signal.aborted;
    await sleep(60_000, undefined, { signal: AbortSignal.timeout(1) });
  });
  const { signal } = new AbortController();
  await assert.rejects(engine.paying('user:ana', async () => {
    for await (const aborted of limited({ signal })) assert.equal(aborted, false);
  }), { name: 'AbortError' });
  assert.equal(spent(engine), usd('4'));
});

withEngine('an iterator keeps what else it has', async (engine) => {
  class Pages {
    #page = 0;
    title = 'pages';
    next(step = 1) {
      this.#page += step;
      return { done: this.#page > 3, value: this.#page };
    }
    get page() {
      return this.#page;
    }
    [Symbol.iterator]() {
      return this;
    }
  }
  const pages = pricing(FLAT)(function pages() { return new Pages(); });
  engine.paying('user:ana', () => {
    const made = pages();
    assert.ok(made instanceof Pages);
    assert.equal(made.title, 'pages');
    assert.equal(made.next(2).value, 2);
    assert.equal(made.page, 2);
    assert.deepEqual([...made], [3]);
    assert.equal(made.return, made.return); // of those without one, leaving is enough
  });
  assert.equal(spent(engine), usd('1'));
});

withEngine('a Readable keeps what else it has, and its events', async (engine) => {
  const download = pricing(FLAT)(function download() {
    const stream = new PassThrough();
    stream.statusCode = 200;
    stream.describe = function describe() { return `status ${this.statusCode}`; };
    setImmediate(() => {
      stream.emit('progress', 50);
      stream.end('item');
    });
    return stream;
  });
  const stream = engine.paying('user:ana', download);
  assert.ok(stream instanceof Readable);
  assert.deepEqual([stream.statusCode, stream.describe()], [200, 'status 200']);
  let progress;
  stream.on('progress', (value) => { progress = value; });
  assert.equal(await takeAsync(stream), 1);
  assert.equal(progress, 50);
  assert.equal(spent(engine), usd('1'));
});

withEngine('old streams, and answers over HTTP, are streams', async (engine) => {
  const old = new Stream();
  old.readable = true;
  const legacy = pricing(FLAT)(function legacy() {
    setImmediate(() => {
      old.emit('data', 'item');
      old.emit('end');
    });
    return old;
  });
  assert.equal(await takeAsync(engine.paying('user:ana', legacy)), 1);
  assert.equal(spent(engine), usd('1'));

  const server = http.createServer((request, response) => {
    response.setHeader('x-answer', '42');
    if (request.url === '/broken') {
      response.write('item');
      setTimeout(() => response.destroy(), 10);
    } else {
      response.end('item');
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const at = `http://127.0.0.1:${server.address().port}`;
    const get = pricing({ ...FLAT, name: 'get' })((url) => new Promise((resolve) => http.get(`${at}${url}`, resolve)));
    const fetched = pricing({ ...FLAT, name: 'fetched' })(async () => (await fetch(at)).body);
    const answer = await engine.paying('user:ana', () => get('/'));
    assert.equal(answer.headers['x-answer'], '42');
    assert.equal(await takeAsync(answer), 1);
    assert.equal(spent(engine), usd('2'));
    assert.equal(await new Response(await engine.paying('user:ana', fetched)).text(), 'item');
    assert.equal(spent(engine), usd('3'));
    await assert.rejects(engine.paying('user:ana', async () => takeAsync(await get('/broken'))));
    assert.equal(spent(engine), usd('3'));
  } finally {
    server.close();
    server.closeAllConnections?.();
  }
});

withFolder('a file is read through a metered stream', async (folder) => {
  const { Farebox } = require('..');
  const file = path.join(folder, 'text');
  fs.writeFileSync(file, 'item '.repeat(50_000));
  const engine = await Farebox.open(path.join(folder, 'farebox.db'));
  await engine.deposit('user:ana', 10);
  const read = pricing(FLAT)(async function read() { return fs.createReadStream(file); });
  const stream = await engine.paying('user:ana', read);
  assert.equal(stream.path, file);
  let size = 0;
  await pipeline(stream, async function count(chunks) {
    for await (const chunk of chunks) size += chunk.length;
  });
  assert.equal(size, 250_000);
  assert.equal((await engine.balance('user:ana')).balance, '9');
  const missing = pricing({ ...FLAT, name: 'missing' })(() => fs.createReadStream(path.join(folder, 'none')));
  await assert.rejects(takeAsync(engine.paying('user:ana', missing)), { code: 'ENOENT' });
  const unread = engine.paying('user:ana', missing);
  assert.equal((await new Promise((resolve) => unread.on('error', resolve))).code, 'ENOENT');
  assert.equal((await engine.balance('user:ana')).balance, '9');
  assert.equal((await engine.balance('user:ana')).held, '0');
  await engine.close();
});

withEngine('web streams can be teed, piped through, and read by bytes', async (engine) => {
  const chat = pricing({ ...PER_TOKEN, name: 'chat' })((source, type) => new ReadableStream(pulling(source, type)));
  await engine.paying('user:ana', async () => {
    const [left, right] = chat(new Source(3)).tee();
    assert.deepEqual([await takeAsync(left), await takeAsync(right)], [3, 3]);
    assert.equal(spent(engine), usd('0.3'));
    assert.equal(await takeAsync(chat(new Source(3)).pipeThrough(new TransformStream())), 3);
    assert.equal(spent(engine), usd('0.6'));
    const reader = chat(new Source(2), 'bytes').getReader({ mode: 'byob' });
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(16));
      if (done) break;
      size += value.length;
    }
    assert.equal(size, 12);
    assert.equal(spent(engine), usd('0.8'));
  });
});

withEngine('empty chunks are passed over', async (engine) => {
  const chunks = () => [Buffer.alloc(0), Buffer.from('item'), Buffer.alloc(0), Buffer.from(' two')];
  const node = pricing({ ...FLAT, name: 'node' })(() => {
    const waiting = chunks();
    return new Readable({ read() { this.push(waiting.shift() ?? null); } });
  });
  const web = pricing({ ...FLAT, name: 'web' })(() => {
    const waiting = chunks();
    const pull = (controller) => {
      const chunk = waiting.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(chunk);
    };
    return new ReadableStream({ pull });
  });
  await engine.paying('user:ana', async () => {
    assert.equal(await new Response(node()).text(), 'item two');
    assert.equal(await new Response(web()).text(), 'item two');
  });
  assert.equal(spent(engine), usd('2'));
});

withEngine('calls inside a stream are inside its call, and what its consumer does is not', async (engine) => {
  const inner = pricing({ cost: '0.1' })(function inner() {});
  const outer = pricing({ ...PER_TOKEN, name: 'outer' })(() => downlevelled({
    count: 0,
    take() {
      inner();
      recordUsage({ outputTokens: 1 });
      this.count += 1;
      return { done: this.count === 3, value: 'item' };
    },
  }));
  const told = await warnings(() => engine.paying('user:ana', async () => {
    for await (const item of outer()) recordUsage({ outputTokens: item.length * 1000 });
  }));
  assert.equal(told.length, 2); // the consumer is in no call
  assert.equal(spent(engine), usd('0.33'));
});

withEngine('an end that cannot be priced is the error of the stream', async (engine) => {
  const narrow = (make) => pricing({ cost: '0.01', per: 'input_token', name: 'narrow' })(make);
  const record = () => recordUsage({ images: 3 });
  const code = { code: 'UNPRICEABLE' };
  await engine.paying('user:ana', async () => {
    await assert.rejects(takeAsync(narrow(async function* (text) { record(); yield `item ${text}`; })('text')), code);
    const readable = narrow((text) => { record(); return Readable.from([`item ${text}`]); });
    await assert.rejects(takeAsync(readable('text')), code);
    const web = narrow((text) => { record(); return new Response(`item ${text}`).body; });
    await assert.rejects(takeFromReader(web('text')), code);
  });
  assert.equal(spent(engine), 0n);
});

async function collected(done) {
  for (let i = 0; i < 200 && !done(); i++) {
    collect();
    await sleep(5);
  }
}

for (const [form, [make, take]] of Object.entries(FORMS)) {
  withEngine(`${form} that is forgotten is a stream that was left`, async (engine) => {
    const source = new Source(1000);
    const held = () => engine.balanceSync('user:ana').heldUnits;
    await (async () => {
      const stream = await engine.paying('user:ana', pricing({ ...PER_TOKEN, name: 'chat' })(make(source)));
      if (take === takeSync) stream.next();
      else if (take === takeEvents || take === takePiped) await new Promise((done) => stream.once('readable', done));
      else if (stream instanceof Readable) await new Promise((done) => stream.once('readable', done));
      else if (stream instanceof ReadableStream) await stream.getReader().read();
      else await (stream.next?.() ?? stream[Symbol.asyncIterator]().next());
      assert.equal(held(), usd('5'));
    })();
    await collected(() => held() === 0n);
    const charged = spent(engine);
    assert.ok(charged >= usd('0.1') && charged < usd('5'), String(charged));
  });
}
