'use strict';

/* Who pays for metered C functions: the context of the caller, on the pool's threads, on the event loop's thread, and where
 * C calls them back. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

const { Farebox, callId } = require('..');
const { codeOf, run, withFolder } = require('./support');

const CENT = 10_000_000n;
const NEGATE = { symbol: 'negate', signature: 'i32(i32)', cost: '0.01', name: 'negate' };

function nodeHeaders() {
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  return [path.join(prefix, 'include', 'node'), '/usr/include/node'].find((folder) =>
    fs.existsSync(path.join(folder, 'node_api.h')));
}

/** A test with the C functions of callbacks.c, and a ledger where user:ana and user:bob have 10 USD each. */
function withCallbacks(name, work) {
  withFolder(name, async (folder, context) => {
    const library = path.join(folder, 'callbacks.node');
    const flags = ['-std=c11', '-shared', '-fPIC', '-Wall', '-Wextra', '-Werror', `-I${nodeHeaders()}`];
    const source = path.join(__dirname, 'callbacks.c');
    const built = await run(process.env.CC ?? 'cc', [...flags, '-o', library, source]);
    assert.equal(built.code, 0, built.stderr);
    const engine = Farebox.openSync('memory:');
    try {
      for (const account of ['user:ana', 'user:bob']) {
        engine.openAccountSync(account);
        engine.depositSync(account, 10);
      }
      await work(engine, library, context);
    } finally {
      engine.closeSync();
    }
  });
}

const paid = (engine, account) => (10_000_000_000n - engine.balanceSync(account).balanceUnits) / CENT;
const both = (engine) => [Number(paid(engine, 'user:ana')), Number(paid(engine, 'user:bob'))];

/** Gives the addon the pointer of a metered `negate`; the pointer has no payer of its own. */
function meteredTarget(engine, library) {
  const addon = require(library);
  engine.registerSkillSync({ id: 'negate', version: '1.0.0', tools: [{ name: 'negate', pricing: { cost: '0.01' } }] });
  const plan = { library, symbol: 'negate', signature: 'i32(i32)', tool: 'negate', flags: 0, amount: 0n };
  const handle = engine.core.meterSync({ ...plan, maxCost: 0n, durability: 0 });
  addon.set(handle);
  return { addon, handle };
}

withCallbacks('promises that wait side by side pay each for themselves', async (engine, library) => {
  const negate = await engine.meterFunction({ ...NEGATE, library });
  const ana = engine.paying('user:ana', { run: 'r' });
  await Promise.all(Array.from({ length: 20 }, (_, i) =>
    (i % 2 === 0 ? ana : engine.paying('user:bob')).enter(async () => {
      await sleep(Math.random() * 3);
      assert.equal(await negate(5), -5);
    })));
  assert.deepEqual(both(engine), [10, 10]);
  assert.equal(ana.receipts.length, 10);
  assert.equal(await codeOf(() => negate(5)), 'MISSING_FIELD');
});

withCallbacks('what C calls back is paid for by the context of the call', async (engine, library) => {
  meteredTarget(engine, library);
  const callBack = { ...NEGATE, symbol: 'call_back', name: 'call_back', library };
  const later = await engine.meterFunction(callBack);
  const now = engine.meterFunctionSync({ ...callBack, name: 'call_back_now' });
  await Promise.all(['user:ana', 'user:bob'].map((account) =>
    engine.paying(account, async () => {
      await sleep(1);
      assert.equal(await later(5), -10);
      assert.equal(now(5), -10);
    })));
  assert.deepEqual(both(engine), [6, 6]);
  // With a payer of the call's own, in no context.
  const own = engine.meterFunctionSync({ ...callBack, name: 'call_back_own', payer: 'user:bob' });
  own(5);
  assert.deepEqual(both(engine), [6, 9]);
});

withCallbacks('an addon that calls a metered function on the event loop is paid for by the context', async (engine, library) => {
  const { addon } = meteredTarget(engine, library);
  await Promise.all(['user:ana', 'user:bob'].map((account) =>
    engine.paying(account, async () => {
      await sleep(1);
      assert.equal(addon.call(5), -10);
      await sleep(1);
      assert.equal(addon.call(5), -10);
    })));
  assert.deepEqual(both(engine), [4, 4]);
  assert.equal(addon.call(5), 0); // nobody pays: refused, and C gets zero
  const other = Farebox.openSync('memory:');
  other.paying('user:ana', () => assert.equal(addon.call(5), 0));
  other.closeSync();
  other.paying('user:ana', () => assert.equal(addon.call(5), 0));
  assert.deepEqual(both(engine), [4, 4]);
});

withCallbacks('a call that is tried again is charged once, what it calls on the event loop too', async (engine, library) => {
  const { addon } = meteredTarget(engine, library);
  const negate = engine.meterFunctionSync({ ...NEGATE, name: 'negate_now', library });
  for (let round = 0; round < 3; round++) {
    engine.paying('user:ana', { run: 'r' }).enter(() =>
      callId('call-1', () => {
        const numbers = round === 1 ? [6, 5] : [5, 6]; // in any order
        for (const number of numbers) assert.equal(negate(number), -number);
        assert.equal(negate(5), -5);
        addon.call(7);
      }));
    assert.deepEqual(both(engine), [5, 0]);
  }
  engine.paying('user:ana', { run: 'r' }).enter(() => callId('call-2', () => negate(5)));
  engine.paying('user:bob', { run: 'r' }).enter(() => callId('call-1', () => negate(5)));
  assert.deepEqual(both(engine), [6, 1]);
});

test('a worker has a context of its own', async () => {
  const { Worker } = require('node:worker_threads');
  const source = `
    const assert = require('node:assert/strict');
    const { Farebox } = require(${JSON.stringify(path.dirname(__dirname))});
    const engine = Farebox.openSync('memory:');
    engine.openAccountSync('user:ana');
    engine.depositSync('user:ana', 1);
    const crc32 = engine.meterFunctionSync({ library: 'libz.so.1', symbol: 'crc32',
      signature: 'u64(u64 crc, bytes:u32 data)', cost: '0.01' });
    engine.paying('user:ana', () => crc32(0, Buffer.from('hello')));
    assert.equal(engine.balanceSync('user:ana').balance, '0.99');
    engine.closeSync();`;
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(source, { eval: true });
    const code = await new Promise((done, fail) => worker.on('exit', done).on('error', fail));
    assert.equal(code, 0);
  }
});

test('who is asked can be set once, and only to a function', async () => {
  const native = require('../build/farebox.node');
  for (const bad of [undefined, null, 5, {}, () => ['x'], () => { throw new Error('asked'); }]) {
    assert.equal(native.setPayerAsker(bad), undefined);
  }
  const engine = Farebox.openSync('memory:');
  engine.openAccountSync('user:ana');
  engine.depositSync('user:ana', 1);
  assert.equal(engine.balanceSync('user:ana').balance, '1');
  engine.closeSync();
});
