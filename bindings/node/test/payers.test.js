'use strict';

/* Who pays, and which calls are the same call. */

const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');

const { RequestError, callId, pricing } = require('..');
const { canonical } = require('../lib/canonical');
const { codeOf, errorOf, spent, usd, withEngine } = require('./support');

const BOB = usd('0.05');

withEngine('a payment may be entered side by side, nested and again, and never charges a stranger', async (engine) => {
  const step = pricing({ cost: '0.001' })(async function step() { await sleep(Math.random() * 3); });
  const ana = engine.paying('user:ana');
  const bob = engine.paying('user:bob');
  await Promise.all(Array.from({ length: 10 }, (_, i) =>
    (i % 2 === 0 ? ana : bob).enter(async () => {
      await step();
      await (i % 2 === 0 ? bob : ana).enter(async () => {
        await step();
        await ana.enter(step);
      });
      await step(); // the outer one again
    })));
  assert.equal(spent(engine), usd('0.025'));
  assert.equal(spent(engine, 'user:bob', BOB), usd('0.015'));
  const nobody = await errorOf(step);
  assert.deepEqual([nobody.code, nobody.field], ['MISSING_FIELD', 'payer']);
  assert.match(nobody.message, /engine\.paying\(/);
});

withEngine('a generator is paid for by whoever was to pay where it was made', async (engine) => {
  const sync = pricing({ cost: '0.01' })(function* sync() { yield 1; });
  const later = pricing({ cost: '0.01' })(async function* later() { yield 1; });
  const [one, two] = engine.paying('user:bob', () => [sync(), later()]);
  await engine.paying('user:ana', async () => {
    for (const item of one) assert.equal(item, 1);
    for await (const item of two) assert.equal(item, 1);
  });
  assert.equal(spent(engine, 'user:bob', BOB), usd('0.02'));
  const open = sync();
  engine.paying('user:ana', () => [...open]);
  assert.equal(spent(engine), usd('0.01'));
});

withEngine('the receipts of what was called can be had', async (engine) => {
  const work = pricing({ cost: '0.01' })(function work() {});
  const fails = pricing({ cost: '0.02' })(async function fails() { throw new RangeError('no'); });
  const payment = engine.paying('user:ana', { run: 'r' });
  assert.deepEqual([payment.receipt, payment.receipts], [null, []]);
  payment.enter(work);
  assert.equal(payment.receipt.amount, '0.01');
  await assert.rejects(payment.enter(fails), RangeError);
  assert.equal(payment.receipts.length, 1);
  for (let i = 0; i < 149; i++) payment.enter(work);
  assert.equal(payment.receipts.length, 100);
  assert.equal(payment.receipts.at(-1), payment.receipt);
  assert.equal(payment.receipt.balanceUnits, usd('8.5'));
  payment.receipts.pop(); // a copy
  assert.equal(payment.receipts.length, 100);
  assert.equal(JSON.stringify(payment), '{"payer":"user:ana","run":"r"}');
});

// ---- Which calls are the same ----

withEngine('an empty id is refused, and one of any length is an id', async (engine) => {
  const search = pricing({ cost: '0.02' })(function search() {});
  const refused = await errorOf(() => engine.paying('user:ana', () => callId('', search)));
  assert.ok(refused instanceof RequestError);
  assert.deepEqual([refused.code, refused.field], ['INVALID_ARGUMENT', 'call']);
  const ids = [`call_${'x'.repeat(700)}`, `call_${'x'.repeat(700)}y`, 'é'.repeat(400), 'a/b', 'a', 'x'];
  for (let i = 0; i < 2; i++) {
    for (const id of ids) engine.paying('user:ana', { run: 'r' }, () => callId(id, () => search('a')));
  }
  assert.equal(spent(engine), usd('0.12'));
});

withEngine('run and call are told apart, and so are payers', async (engine) => {
  const search = pricing({ cost: '0.02' })(function search() {});
  const runs = [['a/b', 'c'], ['a', 'b/c'], [undefined, 'a/b/c'], ['a/b/c', 'user:ana']];
  for (const [run, call] of [...runs, ...runs]) engine.paying('user:ana', { run }, () => callId(call, search));
  assert.equal(spent(engine), usd('0.08'));
  engine.paying('user:bob', { run: 'a/b' }, () => callId('c', search));
  assert.equal(spent(engine, 'user:bob', BOB), usd('0.02'));
});

withEngine('the same id with other arguments is another call', async (engine) => {
  const listed = [];
  const list = pricing({ cost: '1' })(async function list(path) { listed.push(path); });
  for (let i = 0; i < 2; i++) {
    for (const path of ['.', '/', { path: '/', depth: 1 }, { depth: 1, path: '/' }, { path: '/', depth: 2 }]) {
      await engine.paying('user:ana', { run: 'conversation-7' }, () => callId('list_dir:0', () => list(path)));
    }
  }
  assert.equal(listed.length, 10);
  assert.equal(spent(engine), usd('4'));
});

withEngine('a retry may do its work in another order', async (engine) => {
  const inner = pricing({ cost: '0.01' })(async function inner() {});
  const other = pricing({ cost: '0.02' })(async function other() {});
  const outer = pricing({ cost: '0.1' })(async function outer(steps) {
    await Promise.all(steps.map(([tool, argument]) => tool(argument)));
    throw new RangeError('after the work');
  });
  const steps = [[inner, 1], [inner, 2], [other, 1], [inner, 1]];
  const run = () => engine.paying('user:ana', { run: 'r' }, () => callId('call_1', async () => {
    for (const step of [...steps].reverse()) await step[0](step[1]);
    await outer({ toJSON: () => 'the same' , map: (work) => steps.map(work) }).catch(() => undefined);
  }));
  await run();
  assert.equal(spent(engine), usd('0.1'));
  steps.reverse();
  await run();
  assert.equal(spent(engine), usd('0.1'));
  steps.push([inner, 2]); // one more is charged
  await run();
  assert.equal(spent(engine), usd('0.12'));
});

withEngine('one numbering counts for one id, also in a payment that is entered again', async (engine) => {
  const work = pricing({ cost: '0.01' })(function work() {});
  const payment = engine.paying('user:ana', { run: 'r' });
  for (let i = 0; i < 2; i++) {
    callId('c', () => {
      payment.enter(work);
      payment.enter(() => {
        work();
        callId('d', work); // begins anew
      });
    });
  }
  assert.equal(spent(engine), usd('0.03'));
});

withEngine('a call is charged once, also where two tries of it run at once', async (engine) => {
  let tries = 0;
  const book = pricing({ cost: '1' })(async function book() {
    tries += 1;
    if (tries === 1) throw new Error('timed out');
    await sleep(5);
    return 'booked';
  });
  const told = [];
  const payment = engine.paying('user:ana', { run: 'r', onReceipt: (receipt) => told.push(receipt.id) });
  const attempt = (id) => payment.enter(() => callId(id, () => book('4A')));
  await assert.rejects(attempt('call_9'));
  for (let i = 0; i < 3; i++) assert.equal(await attempt('call_9'), 'booked');
  assert.deepEqual(await Promise.all([attempt('call_10'), attempt('call_10')]), ['booked', 'booked']);
  assert.equal(spent(engine), usd('2'));
  assert.equal(told.length, 2); // each charge is told once
  assert.deepEqual(payment.receipts.map((one) => one.id), told);
  assert.ok(payment.receipt.replayed);
});

withEngine('what a run cost is one call', async (engine) => {
  const llm = pricing({ cost: '0.000003', per: 'token', maxCost: '0.05', measure: () => ({ inputTokens: 600 }) })(
    async function llm() {},
  );
  await engine.paying('user:ana', { run: 'r1' }, () => callId('c1', llm));
  await engine.paying('user:ana', { run: 'r2' }, llm);
  const rows = engine.callSync('transfer.list', { run: 'r1' }).transfers;
  const charged = rows.filter((row) => row.kind === 'capture');
  assert.deepEqual(charged.map((row) => [row.amount, row.call]), [['0.0018', 'c1']]);
  const cost = await engine.runCost('r1');
  assert.deepEqual(cost.assets.map((one) => [one.asset, one.spent]), [['USD', '0.0018']]);
  assert.deepEqual(engine.runCostSync('r1', { payer: 'user:ana' }).assets, cost.assets);
  assert.equal(await codeOf(() => engine.runCost('r1', { colour: 1 })), 'UNKNOWN_FIELD');
});

withEngine('arguments have one form', () => {
  const alike = [
    [[1, 'a'], [1, 'a', undefined]],
    [[{ a: 1, b: [2] }], [{ b: [2], a: 1, c: undefined }]],
    [[new Map([[1, 2], [3, 4]])], [new Map([[3, 4], [1, 2]])]],
    [[new Set(['a', 'b'])], [new Set(['b', 'a'])]],
    [[Buffer.from('abc')], [Buffer.from('xabcx').subarray(1, 4)]],
    [[new Date(5)], [new Date(5)]],
    [[() => 1], [() => 2]],
    [[new AbortController().signal], [AbortSignal.abort()]],
    [[-0], [0]],
  ];
  for (const [one, other] of alike) assert.equal(canonical(one), canonical(other));
  const cycle = { name: 'c' };
  cycle.self = cycle;
  let deep = 'deep';
  for (let i = 0; i < 5000; i++) deep = [deep];
  const different = [
    [], [1], ['1'], [null, 1], [[1]], [[[1]]], [{ a: 1 }], [{ a: '1' }], [{ b: 1 }], [[['a', 1]]],
    [new Map([['a', 1]])],
    [new Set([1])], [Buffer.from([1])], [NaN], [Infinity], [true], ['true'], ['<Map "a":1>'], [cycle], [deep],
    [new Error('a')], [new Error('b')], ['x'.repeat(5000)], ['x'.repeat(5001)], [{ get a() { throw new Error(); } }],
  ];
  assert.equal(new Set(different.map(canonical)).size, different.length);
});
