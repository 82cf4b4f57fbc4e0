'use strict';

/* `pricing` and `meter`: reserve, call, capture or release, on every kind of function. */

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const test = require('node:test');

const farebox = require('..');
const { codeOf, errorOf, spent, usd, withEngine } = require('./support');

const { Farebox, PaymentRefused, RequestError, callId, meter, pricing, recordUsage } = farebox;

withEngine('a call is charged and a failure is not', async (engine) => {
  const calculate = pricing({ cost: 0.02, currency: 'USD' })(function calculate(value) {
    assert.equal(engine.balanceSync('user:ana').held, '0.02');
    if (value === 0) throw new RangeError('zero');
    return 10 / value;
  });
  engine.paying('user:ana', { run: 'run-1' }, () => {
    assert.equal(calculate(5), 2);
    assert.equal(spent(engine), usd('0.02'));
    assert.throws(() => calculate(0), RangeError);
  });
  assert.equal(spent(engine), usd('0.02'));
});

withEngine('a refused call does not run', async (engine) => {
  let ran = 0;
  const work = pricing({ cost: 0.03 })(function work() { ran += 1; });
  const later = pricing({ cost: 0.03 })(async function later() { ran += 1; });
  await engine.paying('user:bob', async () => {
    work();
    for (const call of [work, later]) {
      const error = await errorOf(() => call());
      assert.ok(error instanceof PaymentRefused);
      assert.equal(error.code, 'INSUFFICIENT_FUNDS');
    }
  });
  assert.equal(ran, 1);
});

test('nobody paying is an error and never free', async () => {
  const never = () => assert.fail('it ran');
  for (const work of [
    pricing({ cost: 0.02, name: 'a' })(never),
    pricing({ cost: 0.02, name: 'b' })(async () => never()),
    () => pricing({ cost: 0.02, name: 'c' })(function* c() { never(); })().next(),
    () => pricing({ cost: 0.02, name: 'd' })(async function* d() { never(); })().next(),
    pricing({ cost: 0.02, name: 'e', payer: 'user:ana' })(never),
    meter(never, { cost: 1, name: 'f' }),
  ]) {
    const error = await errorOf(work);
    assert.ok(error instanceof RequestError);
    assert.deepEqual([error.code, error.field], ['MISSING_FIELD', 'payer']);
  }
});

test('name, length, kind and metadata stay', () => {
  const options = {
    cost: 0.05,
    category: 'data_analysis',
    revenueShare: 0.7,
    owner: 'dev:eve',
    maxCost: '0.10',
    description: 'Premium data analysis.',
  };
  const premium = pricing(options)(async function premium(dataset, depth) { return [dataset, depth]; });
  assert.deepEqual([premium.name, premium.length], ['premium', 2]);
  assert.deepEqual(premium.farebox, {
    tool: 'premium',
    cost: '0.05',
    currency: 'USD',
    per: 'request',
    maxCost: '0.10',
    description: 'Premium data analysis.',
    category: 'data_analysis',
    revenueShare: '0.7',
    owner: 'dev:eve',
    dynamic: false,
  });
  const kinds = [() => 1, async () => 1, function* g() { yield 1; }, async function* h() { yield 1; }];
  for (const fn of kinds) {
    const metered = pricing({ cost: 1, name: 'kind' })(fn);
    assert.equal(metered[Symbol.toStringTag], fn[Symbol.toStringTag]);
  }
});

withEngine('this stays, on methods and on functions that are called', async (engine) => {
  class Skill {
    factor = 2;
    twice = pricing(function twice(value) { return this.factor * value; }, { cost: '0.01' });
    static half = pricing({ cost: '0.01', name: 'half' })(async (value) => value / 2);
  }
  await engine.paying('user:ana', async () => {
    assert.equal(new Skill().twice(4), 8);
    assert.equal(await Skill.half(4), 2);
  });
  assert.equal(spent(engine), usd('0.02'));
});

withEngine('standard decorators wrap methods and fields', async (engine) => {
  class Skill {
    factor = 3;
    times(value) { return this.factor * value; }
    async later(value) { return this.factor * value; }
    *stream(count) { for (let i = 0; i < count; i++) yield i * this.factor; }
  }
  const decorated = (name, decorator) => {
    Skill.prototype[name] = decorator(Skill.prototype[name], { kind: 'method', name, static: false, private: false });
  };
  decorated('times', pricing({ cost: '0.01' }));
  decorated('later', pricing({ cost: '0.01', name: 'skill.later' }));
  decorated('stream', pricing({ cost: '0.01' }));
  const field = pricing({ cost: '0.01' })(undefined, { kind: 'field', name: 'arrow' })((value) => value + 1);
  const skill = new Skill();
  await engine.paying('user:ana', async () => {
    assert.equal(skill.times(2), 6);
    assert.equal(await skill.later(2), 6);
    assert.deepEqual([...skill.stream(3)], [0, 3, 6]);
    assert.equal(field(1), 2);
  });
  assert.equal(spent(engine), usd('0.04'));
  assert.deepEqual(
    [skill.times.farebox.tool, skill.later.farebox.tool, field.farebox.tool],
    ['times', 'skill.later', 'arrow'],
  );
  for (const kind of ['class', 'getter', 'setter', 'accessor']) {
    assert.equal(await codeOf(() => pricing({ cost: 1 })(class {}, { kind, name: 'x' })), 'INVALID_ARGUMENT');
  }
  const bare = pricing(function listed() {}, { kind: 'method', name: 'listed' });
  assert.equal(bare.farebox.cost, null);
});

withEngine('legacy decorators wrap methods', async (engine) => {
  class Skill {
    factor = 3;
    times(value) { return this.factor * value; }
    listed() {}
  }
  const apply = (decorator, key) => {
    const descriptor = Object.getOwnPropertyDescriptor(Skill.prototype, key);
    const changed = decorator(Skill.prototype, key, descriptor);
    assert.deepEqual([changed.writable, changed.enumerable, changed.configurable], [true, false, true]);
    Object.defineProperty(Skill.prototype, key, changed);
  };
  apply(pricing({ cost: '0.01' }), 'times');
  apply(pricing, 'listed');
  engine.paying('user:ana', () => assert.equal(new Skill().times(2), 6));
  assert.equal(spent(engine), usd('0.01'));
  assert.equal(Skill.prototype.listed.farebox.tool, 'listed');
  assert.equal(await codeOf(() => pricing({ cost: 1 })(Skill.prototype, 'field', undefined)), 'INVALID_ARGUMENT');
});

withEngine('revenue is shared by the engine', async (engine) => {
  const consult = pricing({
    cost: 0.1,
    revenueShare: 0.7,
    owner: 'dev:eve',
  })(function consult(question) { return question; });
  engine.paying('user:ana', () => consult('?'));
  assert.equal(engine.balanceSync('dev:eve').balance, '0.07');
  assert.equal(engine.balanceSync('platform').balance, '0.03');
});

withEngine('async functions run side by side', async (engine) => {
  const fetch = pricing({ cost: 0.01 })(async function fetch(number) {
    await sleep(1);
    if (number === 3) throw new RangeError('three');
    return number;
  });
  const results = await engine.paying('user:ana', { run: 'r' }, () =>
    Promise.allSettled(Array.from({ length: 10 }, (_, number) => fetch(number))),
  );
  assert.deepEqual(
    results.filter((one) => one.status === 'fulfilled').map((one) => one.value),
    [0, 1, 2, 4, 5, 6, 7, 8, 9],
  );
  assert.ok(results[3].reason instanceof RangeError);
  assert.equal(spent(engine), usd('0.09'));
});

withEngine('a call that is aborted is released', async (engine) => {
  const hang = pricing({ cost: 0.01 })(async function hang(signal) {
    await sleep(60_000, undefined, { signal });
  });
  const controller = new AbortController();
  const call = engine.paying('user:ana', () => hang(controller.signal));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(engine.balanceSync('user:ana').held, '0.01');
  controller.abort();
  await assert.rejects(call, { name: 'AbortError' });
  assert.equal(spent(engine), 0n);
});

withEngine('two payers side by side do not mix', async (engine) => {
  const step = pricing({ cost: 0.01 })(async function step() { await sleep(1); });
  const agent = (payer, calls) =>
    engine.paying(payer, async () => {
      for (let i = 0; i < calls; i++) await step();
    });
  await Promise.all([agent('user:ana', 3), agent('user:bob', 4)]);
  assert.equal(spent(engine), usd('0.03'));
  assert.equal(spent(engine, 'user:bob', usd('0.05')), usd('0.04'));
});

withEngine('timers and callbacks inherit the payer', async (engine) => {
  const step = pricing({ cost: 0.01 })(function step() {});
  await engine.paying('user:ana', () => new Promise((resolve) => {
    setTimeout(() => resolve(process.nextTick(() => step())), 1);
  }));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(spent(engine), usd('0.01'));
});

withEngine('a plain function that gives a promise is settled when the promise is', async (engine) => {
  const plain = pricing({ cost: 0.01 })(function plain(fails) {
    return sleep(1).then(() => {
      if (fails) throw new RangeError('late');
      return 'value';
    });
  });
  await engine.paying('user:ana', async () => {
    const call = plain(false);
    assert.equal(engine.balanceSync('user:ana').held, '0.01');
    assert.equal(await call, 'value');
    await assert.rejects(plain(true), RangeError);
  });
  assert.equal(spent(engine), usd('0.01'));
});

withEngine('a generator is held at its first next', async (engine) => {
  const stream = pricing({ cost: 0.02 })(function* stream(count) {
    for (let i = 0; i < count; i++) yield i;
    if (count > 5) throw new RangeError('many');
  });
  engine.paying('user:ana', () => {
    const items = stream(3);
    assert.equal(engine.balanceSync('user:ana').held, '0');
    assert.equal(items.next().value, 0);
    assert.equal(engine.balanceSync('user:ana').held, '0.02');
    assert.deepEqual([...items], [1, 2]);
    assert.equal(spent(engine), usd('0.02'));

    for (const item of stream(3)) {
      assert.equal(item, 0);
      break; // the work has begun
    }
    assert.equal(spent(engine), usd('0.04'));

    stream(3).return(); // it has not
    assert.equal(spent(engine), usd('0.04'));
    assert.throws(() => [...stream(6)], RangeError);
  });
  assert.equal(spent(engine), usd('0.04'));
});

withEngine('a generator keeps next, throw and return', async (engine) => {
  let closed = false;
  const talk = pricing({ cost: 0.02 })(function* talk() {
    try {
      let heard = yield 'hello';
      try {
        heard = yield heard;
      } catch (error) {
        heard = yield error.message;
      }
      return heard;
    } finally {
      closed = true;
    }
  });
  engine.paying('user:ana', () => {
    const running = talk();
    assert.equal(running.next().value, 'hello');
    assert.equal(running.next('one').value, 'one');
    assert.equal(running.throw(new Error('caught')).value, 'caught');
    assert.deepEqual(running.next('bye'), { value: 'bye', done: true });
    assert.deepEqual(running.next(), { value: undefined, done: true });
    assert.equal(spent(engine), usd('0.02'));
    closed = false;
    const early = talk();
    early.next();
    assert.deepEqual(early.return('enough'), { value: 'enough', done: true });
    assert.ok(closed);
    const failed = talk();
    failed.next();
    assert.throws(() => failed.throw(new RangeError('no')), RangeError);
  });
  assert.equal(spent(engine), usd('0.04'));
});

withEngine('a generator does not leak its scope', async (engine) => {
  const outer = pricing({ cost: 0.001, per: 'token', maxCost: '0.10' })(function* outer() {
    recordUsage({ inputTokens: 5 });
    yield 1;
    recordUsage({ inputTokens: 2 });
  });
  engine.paying('user:ana', () => {
    for (const item of outer()) recordUsage({ inputTokens: 1000 * item }); // outside of the tool: nothing to record for
  });
  assert.equal(spent(engine), usd('0.007'));
});

withEngine('async generators', async (engine) => {
  const stream = pricing({ cost: 0.02 })(async function* stream(count) {
    for (let i = 0; i < count; i++) {
      await sleep(1);
      yield i;
    }
    if (count > 5) throw new RangeError('many');
  });
  await engine.paying('user:ana', async () => {
    const seen = [];
    for await (const item of stream(3)) seen.push(item);
    assert.deepEqual(seen, [0, 1, 2]);
    assert.equal(spent(engine), usd('0.02'));
    for await (const item of stream(3)) {
      assert.equal(item, 0);
      break;
    }
    assert.equal(spent(engine), usd('0.04'));
    await stream(3).return();
    assert.equal(spent(engine), usd('0.04'));
    await assert.rejects(async () => {
      for await (const item of stream(6)) assert.ok(item < 6);
    }, RangeError);
  });
  assert.equal(spent(engine), usd('0.04'));
});

withEngine('closing early charges what was recorded, or else the estimate', async (engine) => {
  const stream = pricing({ cost: 0.001, per: 'token', maxCost: '0.10' })(function* stream(text, used) {
    if (used > 0) recordUsage({ inputTokens: used });
    yield text;
    yield text;
  });
  engine.paying('user:ana', () => {
    const recorded = stream('x'.repeat(40), 3);
    recorded.next();
    recorded.return();
    assert.equal(spent(engine), usd('0.003'));
    const estimated = stream('x'.repeat(40), 0);
    estimated.next();
    estimated.return();
  });
  assert.equal(spent(engine), usd('0.013'));
});

withEngine('tokens are estimated from the arguments', async (engine) => {
  const process = pricing({ cost: 0.001, per: 'token', maxCost: 0.1 })(function process(text) {
    assert.equal(engine.balanceSync('user:ana').held, '0.1');
    return text;
  });
  engine.paying('user:ana', () => {
    process('x'.repeat(41));
    assert.equal(spent(engine), usd('0.011'));
    process('x'.repeat(4000));
  });
  assert.equal(spent(engine), usd('0.111'));
  const { estimateTokens } = farebox;
  assert.equal(estimateTokens('é', ['ab', { k: 'cd' }], new Uint8Array(1), 17, { name: 'y' }), 3);
  assert.equal(estimateTokens({ a_long_name: 'abcd' }, new Set(['abcd']), new Map([['ab', 'cd']])), 3);
  assert.equal(estimateTokens(), 0);
  assert.equal(estimateTokens(null, undefined, 5n, Symbol('s'), () => 'text', new Date()), 0);
});

withEngine('what was really used replaces the estimate', async (engine) => {
  const recorded = pricing({ cost: 0.001, per: 'token', maxCost: '0.10' })(function recorded() {
    const used = { inputTokens: 20 };
    recordUsage(used);
    used.inputTokens = 9999; // too late
    recordUsage({ outputTokens: 3, inputTokens: 2n });
  });
  const measure = (result) => ({ inputTokens: result.used });
  const measured = pricing({ cost: 0.001, per: 'token', measure })(async function measured() { return { used: 50 }; });
  await engine.paying('user:ana', async () => {
    recorded('hello');
    assert.equal(spent(engine), usd('0.025'));
    await measured('hello'); // more than was held: the excess is charged too
  });
  assert.equal(spent(engine), usd('0.075'));
  recordUsage({ inputTokens: 1 }); // outside of a call it does nothing
});

withEngine('usage is recorded in what a tool awaits', async (engine) => {
  const complete = pricing({ cost: 0.001, per: 'token', maxCost: '0.10' })(async function complete() {
    await Promise.all([1, 2, 3].map(async (tokens) => {
      await sleep(tokens);
      recordUsage({ outputTokens: tokens });
    }));
  });
  await engine.paying('user:ana', () => complete('hello'));
  assert.equal(spent(engine), usd('0.006'));
});

withEngine('an excess is charged as far as the payer can pay, and the rest is told', async (engine) => {
  const options = { cost: 0.01, per: 'unit', measure: (result) => result };
  const work = pricing(options)(function work() { return 4; });
  const later = pricing(options)(async function later() { return 100; });
  const payment = engine.paying('user:bob');
  assert.equal(payment.enter(work), 4);
  assert.equal(payment.receipt.shortfall, '0');
  assert.equal(await payment.enter(later), 100);
  assert.deepEqual([payment.receipt.amount, payment.receipt.shortfall], ['0.01', '0.99']);
  assert.equal(spent(engine, 'user:bob', usd('0.05')), usd('0.05'));
});

const COUNTED = [
  ['unit', undefined, ['a'], '0.01'],
  ['unit', 'data', [{ data: [1, 2, 3] }], '0.03'],
  ['unit', 'data', [{ data: new Set([1, 2]) }], '0.02'],
  ['unit', 'data', [{ data: 4.5 }], '0.045'],
  ['unit', 'extra', [{ extra: 7n }], '0.07'],
  ['unit', (data, extra = 2) => extra, ['a'], '0.02'],
  ['unit', () => '1.5', ['a'], '0.015'],
  ['unit', () => ({ units: 3 }), ['a'], '0.03'],
  ['page', 'pages', [{ pages: 5 }], '0.05'],
  ['character', undefined, ['héllo'], '0.05'],
  ['character', undefined, ['😀'], '0.01'],
  ['character', 'text', [{ text: 'abc' }], '0.03'],
  ['token', 'text', [{ text: 'abcdefgh' }], '0.02'],
  ['image', undefined, ['a'], '0.01'],
];
COUNTED.forEach(([per, units, args, cost], i) => {
  withEngine(`usage is counted where it is said to be: ${per} ${i}`, async (engine) => {
    const work = pricing({ cost: '0.01', per, units, name: 'work' })(() => undefined);
    engine.paying('user:ana', () => work(...args));
    assert.equal(spent(engine), usd(cost));
  });
});

withEngine('a dynamic price is asked for at each call', async (engine) => {
  const tiers = { basic: 0.01, medium: '0.03', advanced: 80_000_000n };
  const cost = (data, complexity = 'medium') => tiers[complexity];
  const analyse = pricing({ cost })(function analyse(data, complexity = 'medium') { return complexity; });
  const later = pricing({ cost, name: 'later' })(async () => undefined);
  await engine.paying('user:ana', async () => {
    analyse('x');
    analyse('x', 'basic');
    await later('x', 'advanced');
    await assert.rejects(later('x', 'unknown'), RequestError);
  });
  assert.equal(spent(engine), usd('0.12'));
  assert.ok(analyse.farebox.dynamic);
});

withEngine('a dynamic price is capped by maxCost and may be nothing', async (engine) => {
  const analyse = pricing({ cost: (amount) => amount, maxCost: '0.05' })(function analyse() {});
  engine.paying('user:ana', () => {
    analyse('0.02');
    assert.equal(spent(engine), usd('0.02'));
    analyse(1);
    assert.equal(spent(engine), usd('0.07'));
    analyse(0);
  });
  assert.equal(spent(engine), usd('0.07'));
});

withEngine('a named call is charged once however often it is tried', async (engine) => {
  let attempts = 0;
  const flaky = pricing({ cost: 0.02 })(async function flaky() {
    attempts += 1;
    if (attempts < 3) throw new Error('connection');
    return attempts;
  });
  await engine.paying('user:ana', { run: 'run-1' }, async () => {
    for (let i = 0; i < 2; i++) await assert.rejects(callId('call_7', flaky), /connection/);
    assert.equal(spent(engine), 0n);
    for (const expected of [3, 4, 5]) assert.equal(await callId('call_7', flaky), expected);
    assert.equal(spent(engine), usd('0.02'));
    await callId('call_8', flaky);
  });
  assert.equal(spent(engine), usd('0.04'));
});

withEngine('calls inside a named call have names of their own', async (engine) => {
  const inner = pricing({ cost: 0.01 })(function inner() {});
  const outer = pricing({ cost: 0.02 })(function outer() { inner(); inner(); });
  engine.paying('user:ana', { run: 'run-1' }, () => {
    for (let i = 0; i < 2; i++) callId('call_1', () => { outer(); inner(); });
  });
  assert.equal(spent(engine), usd('0.05'));
});

withEngine('unnamed calls are each charged, and long ids are hashed into the key', async (engine) => {
  const work = pricing({ cost: 0.01 })(function work() {});
  engine.paying('user:ana', { run: 'r'.repeat(255) }, () => {
    for (let i = 0; i < 3; i++) work();
    assert.equal(spent(engine), usd('0.03'));
    for (let i = 0; i < 2; i++) callId('c'.repeat(255), work);
  });
  assert.equal(spent(engine), usd('0.04'));
});

withEngine('calls side by side never overspend', async (engine) => {
  const work = pricing({ cost: '0.001' })(async function work(number) { return number; });
  const results = await engine.paying('user:bob', () =>
    Promise.allSettled(Array.from({ length: 200 }, (_, number) => work(number))),
  );
  assert.equal(results.filter((one) => one.status === 'fulfilled').length, 50);
  assert.ok(results.every((one) => one.status === 'fulfilled' || one.reason.code === 'INSUFFICIENT_FUNDS'));
  assert.equal(spent(engine, 'user:bob', usd('0.05')), usd('0.05'));
});

withEngine('paying can be nested and entered again', async (engine) => {
  const work = pricing({ cost: 0.01 })(function work() {});
  const ana = engine.paying('user:ana');
  const bob = engine.paying('user:bob', { run: 'r' });
  assert.deepEqual([bob.payer, bob.run, bob.engine, ana.run], ['user:bob', 'r', engine, undefined]);
  ana.enter(() => {
    work();
    bob.enter(() => {
      work();
      ana.enter(() => work());
    });
    work();
  });
  assert.ok((await errorOf(work)) instanceof RequestError);
  assert.equal(ana.enter((a, b) => a + b, 1, 2), 3);
  assert.equal(spent(engine), usd('0.03'));
  assert.equal(spent(engine, 'user:bob', usd('0.05')), usd('0.01'));
  for (const wrong of [
    () => engine.paying(5),
    () => engine.paying('user:ana', { run: 5 }),
    () => engine.paying('user:ana', { onReceipt: 5 }),
    () => ana.enter(5),
    () => callId(5, work),
    () => callId('c', 5),
    () => engine.paying('user:ana', {}, 5),
  ]) {
    assert.equal(await codeOf(wrong), 'INVALID_ARGUMENT');
  }
});

withEngine('another AsyncLocalStorage is left alone', async (engine) => {
  const other = new AsyncLocalStorage();
  const work = pricing({ cost: 0.01 })(async function work() { return other.getStore(); });
  assert.equal(await other.run('mine', () => engine.paying('user:ana', () => work())), 'mine');
});

withEngine('the payer and engine may be options', async (engine) => {
  const computed = pricing({ cost: 0.01, payer: (request) => `user:${request.user}`, engine })(function computed() {});
  const fixed = pricing({ cost: 0.01, payer: 'user:ana', engine: () => engine })(async function fixed() {});
  computed({ user: 'ana' });
  computed({ user: 'bob' });
  await fixed();
  assert.equal(spent(engine), usd('0.02'));
  assert.equal(spent(engine, 'user:bob', usd('0.05')), usd('0.01'));
  for (const wrong of [{ payer: 5, engine }, { payer: () => 5, engine }, { payer: 'user:ana', engine: {} }]) {
    assert.equal(
      await codeOf(pricing({ cost: 1, name: 'wrong', ...wrong })(() => assert.fail('it ran'))),
      'INVALID_ARGUMENT',
    );
  }
});

withEngine('a tool without a cost has the registered price', async (engine) => {
  const listed = pricing(function listed(tokens) {
    if (tokens) recordUsage({ inputTokens: tokens });
  });
  const entry = { name: 'listed', pricing: { cost: '0.001', per: 'token', max_cost: '0.10' } };
  await engine.paying('user:ana', async () => {
    assert.equal(await codeOf(listed), 'TOOL_NOT_FOUND');
    engine.registerSkillSync({ id: 'shop', version: '1.0.0', tools: [entry] });
    listed(30);
    assert.equal(spent(engine), usd('0.03'));
    listed(0); // nothing is known of its usage: what was held
  });
  assert.equal(spent(engine), usd('0.13'));
});

withEngine('usage that the price does not cover is an error and costs nothing', async (engine) => {
  const options = (more) => ({ cost: '0.01', per: 'unit', ...more });
  const narrow = pricing({ cost: '0.01', per: 'input_token' })(function narrow() { recordUsage({ images: 3 }); });
  const misspelt = pricing(options({ name: 'misspelt' }))(() => recordUsage({ imagse: 3 }));
  await engine.paying('user:ana', async () => {
    const error = await errorOf(() => narrow('some text'));
    assert.ok(error instanceof PaymentRefused);
    assert.equal(error.code, 'UNPRICEABLE');
    assert.equal(await codeOf(misspelt), 'UNKNOWN_FIELD');
  });
  assert.equal(spent(engine), 0n);
});

withEngine('tools of others are metered', async (engine) => {
  const session = {
    async callTool(name, args) {
      await sleep(1);
      return { isError: Object.keys(args).length === 0 };
    },
  };
  const log = meter((args) => session.callTool('git_log', args), { cost: '0.02', name: 'git_log' });
  const bound = meter(session.callTool.bind(session, 'x'), { cost: '0.01' });
  await engine.paying('user:ana', async () => {
    assert.ok(!(await log({ a: 1 })).isError);
    assert.ok((await log({})).isError);
    assert.ok(!(await bound({ a: 1 })).isError);
  });
  assert.equal(spent(engine), usd('0.03'));
  assert.equal(meter(parseInt, { cost: '0.01' }).farebox.tool, 'parseInt');
  assert.equal(await codeOf(() => meter(() => 1, { cost: '0.02' })), 'MISSING_FIELD');
  assert.deepEqual(
    [{ isError: true }, { is_error: true }, { isError: 1 }, null, 5].map(farebox.isFailedResult),
    [true, true, false, false, false],
  );
});

withEngine('receipts reach the payment, and what it does with them is its own affair', async (engine) => {
  const work = pricing({ cost: 0.01 })(function work() {});
  const later = pricing({ cost: 0.01 })(async function later() {});
  const receipts = [];
  await engine.paying('user:ana', { run: 'r', onReceipt: (receipt) => receipts.push(receipt) }, async () => {
    work();
    await later();
  });
  assert.deepEqual(receipts.map((one) => one.amount), ['0.01', '0.01']);
  assert.ok(receipts.every((one) => one.final && one.hold > 0));
  const broken = () => { throw new PaymentRefused('OVER_BUDGET'); };
  assert.equal(await codeOf(() => engine.paying('user:ana', { onReceipt: broken }, work)), 'OVER_BUDGET');
  assert.equal(spent(engine), usd('0.03'));
});

withEngine('a tool that outlives its hold is charged all the same', async (engine, clock) => {
  const slow = pricing({ cost: 0.01, holdMs: 5000 })(function slow() { clock.move(10); });
  const units = pricing({
    cost: 0.01,
    per: 'unit',
    holdMs: 5000,
    units: () => '2.5',
    name: 'units',
  })(async () => clock.move(10));
  const dynamic = pricing({ cost: () => '0.07', holdMs: 5000, name: 'dynamic' })(() => clock.move(10));
  const receipts = [];
  await engine.paying('user:ana', { onReceipt: (receipt) => receipts.push(receipt.amount) }, async () => {
    slow();
    await units();
    dynamic();
  });
  assert.deepEqual(receipts, ['0.01', '0.025', '0.07']);
  assert.equal(spent(engine), usd('0.105'));
});

test('prices that cannot be read are refused at the declaration', async () => {
  for (const options of [
    { cost: 'free' },
    { cost: NaN },
    { cost: {} },
    { cost: 5n },
    { cost: '0.01', overCapture: 'cap' },
    { cost: '0.01', skill: 5 },
    { cost: '0.01', chargeAfterwards: 1 },
    { cost: '0.01', releaseUnreported: 'x' },
    { cost: '0.01', durability: 'somewhat' },
    { cost: '0.01', units: 5, per: 'unit' },
    { cost: '0.01', revenueShare: 'x' },
    { cost: '0.01', measure: 'x' },
    { cost: '0.01', failed: 'x' },
    { cost: '0.01', holdMs: 'x' },
    { cost: '0.01', currency: 5 },
    { cost: '0.01', per: 5 },
    { price: '0.01' },
    'text',
    5,
  ]) {
    assert.ok((await errorOf(() => pricing(options))) instanceof RequestError, String(options));
    assert.ok((await errorOf(() => meter(function work() {}, options))) instanceof RequestError);
  }
  for (const fn of [class Tool {}, 5, null, {}]) {
    assert.equal(await codeOf(() => meter(fn, { cost: 1, name: 'x' })), 'INVALID_ARGUMENT');
  }
});

withEngine('a price changed in code is a new version', async (engine) => {
  const register = (cost) => pricing({ cost })(function changing() {});
  engine.paying('user:ana', () => {
    register('0.01')();
    register('0.01')();
    register('0.02')();
  });
  assert.equal(spent(engine), usd('0.04'));
});

withEngine('one function serves several engines', async (engine) => {
  const work = pricing({ cost: 0.01 })(async function work() {});
  const second = await Farebox.open('memory:');
  second.openAccountSync('user:ana');
  second.depositSync('user:ana', 1);
  await engine.paying('user:ana', work);
  await second.paying('user:ana', work);
  assert.equal(second.balanceSync('user:ana').balance, '0.99');
  assert.equal(spent(engine), usd('0.01'));
  await second.close();
});
