'use strict';

/* Promises: batches of charges, order, isolation, and what close waits for. */

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { Farebox } = require('..');
const { codeOf, errorOf, usd, withFolder } = require('./support');

const NORMAL = { durability: 'normal' };

/** A ledger in a file, without a clock of the test's, so that promises work off the event loop. */
function withLedger(name, options, work) {
  withFolder(name, async (folder) => {
    const engine = await Farebox.open(path.join(folder, 'ledger.db'), options);
    try {
      engine.openAccountSync('user:ana');
      engine.openAccountSync('user:bob');
      engine.depositSync('user:ana', 1000);
      engine.depositSync('user:bob', '0.05');
      await work(engine, folder);
    } finally {
      engine.closeSync();
    }
  });
}

const commits = (engine) => engine.callSync('engine.metrics').commits;

for (const durability of ['full', 'normal']) {
  withLedger(`charges of one turn share a commit: ${durability}`, { durability }, async (engine) => {
    const before = commits(engine);
    const receipts = await Promise.all(
      Array.from({ length: 500 }, (_, i) => engine.charge('user:ana', { amount: '0.01', key: `k-${i}` })),
    );
    assert.equal(commits(engine) - before, 1);
    assert.equal(new Set(receipts.map((one) => one.id)).size, 500);
    assert.equal(engine.balanceSync('user:ana').balance, '995');
    assert.equal((await engine.call('ledger.verify')).valid, true);
  });
}

withLedger('charges that arrive while a batch is on its way form the next one', NORMAL, async (engine) => {
  const before = commits(engine);
  const charges = [];
  for (let turn = 0; turn < 200; turn++) {
    charges.push(engine.charge('user:ana', { amount: '0.01' }));
    await null; // a turn of the microtasks, not of the event loop
  }
  const receipts = await Promise.all(charges);
  const used = commits(engine) - before;
  assert.ok(used >= 1 && used < 20, `${used} commits`);
  const ids = receipts.map((one) => one.id);
  assert.deepEqual(ids, [...ids].sort((a, b) => (a < b ? -1 : 1)));
});

withLedger('charges are carried out in the order in which they were issued', NORMAL, async (engine) => {
  const durabilities = ['normal', 'full', undefined];
  const receipts = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      engine.charge('user:ana', { amount: '0.01', durability: durabilities[Math.floor(i / 7) % 3] }),
    ),
  );
  for (let i = 1; i < receipts.length; i++) {
    assert.ok(receipts[i].id > receipts[i - 1].id);
    assert.ok(receipts[i].balanceUnits < receipts[i - 1].balanceUnits);
  }
});

withLedger('one charge that cannot be does not fail the others', NORMAL, async (engine) => {
  const wrong = [
    [engine.charge('user:nobody', { amount: 1 }), 'ACCOUNT_NOT_FOUND', 'payer'],
    [engine.charge('user:bob', { amount: 1 }), 'INSUFFICIENT_FUNDS', ''],
    [engine.charge('user:ana', { tool: 'absent' }), 'TOOL_NOT_FOUND', 'tool'],
    [engine.charge(5, { amount: 1 }), 'INVALID_ARGUMENT', 'payer'],
    [engine.charge(null, { amount: 1 }), 'INVALID_ARGUMENT', 'payer'],
    [engine.charge(undefined, { amount: 1 }), 'MISSING_FIELD', 'payer'],
    [engine.charge('user:ana', { amount: 1, key: {} }), 'INVALID_ARGUMENT', 'key'],
    [engine.charge('user:ana', { amount: 'x' }), 'INVALID_AMOUNT', 'amount'],
    [engine.charge('user:ana', { amount: -1 }), 'INVALID_AMOUNT', 'amount'],
    [engine.charge('user:\ud800', { amount: 1 }), 'INVALID_UTF8', 'payer'],
    [engine.charge('user:ana', { amount: 1, run: 'r'.repeat(70_000) }), 'TOO_LONG', 'run'],
    [engine.charge('x'.repeat(100_000), { amount: 1 }), 'TOO_LONG', 'payer'],
    [engine.charge('user:ana', { amount: 1, metadata: [] }), 'INVALID_ARGUMENT', 'metadata'],
  ];
  for (const [charge] of wrong) charge.catch(() => {}); // each is looked at below
  const right = Array.from({ length: 20 }, () => engine.charge('user:ana', { amount: 1 }));
  for (const [charge, code, field] of wrong) {
    const error = await errorOf(() => charge);
    assert.deepEqual([error.code, error.field], [code, field]);
  }
  assert.ok((await Promise.all(right)).every((one) => one.ok && one.amount === '1'));
  assert.equal(engine.balanceSync('user:ana').balance, '980');
});

withLedger('close waits for charges that had to ask first', NORMAL, async (engine) => {
  await engine.deposit('user:ana', '5', { asset: 'JPY' });
  const charges = [1, 2].map((amount) => engine.charge('user:ana', { amount, asset: 'JPY' }));
  await engine.close();
  assert.deepEqual((await Promise.all(charges)).map((one) => one.ok), [true, true]);
});

withLedger('a refusal in a batch has all its facts', NORMAL, async (engine) => {
  const [, refused] = await Promise.allSettled([
    engine.charge('user:ana', { amount: 1 }),
    engine.charge('user:bob', { amount: '0.06' }),
  ]);
  assert.equal(refused.reason.constraint.account, 'user:bob');
  assert.equal(Number(refused.reason.constraint.requested), 0.06);
  assert.match(refused.reason.message, /user:bob/);
  const first = engine.charge('user:ana', { amount: 1, key: 'k' });
  const second = engine.charge('user:ana', { amount: 2, key: 'k' });
  const third = engine.charge('user:ana', { amount: 1, key: 'k' });
  assert.ok(!(await first).replayed && (await third).replayed);
  const conflict = await errorOf(() => second);
  assert.deepEqual([conflict.code, conflict.field], ['KEY_CONFLICT', 'amount']);
});

withLedger('what a caller changes after a charge was issued changes nothing', NORMAL, async (engine) => {
  const request = { amount: 1, key: 'k', metadata: { a: 1 } };
  const charge = engine.charge('user:ana', request);
  request.amount = 500;
  request.key = 'other';
  request.metadata.a = 2;
  assert.equal((await charge).amount, '1');
  assert.deepEqual(engine.callSync('transfer.get', { id: (await charge).id }).metadata, { a: 1 });
});

withLedger('every verb works off the event loop', { durability: 'full' }, async (engine) => {
  engine.registerSkillSync({ id: 's', version: '1.0.0', tools: [{ name: 't', pricing: { cost: '0.01' } }] });
  let turns = 0;
  const ticking = setInterval(() => { turns += 1; }, 0);
  const work = Array.from({ length: 40 }, async (_, i) => {
    const hold = await engine.reserve('user:ana', { tool: 't', key: `h-${i}` });
    await hold.extend(60_000);
    await (i % 2 ? hold.capture() : hold.release());
    await engine.priceTool('t');
    await engine.tick();
    await engine.call('balance.get', { account: 'user:ana' });
    return (await engine.balance('user:ana')).account;
  });
  await Promise.all(work);
  clearInterval(ticking);
  assert.ok(turns > 0);
  assert.equal(engine.balanceSync('user:ana').balanceUnits, usd('999.8'));
  assert.equal(engine.balanceSync('user:ana').heldUnits, 0n);
});

withLedger('close waits for the charges that were issued', NORMAL, async (engine, folder) => {
  const charges = Array.from({ length: 50 }, () => engine.charge('user:ana', { amount: 1 }));
  const closing = engine.close();
  assert.ok(engine.closed);
  assert.equal(await codeOf(() => engine.charge('user:ana', { amount: 1 })), 'CLOSED');
  assert.equal(await codeOf(() => engine.chargeSync('user:ana', { amount: 1 })), 'CLOSED');
  await closing;
  assert.ok((await Promise.all(charges)).every((one) => one.ok && one.amount === '1'));
  const again = Farebox.openSync(path.join(folder, 'ledger.db'));
  assert.equal(again.balanceSync('user:ana').balance, '950');
  again.closeSync();
});

withLedger('closeSync refuses the charges that wait, and takes nothing for them', NORMAL, async (engine, folder) => {
  const charges = Array.from({ length: 50 }, () => engine.charge('user:ana', { amount: 1 }));
  engine.closeSync();
  const results = await Promise.allSettled(charges);
  assert.ok(results.every((one) => one.status === 'rejected' && one.reason.code === 'CLOSED'));
  const again = Farebox.openSync(path.join(folder, 'ledger.db'));
  assert.equal(again.balanceSync('user:ana').balance, '1000');
  again.closeSync();
});

withLedger('blocking calls may be made while promises are on their way', NORMAL, async (engine) => {
  const charges = [];
  for (let i = 0; i < 200; i++) {
    charges.push(engine.charge('user:ana', { amount: '0.01' }), engine.reserve('user:ana', { amount: '0.01' }));
    engine.chargeSync('user:ana', { amount: '0.01' });
    if (i % 20 === 0) await charges.at(-1);
  }
  const done = await Promise.all(charges);
  await Promise.all(done.filter((one) => one.capture !== undefined).map((hold) => hold.capture()));
  assert.equal(engine.balanceSync('user:ana').balance, '994');
});

test('an engine with a clock gives the same promises on the event loop\'s thread', async () => {
  const engine = Farebox.openSync('memory:', { clock: () => new Date('2027-01-15T08:00:00Z') });
  engine.openAccountSync('user:ana');
  await engine.deposit('user:ana', 10);
  const results = await Promise.allSettled([
    engine.charge('user:ana', { amount: 1 }),
    engine.charge('user:bob', { amount: 1 }),
    engine.charge('user:ana', { amount: 1 }),
  ]);
  assert.deepEqual(results.map((one) => one.value?.at.toISOString() ?? one.reason.code), [
    '2027-01-15T08:00:00.000Z',
    'ACCOUNT_NOT_FOUND',
    '2027-01-15T08:00:00.000Z',
  ]);
  await engine.close();
});

withFolder('batches of more charges than a batch may have are several', async (folder) => {
  const engine = await Farebox.open(path.join(folder, 'ledger.db'), { durability: 'normal' });
  await engine.deposit('user:ana', 1000);
  const receipts = await Promise.all(Array.from(
    { length: 20_000 },
    () => engine.charge('user:ana', { amount: '0.01' }),
  ));
  assert.equal(new Set(receipts.map((one) => one.id)).size, 20_000);
  assert.equal(engine.balanceSync('user:ana').balance, '800');
  await engine.close();
});
