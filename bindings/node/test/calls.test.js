'use strict';

/* One metered call: what is held for it, what its usage is, and what each ending costs. */

const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');

const farebox = require('..');
const { codeOf, errorOf, spent, usd, warnings, withEngine } = require('./support');

const { PaymentRefused, RequestError, meter, pricing, recordAmount, recordUsage } = farebox;

const TOKENS = [
  { meter: 'input_tokens', rate: '0.000003' },
  { meter: 'output_tokens', rate: '0.000015' },
];

function register(engine, tool, pricing) {
  engine.registerSkillSync({ id: `org.example.${tool}`, version: '1.0.0', tools: [{ name: tool, pricing }] });
}

// ---- What is held ----

withEngine('a registered price under the maximum of the caller is charged what was used', async (engine) => {
  register(engine, 'llm', { components: TOKENS });
  const work = () => {
    assert.equal(engine.balanceSync('user:ana').held, '0.1');
    recordUsage({ inputTokens: 1000, outputTokens: 100 });
  };
  const llm = pricing({ name: 'llm', maxCost: '0.10' })(work);
  const later = pricing({ name: 'llm', maxCost: 0.1 })(async () => work());
  await engine.paying('user:ana', async () => {
    llm('hello');
    assert.equal(spent(engine), usd('0.0045'));
    await later('hello');
  });
  assert.equal(spent(engine), usd('0.009'));
});

withEngine('the lower maximum counts, whoever gives it', async (engine) => {
  register(engine, 'llm', { max_cost: '0.10', components: TOKENS });
  const payment = engine.paying('user:ana');
  const used = (name, maxCost, outputTokens) => {
    const before = spent(engine);
    payment.enter(pricing({ name, maxCost })(() => recordUsage({ inputTokens: 1000, outputTokens })));
    return spent(engine) - before;
  };
  assert.equal(used('llm', '0.001', 100), usd('0.001'));
  assert.ok(payment.receipt.capped);
  assert.equal(used('llm', '5', 100_000), usd('0.1'));
  assert.equal(used('llm', 0, 100_000), 0n);
});

withEngine('a price by usage without estimate or maximum is refused before the tool runs', async (engine) => {
  register(engine, 'llm', { components: TOKENS });
  const never = () => assert.fail('it ran');
  for (const work of [
    pricing({ name: 'llm' })(never),
    pricing({ name: 'llm' })(async () => never()),
    pricing({ cost: '0.01', per: 'output_token' })(never),
    pricing({ cost: { input_token: '0.1', output_token: '0.2' }, name: 'both' })(never),
    pricing({ cost: '0.01', per: 'unit', units: () => null, name: 'none' })(never),
  ]) {
    const error = await errorOf(() => engine.paying('user:ana', () => work('hello')));
    assert.ok(error instanceof RequestError);
    assert.deepEqual([error.code, error.field], ['MISSING_FIELD', 'maxCost']);
  }
  assert.equal(spent(engine), 0n);
});

withEngine('a tool may be charged afterwards, and what cannot be paid is told', async (engine) => {
  register(engine, 'llm', { components: TOKENS });
  const llm = pricing({ name: 'llm', chargeAfterwards: true })(() => recordUsage({ outputTokens: 10_000 }));
  const payment = engine.paying('user:bob');
  payment.enter(llm);
  assert.equal(payment.receipt.amount, '0.05');
  assert.equal(payment.receipt.shortfall, '0.1');
  assert.equal(JSON.parse(JSON.stringify(payment.receipt)).shortfall, '0.1');
  const { events } = engine.callSync('event.list', {});
  assert.ok(events.some((event) => JSON.stringify(event).includes('call.shortfall')));
});

withEngine('an empty wallet runs nothing', async (engine) => {
  register(engine, 'llm', { components: TOKENS });
  const work = meter(() => assert.fail('it ran'), { name: 'llm', maxCost: '0.01' });
  assert.ok((await errorOf(() => engine.paying('dev:eve', work))) instanceof PaymentRefused);
});

// ---- Usage ----

withEngine('what was not given is not counted, and what was given adds up', async (engine) => {
  const options = { cost: '0.001', per: 'token', maxCost: '1' };
  const complete = pricing(options)(function complete() {
    recordUsage({ inputTokens: 100, outputTokens: 20, cacheReadTokens: null, reasoningTokens: undefined });
    recordUsage(null);
    recordUsage(undefined);
    recordUsage({});
    return 'an answer';
  });
  assert.equal(engine.paying('user:ana', () => complete('hi')), 'an answer');
  assert.equal(spent(engine), usd('0.12'));
  assert.equal(engine.priceToolSync('complete', { usage: { inputTokens: 7, images: null } }).total, '0.007');
});

const DECIMAL = { toJSON: () => '1.25' };
for (const [name, given, cost] of [
  ['a number', [1.5], '0.015'],
  ['text', ['1.5'], '0.015'],
  ['text with an exponent', ['15e-1'], '0.015'],
  ['a BigInt', [3n], '0.03'],
  ['a boxed number', [new Number(2)], '0.02'],
  ['a decimal of another library', [DECIMAL], '0.0125'],
  ['a Map', [new Map([['units', 4]])], '0.04'],
  ['an object with toJSON', [{ toJSON: () => ({ units: DECIMAL }) }], '0.0125'],
  ['many digits', [1.2345678912], '0.01234568'],
  ['parts that round once', [0.0000004, 0.0000004, 0.0000004], '0.00000001'],
  ['tenths', [0.1, 0.2], '0.003'],
  ['a small number', [1e-7, 1], '0.01'],
  ['the names of the library', [{ units: 1 }, { unit: 1 }], '0.02'],
]) {
  withEngine(`usage is ${name}`, async (engine) => {
    const draw = pricing({ cost: '0.01', per: 'second', maxCost: '1' })(function draw() {
      given.forEach((one) => recordUsage(one));
      return 'an image';
    });
    assert.equal(engine.paying('user:ana', draw), 'an image');
    assert.equal(spent(engine), usd(cost));
  });
}

const UNREADABLE = [
  -1,
  { inputTokens: -20 },
  NaN,
  Infinity,
  'twelve',
  '',
  true,
  { units: false },
  { wishes: 3 },
  { inputTokens: { total: 3 } },
  [1, 2],
  new Uint8Array(2),
  new Date(),
  Promise.resolve(3),
  new (class Usage {})(),
  () => 3,
  Symbol('three'),
];
UNREADABLE.forEach((usage, i) => {
  withEngine(`usage that cannot be read is refused where it is recorded: ${i}`, async (engine) => {
    const complete = pricing({ cost: '0.001', per: 'token', maxCost: '1' })(async function complete(catches) {
      recordUsage({ inputTokens: 100 });
      try {
        recordUsage(usage);
        assert.fail('it was taken');
      } catch (error) {
        assert.ok(error instanceof RequestError, String(error));
        assert.match(error.field, /^usage/);
        if (!catches) throw error;
      }
      return 'an answer';
    });
    await engine.paying('user:ana', async () => {
      assert.ok((await errorOf(() => complete(false))) instanceof RequestError);
      assert.equal(spent(engine), 0n); // it failed, and its hold went back
      assert.equal(await complete(true), 'an answer');
    });
    assert.equal(spent(engine), usd('0.1')); // what could be read is charged
  });
});

withEngine('usage outside of a call, or after it, is told', async (engine) => {
  const told = await warnings(async () => {
    recordUsage(5);
    recordAmount('0.1');
    let late;
    const start = pricing({ cost: '0.01', per: 'unit', maxCost: '1' })(function start() {
      late = sleep(1).then(() => recordUsage(50));
      recordUsage(1);
    });
    engine.paying('user:ana', start);
    await late;
  });
  assert.deepEqual(told.map((one) => one.code), Array(3).fill('FAREBOX_NOT_CHARGED'));
  assert.match(told[2].message, /after its call/);
  assert.equal(spent(engine), usd('0.01'));
});

withEngine('what a tool records inside of other scopes is its own', async (engine) => {
  const outer = pricing({ cost: '0.01', per: 'unit', maxCost: '1' })(function outer() {
    farebox.callId('inner', () => recordUsage(1));
    engine.paying('user:bob', () => recordUsage(2));
  });
  engine.paying('user:ana', outer);
  assert.equal(spent(engine), usd('0.03'));
});

withEngine('the usage that measure gives is charged, and what cannot be read of it loses nothing', async (engine) => {
  const options = (name, measure) => ({ cost: '0.01', per: 'unit', maxCost: '0.5', name, measure });
  const good = pricing(options('good', (result) => ({ units: result.used })))(async () => ({ used: '2.5' }));
  const bad = pricing(options('bad', () => ({ units: 'many' })))(() => 'an answer');
  const worse = pricing(options('worse', () => { throw new RangeError('measure'); }))(async () => 'an answer');
  const payment = engine.paying('user:ana');
  await payment.enter(good);
  assert.equal(spent(engine), usd('0.025'));
  const told = await warnings(async () => {
    assert.equal(payment.enter(bad), 'an answer');
    assert.equal(await payment.enter(worse), 'an answer');
  });
  assert.equal(told.length, 2);
  // The estimate of a unit of one's own is one for each call.
  assert.equal(spent(engine), usd('0.045'));
});

withEngine('usage that never comes is charged as held and told, or released where that is chosen', async (engine) => {
  const options = { cost: '0.01', per: 'output_token', maxCost: '1' };
  const complete = pricing({ ...options, name: 'complete' })(() => 'a long answer');
  const lenient = pricing({ ...options, name: 'lenient', releaseUnreported: true })(async () => 'a long answer');
  const receipts = [];
  await engine.paying('user:ana', { onReceipt: (one) => receipts.push(one) }, async () => {
    complete('question');
    await lenient('question');
  });
  assert.equal(spent(engine), usd('1'));
  assert.deepEqual(receipts.map((one) => [one.amount, one.unreported, one.released]), [['1', true, false]]);
  const { events } = engine.callSync('event.list', {});
  assert.ok(events.some((event) => JSON.stringify(event).includes('call.unreported')));
});

// ---- Estimates ----

class Message {
  constructor(text) {
    this.text = text;
  }
}
class Hidden {
  #text;
  constructor(text) {
    this.#text = text;
  }
  get text() {
    return this.#text;
  }
}
class Closed {
  #text;
  constructor(text) {
    this.#text = text;
  }
  size() {
    return this.#text.length;
  }
}
const LONG = 'hello world '.repeat(1000);
const inCycle = new Message(LONG);
inCycle.self = inCycle;
for (const [name, request] of [
  ['text', LONG],
  ['an object', { text: LONG }],
  ['an object of a class', new Message(LONG)],
  ['a getter', new Hidden(LONG)],
  ['toJSON', { toJSON: () => ({ text: LONG }) }],
  ['an object without a prototype', Object.assign(Object.create(null), { text: LONG })],
  ['a nested array', [[[LONG]]]],
  ['a Map', new Map([['', LONG]])],
  ['a Set', new Set([LONG])],
  ['a Buffer', Buffer.from(LONG)],
  ['another typed array', new Uint16Array(6000)],
  ['an ArrayBuffer', new ArrayBuffer(12_000)],
  ['a DataView', new DataView(new ArrayBuffer(12_000))],
  ['a boxed string', new String(LONG)],
  ['an Error', new Error(LONG)],
  ['parameters of an address', new URLSearchParams([['', LONG]])],
  ['an object in a cycle', inCycle],
  ['a signal beside it', [LONG, new AbortController().signal, new Date(), 12, null, () => 'text']],
]) {
  withEngine(`all text is counted: ${name}`, async (engine) => {
    const summarize = pricing({ cost: '0.001', per: 'token' })(function summarize() { return 'short'; });
    engine.paying('user:ana', () => summarize(request));
    const asked = spent(engine) / usd('0.001');
    assert.ok(asked >= 3000n && asked <= 3010n, String(asked));
  });
}

for (const [name, request] of [
  ['a promise', Promise.resolve(LONG)],
  ['a generator', (function* () { yield LONG; })()],
  ['an async iterator', (async function* () { yield LONG; })()],
  ['a stream', new ReadableStream()],
  ['a response', new Response(LONG)],
  ['a blob', new Blob([LONG])],
  ['private fields', new Closed(LONG)],
  ['a getter that throws', { get text() { throw new Error('no'); } }],
  ['a WeakMap', new WeakMap()],
]) {
  withEngine(`text that cannot be counted is refused before the call: ${name}`, async (engine) => {
    const summarize = pricing({ cost: '0.001', per: 'token' })(function summarize() { assert.fail('it ran'); });
    const error = await errorOf(() => engine.paying('user:ana', () => summarize({ nested: [request] })));
    assert.deepEqual([error.code, error.field], ['INVALID_ARGUMENT', 'units']);
  });
}

withEngine('a number that is given as text is a number, or refused', async (engine) => {
  const render = pricing({ cost: '0.05', per: 'page', units: 'pages', name: 'render' })(() => undefined);
  await engine.paying('user:ana', async () => {
    render({ document: 'x', pages: '12' });
    assert.equal(spent(engine), usd('0.6'));
    render({ document: 'x', pages: ' 1.5 ' });
    assert.equal(spent(engine), usd('0.675'));
    for (const pages of ['twelve', '', ' ', true, undefined, null, {}, -1, '-1', NaN, () => 3]) {
      assert.ok((await errorOf(() => render({ document: 'x', pages }))) instanceof RequestError, String(pages));
    }
    assert.ok((await errorOf(() => render('x', '12'))) instanceof RequestError);
  });
  assert.equal(spent(engine), usd('0.675'));
});

// ---- Prices with several meters ----

withEngine('each meter has its own cost', async (engine) => {
  const cost = { input_token: '0.000003', output_token: 0.000015, images: '0.01' };
  const complete = pricing({ cost, maxCost: '0.10' })(function complete() {
    recordUsage({ inputTokens: 1000, outputTokens: 100, images: 2 });
  });
  engine.paying('user:ana', complete);
  assert.equal(spent(engine), usd('0.0245'));
  assert.deepEqual({ ...complete.farebox.cost }, { input_token: '0.000003', output_token: '0.000015', images: '0.01' });
  assert.equal(complete.farebox.per, null);
  const counted = pricing({ cost: { input_token: '0.001', request: '0.02' } })(function counted() {});
  engine.paying('user:ana', () => counted('x'.repeat(40)));
  assert.equal(spent(engine), usd('0.0545'));
  for (const cost of [{}, { token: 1 }, { input_token: 1, inputTokens: 2 }, { page: 1, hour: 2 }, { image: 'x' }, []]) {
    assert.ok((await errorOf(() => pricing({ cost, name: 'x' }))) instanceof RequestError, JSON.stringify(cost));
  }
  assert.equal(await codeOf(() => pricing({ cost: { image: 1 }, per: 'image', name: 'x' })), 'INVALID_ARGUMENT');
});

function publish(engine) {
  const entry = (name, rate) => ({ name, versions: [{ price: { components: [{ meter: 'output_tokens', rate }] } }] });
  const entries = [entry('small', '0.01'), entry('large', '0.1')];
  engine.callSync('rate_card.publish', { card: { name: 'llm', currency: 'USD', source: 'a list', entries } });
}

withEngine('the price may be that of a rate card, by the model of the call', async (engine) => {
  publish(engine);
  const options = { rates: 'llm', model: 'model', maxCost: '1', name: 'chat' };
  const chat = pricing(options)(async ({ tokens }) => recordUsage({ outputTokens: tokens }));
  const model = (_, second) => second;
  const computed = pricing({ ...options, model })((tokens) => recordUsage({ outputTokens: tokens }));
  await engine.paying('user:ana', async () => {
    await chat({ model: 'small', tokens: 3 });
    assert.equal(spent(engine), usd('0.03'));
    computed(2, 'large');
    assert.equal(spent(engine), usd('0.23'));
    assert.equal(await codeOf(() => chat({ tokens: 3 })), 'MISSING_FIELD');
    assert.ok((await errorOf(() => chat({ model: 'none', tokens: 3 }))).code.endsWith('NOT_FOUND'));
  });
  for (const wrong of [
    { rates: 'llm', cost: '1' },
    { rates: 'llm', owner: 'dev:eve', model: 'model' },
    { rates: 'llm' },
    { rates: 5, maxCost: 1 },
    { rates: 'llm', model: 5 },
    { model: 'model', cost: 1 },
  ]) {
    assert.ok((await errorOf(() => pricing({ ...wrong, name: 'x' }))) instanceof RequestError, JSON.stringify(wrong));
  }
});

// ---- Ends ----

const FAILURES = [
  { isError: true },
  { is_error: true },
  new Map([['isError', true]]),
  new Map([['is_error', true]]),
  Object.assign(new Message('disk full'), { isError: true }),
  new (class { get isError() { return true; } })(),
];
const FORMS = {
  plain: (result) => () => result,
  promised: (result) => () => Promise.resolve(result),
  async: (result) => async () => result,
  generator: (result) => function* () { yield 1; return result; },
  asyncGenerator: (result) => async function* () { yield 1; return result; },
};

async function exhaust(result) {
  const value = await result;
  if (typeof value?.next !== 'function') return;
  for (let step = await value.next(); !step.done;) step = await value.next();
}

for (const [form, make] of Object.entries(FORMS)) {
  withEngine(`a result that says it failed costs nothing: ${form}`, async (engine) => {
    const payment = engine.paying('user:ana');
    for (const wrap of [(fn) => meter(fn, { cost: '1', name: 'write' }), pricing({ cost: '1', name: 'write' })]) {
      for (const failure of FAILURES) await payment.enter(() => exhaust(wrap(make(failure))()));
    }
    assert.equal(spent(engine), 0n);
    assert.deepEqual([payment.receipts, payment.receipt], [[], null]);
    const failed = (result) => result?.ok === false;
    const own = pricing({ cost: '1', name: 'write', failed })(make({ ok: false }));
    await payment.enter(() => exhaust(own()));
    assert.equal(spent(engine), 0n);
    const good = pricing({ cost: '1', name: 'write', failed })(make({ isError: true }));
    await payment.enter(() => exhaust(good()));
    assert.equal(spent(engine), usd('1'));
  });
}

withEngine('a test of failure that itself fails is told and loses nothing', async (engine) => {
  const broken = pricing({ cost: '1', failed: () => { throw new RangeError('no'); } })(function broken() { return 5; });
  const promised = pricing({ cost: '1', failed: async () => true })(function promised() { return 6; });
  const told = await warnings(() => engine.paying('user:ana', () => {
    assert.equal(broken(), 5);
    assert.equal(promised(), 6);
  }));
  assert.equal(told.length, 2);
  assert.equal(spent(engine), usd('2'));
});

withEngine('the error of the tool is what its caller sees', async (engine) => {
  const fails = pricing({ cost: '1' })(function fails() {
    engine.closeSync();
    throw new RangeError('disk full');
  });
  const told = await warnings(() => assert.throws(() => engine.paying('user:ana', fails), RangeError));
  assert.equal(told.length, 1);
  assert.match(told[0].message, /could not be recorded/);
});

// ---- Lines ----

withEngine('lines beside the usage are in the one receipt', async (engine) => {
  register(engine, 'search', { cost: '0.02', per: 'unit' });
  const payment = engine.paying('user:ana', { run: 'r' });
  const answer = pricing({ cost: '0.001', per: 'token', maxCost: '1' })(async function answer() {
    recordUsage({ inputTokens: 100 });
    recordUsage(2, { tool: 'search' });
    recordUsage(3, { tool: 'search' });
    recordAmount('0.25', { payee: 'dev:eve', description: 'postage' });
    assert.ok((await errorOf(() => recordUsage(1, { tool: 'nothing' }))).code.endsWith('NOT_FOUND'));
    assert.ok((await errorOf(() => recordAmount(-1))) instanceof RequestError);
    assert.ok((await errorOf(() => recordAmount('much'))) instanceof RequestError);
  });
  await payment.enter(() => answer('x'));
  assert.equal(payment.receipt.amount, '0.45');
  assert.equal(spent(engine), usd('0.45'));
  assert.equal(engine.balanceSync('dev:eve').balance, '0.25');
});

withEngine('the model that the result names decides the rate', async (engine) => {
  publish(engine);
  const chat = pricing({ rates: 'llm', maxCost: '1' })(async function chat(model) {
    recordUsage({ outputTokens: 3 });
    return { model };
  });
  await engine.paying('user:ana', () => chat('small'));
  assert.equal(spent(engine), usd('0.03'));
  await engine.paying('user:ana', () => chat(undefined)); // nobody says which: as held
  assert.equal(spent(engine), usd('1.03'));
});
