'use strict';

/* Engines that were dropped: the collector closes them, and so does the end of the process. */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const v8 = require('node:v8');
const vm = require('node:vm');

const { Farebox } = require('..');
const { PROJECT, run, withFolder } = require('./support');

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');

async function collected(done) {
  for (let turn = 0; turn < 100 && !done(); turn++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

withFolder('an engine that was dropped is closed with what is relaxed', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  (() => {
    const engine = Farebox.openSync(file, { durability: 'relaxed', exclusive: true });
    engine.openAccountSync('user:ana');
    engine.depositSync('user:ana', 1);
    assert.ok(engine.chargeSync('user:ana', { amount: '0.25' }).uncommitted);
  })();
  let again;
  await collected(() => {
    try {
      again = Farebox.openSync(file, { exclusive: true, busyTimeoutMs: 1 });
    } catch (error) {
      assert.equal(error.code, 'STORE_BUSY');
    }
    return again !== undefined;
  });
  assert.equal(again?.balanceSync('user:ana').balance, '0.75');
  again.closeSync();
});

test('thousands of engines may be dropped', async () => {
  for (let turn = 0; turn < 4000; turn++) {
    Farebox.openSync('memory:', turn % 2 ? { clock: () => 1_800_000_000_000_000n } : undefined);
    if (turn % 100 === 99) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
});

withFolder('an engine that was dropped finishes what was issued', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  const charges = await (async () => {
    const engine = await Farebox.open(file, { durability: 'normal' });
    engine.depositSync('user:ana', 100);
    return {
      list: Array.from({ length: 50 }, () => engine.charge('user:ana', { amount: 1 })),
      hold: engine.reserve('user:ana', { amount: 1 }),
    };
  })();
  collect();
  const receipts = await Promise.all(charges.list);
  assert.ok(receipts.every((one) => one.amount === '1'));
  assert.equal((await charges.hold).amount, '1');
});

test('memory does not grow with calls', async () => {
  const engine = Farebox.openSync('memory:');
  engine.depositSync('user:ana', 1_000_000);
  engine.registerSkillSync({ id: 's', version: '1.0.0', tools: [{ name: 't', pricing: { cost: '0.01' } }] });
  const turn = async () => {
    for (let i = 0; i < 2000; i++) {
      engine.priceToolSync('t', { usage: { requests: 2 } });
      engine.balanceSync('user:ana');
      try { engine.chargeSync('user:nobody', { amount: 1 }); } catch { /* refused */ }
    }
    await Promise.allSettled(Array.from({ length: 300 }, (_, i) => engine.balance(i % 2 ? 'user:ana' : 'user:nobody')));
    await Promise.allSettled(Array.from(
      { length: 300 },
      () => engine.charge('user:nobody', { amount: 1, description: 'x'.repeat(300) }),
    ));
    collect();
  };
  for (let i = 0; i < 10; i++) await turn();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 20; i++) await turn();
  const grown = (process.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(grown < 24, `${grown.toFixed(1)} MiB`);
  engine.closeSync();
});

withFolder('the end of the process closes what was not closed', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  const program = `
    const { Farebox } = require(process.argv[1]);
    const engine = globalThis.kept = Farebox.openSync(process.argv[2], { durability: 'relaxed', exclusive: true });
    engine.depositSync('user:ana', 1);
    if (!engine.chargeSync('user:ana', { amount: '0.25' }).uncommitted) process.exit(3);
    if (process.argv[3] === 'exit') process.exit(0);
  `;
  for (const [turn, ending] of ['fall', 'exit'].entries()) {
    const done = await run(process.execPath, ['-e', program, PROJECT, `${file}-${turn}`, ending]);
    assert.deepEqual([done.code, done.stderr], [0, '']);
    const engine = Farebox.openSync(`${file}-${turn}`, { exclusive: true });
    assert.equal(engine.balanceSync('user:ana').balance, '0.75');
    engine.closeSync();
  }
});
