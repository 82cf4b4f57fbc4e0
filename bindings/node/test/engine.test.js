'use strict';

/* Charges, holds, quotes and balances through the typed door, and the JSON door. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { inspect } = require('node:util');

const farebox = require('..');
const { ManualClock, codeOf, errorOf, usd, withEngine, withFolder } = require('./support');

const { Farebox, Hold, HoldError, KeyConflict, PaymentRefused, RequestError, StateError, StoreError } = farebox;

const FLAT = { id: 'flat', version: '1.0.0', tools: [{ name: 'flat', pricing: { cost: '0.02' } }] };
const TOKENS = {
  id: 'tokens',
  version: '1.0.0',
  tools: [{ name: 'tokens', pricing: { cost: '0.001', per: 'token', max_cost: '0.10' } }],
};
const DYNAMIC = {
  id: 's',
  version: '1.0.0',
  tools: [{ name: 'dyn', pricing: { components: [{ model: 'dynamic' }] } }],
};

withEngine('an explicit charge moves money to the payee', async (engine, clock) => {
  const request = { amount: 0.02, payee: 'dev:eve', description: 'é', metadata: { size: 1.5 } };
  for (const receipt of [engine.chargeSync('user:ana', request), await engine.charge('user:ana', request)]) {
    assert.ok(receipt instanceof farebox.Receipt && receipt.ok && receipt.error === null);
    assert.equal(receipt.require(), receipt);
    assert.deepEqual(
      [receipt.amount, receipt.amountUnits, receipt.asset, receipt.scale],
      ['0.02', 20_000_000n, 'USD', 9],
    );
    assert.equal(receipt.balance, receipt.available);
    assert.ok(receipt.id > 0n && receipt.hold === 0 && !receipt.replayed && !receipt.capped && !receipt.uncommitted);
    assert.equal(receipt.time, clock.now);
    assert.equal(receipt.at.toISOString(), '2027-01-15T08:00:00.000Z');
  }
  assert.equal((await engine.balance('dev:eve')).balance, '0.04');
  assert.equal(engine.balanceSync('user:ana').balance, '9.96');
});

withEngine('a BigInt is atomic units, a string and a number are major units', async (engine) => {
  assert.equal(engine.chargeSync('user:ana', { amount: 5n }).amount, '0.000000005');
  assert.equal((await engine.charge('user:ana', { amount: '1' })).amountUnits, 1_000_000_000n);
  assert.equal(engine.chargeSync('user:ana', { amount: 1 }).amountUnits, 1_000_000_000n);
  assert.equal(await codeOf(() => engine.charge('user:ana', { amount: 2n ** 63n })), 'OVERFLOW');
  assert.equal(await codeOf(() => engine.chargeSync('user:ana', { amount: '0.0000000001' })), 'TOO_PRECISE');
  engine.depositSync('dev:eve', 7n);
  assert.equal(engine.balanceSync('dev:eve').balanceUnits, 7n);
});

withEngine('a key is charged once and another request under it conflicts', async (engine) => {
  const request = { amount: '1', key: 'k', run: 'r', call: 'c' };
  const first = await engine.charge('user:ana', request);
  const again = engine.chargeSync('user:ana', request);
  assert.ok(again.replayed && !first.replayed);
  assert.deepEqual([again.id, again.amountUnits, again.time], [first.id, first.amountUnits, first.time]);
  assert.equal(engine.balanceSync('user:ana').balance, '9');
  for (const work of [engine.charge, engine.chargeSync]) {
    const error = await errorOf(() => work.call(engine, 'user:ana', { ...request, amount: '2' }));
    assert.ok(error instanceof KeyConflict);
    assert.equal(error.field, 'amount');
  }
});

withEngine('a refusal names the binding constraint', async (engine) => {
  for (const work of [engine.charge, engine.chargeSync, engine.reserve, engine.reserveSync]) {
    const error = await errorOf(() => work.call(engine, 'user:bob', { amount: '0.06' }));
    assert.ok(error instanceof PaymentRefused && error instanceof farebox.FareboxError && error instanceof Error);
    assert.deepEqual(
      [error.code, error.number, error.name, error.retryable],
      ['INSUFFICIENT_FUNDS', 400, 'PaymentRefused', true],
    );
    assert.equal(error.constraint.constraint, 'wallet');
    assert.equal(error.constraint.account, 'user:bob');
    assert.equal(Number(error.constraint.limit), 0.05);
    assert.equal(Number(error.constraint.requested), 0.06);
    assert.match(error.stack, /PaymentRefused/);
  }
  assert.equal(engine.balanceSync('user:bob').balance, '0.05');
});

withEngine('a tool is quoted line by line and charged alike', async (engine) => {
  engine.registerSkillSync(TOKENS);
  const usage = { inputTokens: 40, outputTokens: 2 };
  for (const quote of [engine.priceToolSync('tokens', { usage }), await engine.priceTool('tokens', { usage })]) {
    assert.deepEqual([quote.total, quote.totalUnits, quote.asset, quote.capped], ['0.042', 42_000_000n, 'USD', false]);
    assert.ok(quote.lines.every((line) => line.rate === '0.001' && line.tier === null));
    assert.equal(quote.lines.reduce((sum, line) => sum + line.amountUnits, 0n), quote.totalUnits);
    assert.equal(quote.lines.reduce((sum, line) => sum + Number(line.quantity), 0), 42);
    assert.ok(JSON.stringify(quote).includes('"total":"0.042"'));
  }
  assert.ok(engine.priceToolSync('tokens', { usage: { inputTokens: 1000 } }).capped);
  assert.equal(engine.priceToolSync('tokens', { usage: { inputTokens: 1000n } }).total, '0.1');
  assert.equal(engine.priceToolSync('tokens', { usage, maxCost: '0.01' }).total, '0.01');
  const receipt = engine.chargeSync('user:ana', { tool: 'tokens', usage });
  assert.equal(receipt.amount, '0.042');
  assert.ok(receipt.priceVersion > 0n);
  const over = () => engine.charge('user:ana', { tool: 'tokens', usage, maxCost: '0.01' });
  assert.equal(await codeOf(over), 'OVER_MAX_COST');
  for (const work of [engine.priceTool, engine.priceToolSync]) {
    const missing = await errorOf(() => work.call(engine, 'absent'));
    assert.ok(missing instanceof StateError);
    assert.deepEqual([missing.code, missing.field], ['TOOL_NOT_FOUND', 'tool']);
  }
});

withEngine('a price of many components gives all its lines', async (engine) => {
  const meters = ['input_tokens', 'output_tokens', 'cache_read_tokens', 'reasoning_tokens', 'images'];
  const pricing = { components: meters.map((meter) => ({ meter, rate: '0.001' })) };
  engine.registerSkillSync({ id: 'many', version: '1.0.0', tools: [{ name: 'many', pricing }] });
  const usage = { inputTokens: 3, outputTokens: 3, cacheReadTokens: 3, reasoningTokens: 3, images: 3 };
  const quote = await engine.priceTool('many', { usage });
  assert.deepEqual(quote.lines.map((line) => line.meter), Object.keys(usage));
  assert.equal(quote.total, '0.015');
});

withEngine('a quote of more lines than a frame has room for is asked for again', async (engine) => {
  const names = { input_tokens: 'inputTokens', output_tokens: 'outputTokens', reasoning_tokens: 'reasoningTokens' };
  const components = Object.keys(names).map((meter) => ({
    meter,
    model: 'graduated',
    tiers: Array.from(
      { length: 40 },
      (_, i) => (i === 39 ? { rate: '0.001' } : { up_to: String(i + 1), rate: '0.001' }),
    ),
  }));
  engine.registerSkillSync({ id: 'tiers', version: '1.0.0', tools: [{ name: 'tiers', pricing: { components } }] });
  const usage = { inputTokens: 50, outputTokens: 50, reasoningTokens: 50 };
  for (const quote of [engine.priceToolSync('tiers', { usage }), await engine.priceTool('tiers', { usage })]) {
    assert.equal(quote.lines.length, 120);
    assert.equal(quote.total, '0.15');
    assert.deepEqual([quote.lines[41].tier, quote.lines[119].meter], [1, 'reasoningTokens']);
  }
});

withEngine('units may have digits after the point', async (engine) => {
  engine.registerSkillSync({
    id: 'hours',
    version: '1.0.0',
    tools: [{ name: 'hours', pricing: { cost: '0.1', per: 'unit' } }],
  });
  assert.equal(engine.priceToolSync('hours', { usage: 4.5 }).total, '0.45');
  assert.equal(engine.priceToolSync('hours', { usage: '0.000001' }).totalUnits, 100n);
  assert.equal(engine.priceToolSync('hours', { usage: { units: '4.5' } }).total, '0.45');
  for (const usage of ['0.0000001', NaN, { inputTokens: 1.5 }, { units: true }, [1]]) {
    assert.ok((await errorOf(() => engine.priceToolSync('hours', { usage }))) instanceof RequestError);
  }
});

withEngine('a hold is used: captured at the end, released by an error', async (engine) => {
  const first = await engine.reserve('user:ana', { amount: 2, payee: 'dev:eve' });
  assert.ok(first instanceof Hold);
  assert.deepEqual([first.amount, first.amountUnits, first.asset, first.closed], ['2', 2_000_000_000n, 'USD', false]);
  assert.deepEqual([engine.balanceSync('user:ana').held, engine.balanceSync('user:ana').available], ['2', '8']);
  assert.equal(await first.use(async (hold) => hold.id), first.id);
  assert.ok(first.closed);
  assert.equal(engine.reserveSync('user:ana', { amount: 1, payee: 'dev:eve' }).useSync(() => 'done'), 'done');
  assert.equal(engine.balanceSync('dev:eve').balance, '3');
  const failing = await engine.reserve('user:ana', { amount: 3 });
  await assert.rejects(failing.use(() => Promise.reject(new RangeError('work'))), RangeError);
  const blocked = engine.reserveSync('user:ana', { amount: 3 });
  assert.throws(() => blocked.useSync(() => { throw new RangeError('work'); }), RangeError);
  assert.deepEqual([engine.balanceSync('user:ana').held, engine.balanceSync('user:ana').balance], ['0', '7']);
  const gone = await engine.reserve('user:ana', { amount: 3 });
  engine.releaseSync(gone.id);
  await assert.rejects(gone.use(() => Promise.reject(new RangeError('work'))), RangeError);
});

withEngine('a hold that is disposed of releases what was not captured', async (engine) => {
  const dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');
  const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
  engine.reserveSync('user:ana', { amount: 1 })[dispose]();
  await (await engine.reserve('user:ana', { amount: 1 }))[asyncDispose]();
  const taken = engine.reserveSync('user:ana', { amount: 1 });
  taken.captureSync();
  taken[dispose]();
  assert.deepEqual([engine.balanceSync('user:ana').held, engine.balanceSync('user:ana').balance], ['0', '9']);
});

withEngine('a hold is captured in parts', async (engine) => {
  const hold = await engine.reserve('user:ana', { amount: 2 });
  await hold.use(async () => {
    const part = await hold.capture({ amount: '0.5', final: false });
    assert.deepEqual([part.holdRemaining, part.final, hold.closed], ['1.5', false, false]);
    hold.captureSync({ amount: 0.25, final: false });
  });
  assert.ok(hold.closed);
  assert.deepEqual([engine.balanceSync('user:ana').held, engine.balanceSync('user:ana').balance], ['0', '9.25']);
  const second = engine.reserveSync('user:ana', { amount: 1 });
  const final = engine.captureSync(second.id, { amount: '0.4' });
  assert.ok(final.final && final.holdRemaining === '0');
  const error = await errorOf(() => second.release());
  assert.ok(error instanceof HoldError);
  assert.equal(error.code, 'HOLD_CAPTURED');
  const third = engine.reserveSync('user:ana', { amount: 1 });
  assert.equal(engine.captureSync(BigInt(third.id), { amount: 0 }).amountUnits, 0n);
});

withEngine('a hold grows while its call runs', async (engine) => {
  const hold = engine.reserveSync('user:ana', { amount: '0.50' });
  const added = hold.increaseSync('0.25', { key: 'more', description: 'more of it' });
  assert.deepEqual([added.amount, hold.amount, engine.balanceSync('user:ana').held], ['0.25', '0.75', '0.75']);
  assert.ok((await hold.increase('0.25', { key: 'more', description: 'more of it' })).replayed);
  assert.equal((await engine.increase(hold.id, 10_000_000n)).amountUnits, usd('0.01'));
  assert.deepEqual([hold.amount, hold.amountUnits], ['0.75', usd('0.75')]);
  assert.equal(await codeOf(() => hold.increase(1000)), 'INSUFFICIENT_FUNDS');
  assert.equal(await codeOf(() => hold.increase('-1')), 'INVALID_AMOUNT');
  assert.equal(await codeOf(() => engine.increaseSync(hold, 1, { colour: 1 })), 'UNKNOWN_FIELD');
  assert.equal(hold.captureSync().amount, '0.76');
  assert.equal(await codeOf(() => hold.increaseSync(1)), 'HOLD_CAPTURED');
});

withEngine('over-capture follows the policy of the hold', async (engine) => {
  const plain = await engine.reserve('user:ana', { amount: 1 });
  assert.equal(await codeOf(() => plain.capture({ amount: 2 })), 'OVER_CAPTURE');
  const capped = await (await engine.reserve('user:ana', { amount: 1, overCapture: 'cap' })).capture({ amount: 2 });
  assert.ok(capped.amount === '1' && capped.capped);
  const overflow = engine.reserveSync('user:ana', { amount: 1, overCapture: 'overflow' });
  assert.equal(overflow.captureSync({ amount: 2 }).amount, '2');
  assert.equal(
    await codeOf(() => engine.reserve('user:ana', { amount: 1, overCapture: 'perhaps' })),
    'INVALID_ARGUMENT',
  );
});

withEngine('a hold is captured by usage at the price of the reservation', async (engine) => {
  engine.registerSkillSync(TOKENS);
  const most = await engine.reserve('user:ana', { tool: 'tokens', maxCost: '0.1' });
  assert.equal(most.amount, '0.1');
  assert.equal((await most.capture({ usage: { inputTokens: 7 } })).amount, '0.007');
  const expected = engine.reserveSync('user:ana', { tool: 'tokens', usage: { inputTokens: 50 } });
  assert.equal(expected.captureSync({ usage: { inputTokens: 5, outputTokens: 1 } }).amount, '0.006');
});

withEngine('holds expire and can be extended', async (engine, clock) => {
  const hold = await engine.reserve('user:ana', { amount: 1, expiresInMs: 10_000 });
  const kept = await engine.reserve('user:ana', { amount: 1, expiresInMs: 10_000 });
  const other = await engine.reserve('user:ana', { amount: 1, expiresInMs: 10_000 });
  await kept.extend(60_000);
  other.extendSync(60_000);
  clock.move(11);
  const error = await errorOf(() => hold.capture());
  assert.ok(error instanceof HoldError);
  assert.equal(error.code, 'HOLD_EXPIRED');
  const ticked = await engine.tick();
  assert.deepEqual(Object.keys(ticked), ['expiredHolds', 'committed', 'sealed']);
  assert.deepEqual(Object.keys(engine.tickSync()), Object.keys(ticked));
  assert.equal(engine.balanceSync('user:ana').held, '2');
  assert.equal((await kept.capture()).amount, '1');
  assert.equal(other.releaseSync().amount, '1');
  for (const wrong of [undefined, null, -1, NaN, '60', 2 ** 64, Infinity]) {
    assert.equal(await codeOf(() => engine.extend(kept, wrong)), 'INVALID_ARGUMENT');
  }
});

withEngine('many charges stand or fall alone', async (engine) => {
  engine.registerSkillSync(FLAT);
  const requests = [
    { payer: 'user:ana', tool: 'flat', key: 'a' },
    { payer: 'user:ana', amount: 1, payee: 'dev:eve' },
    { payer: 'user:bob', amount: '0.06' },
    { payer: 'user:nobody', amount: '1' },
    { payer: 'user:ana', tool: 'flat', key: 'a' },
    { payer: 'user:ana', amount: 2, metadata: { a: 1 }, run: 'r', call: 'c', description: 'd' },
    { payer: 'user:bob', tool: 'flat' },
  ];
  const receipts = await engine.chargeMany(requests);
  assert.deepEqual(receipts.map((one) => one.status), [0, 0, 400, 300, 0, 0, 0]);
  assert.deepEqual(receipts.filter((one) => one.ok).map((one) => one.amount), ['0.02', '1', '0.02', '2', '0.02']);
  assert.ok(receipts[4].replayed && receipts[4].id === receipts[0].id);
  assert.ok(receipts[2].error instanceof PaymentRefused);
  assert.throws(() => receipts[3].require(), StateError);
  assert.equal(engine.balanceSync('user:ana').balance, '6.98');
  assert.deepEqual(await engine.chargeMany([]), []);
  assert.deepEqual(engine.chargeManySync(new Set()), []);
});

withEngine('a batch of eight thousand with long texts', async (engine) => {
  engine.depositSync('user:ana', 1000);
  function* requests() {
    for (let i = 0; i < 8190; i++) {
      yield {
        payer: 'user:ana',
        amount: '0.01',
        key: i.toString(16).padStart(32, '0').repeat(7),
        description: 'x'.repeat(300),
      };
    }
  }
  const receipts = engine.chargeManySync(requests());
  assert.ok(receipts.every((one) => one.ok));
  assert.equal(new Set(receipts.map((one) => one.id)).size, 8190);
  assert.equal(engine.balanceSync('user:ana').balance, '928.1');
});

withEngine('a request that cannot be encoded is one refused item of a batch', async (engine) => {
  const good = { payer: 'user:ana', amount: 1 };
  for (const [bad, field] of [
    [{ payer: 'user:ana', amount: 'x' }, 'requests[1].amount'],
    [{ payer: 'user:ana', amount: 1, colour: 'red' }, 'requests[1].colour'],
    [{ amount: 1 }, 'requests[1].payer'],
    [{ payer: 5, amount: 1 }, 'requests[1].payer'],
    [{ payer: 'user:ana', amount: 1, key: 7 }, 'requests[1].key'],
    [{ payer: 'user:ana', usage: { wishes: 3 }, tool: 'flat' }, 'requests[1].usage.wishes'],
    [7, 'requests[1]'],
    [null, 'requests[1]'],
  ]) {
    for (const work of [engine.chargeMany, engine.chargeManySync]) {
      const [first, refused, last] = await work.call(engine, [good, bad, good]);
      assert.ok(first.ok && last.ok && !refused.ok && refused instanceof farebox.Receipt);
      assert.ok(refused.error instanceof RequestError);
      assert.equal(refused.error.field, field);
      assert.equal(refused.status, refused.error.number);
      assert.throws(() => refused.require(), refused.error);
      assert.deepEqual((await work.call(engine, [bad])).map((one) => one.ok), [false]);
      engine.depositSync('user:ana', 2);
    }
  }
  for (const bad of [null, 7, { payer: 'user:ana' }, undefined]) {
    assert.equal((await errorOf(() => engine.chargeMany(bad))).field, 'requests');
  }
  assert.equal(engine.balanceSync('user:ana').balance, '10');
});

withEngine('balances and assets', async (engine) => {
  const balance = await engine.balance('user:ana', 'USD');
  assert.deepEqual(
    [balance.account, balance.asset, balance.scale, balance.balanceUnits, balance.heldUnits, balance.creditLineUnits],
    ['user:ana', 'USD', 9, usd('10'), 0n, 0n],
  );
  assert.deepEqual([balance.balance, balance.held, balance.creditLine, balance.available], ['10', '0', '0', '10']);
  engine.depositSync('user:ana', 500, { asset: 'JPY' });
  assert.deepEqual(
    [engine.balanceSync('user:ana', 'JPY').balance, engine.balanceSync('user:ana', 'JPY').scale],
    ['500', 7],
  );
  assert.equal(engine.chargeSync('user:ana', { amount: 0.5, asset: 'JPY' }).amountUnits, 5_000_000n);
  assert.equal(await codeOf(() => engine.charge('user:ana', { amount: '0.00000001', asset: 'JPY' })), 'TOO_PRECISE');
  for (const work of [engine.balance, engine.balanceSync]) {
    assert.equal(await codeOf(() => work.call(engine, 'user:ana', 'XXQ')), 'ASSET_NOT_FOUND');
    assert.equal(await codeOf(() => work.call(engine, 'user:nobody')), 'ACCOUNT_NOT_FOUND');
  }
  engine.openAccountSync('user:line', { creditLine: 5n * 10n ** 9n });
  assert.equal(engine.balanceSync('user:line').available, '5');
});

withEngine('maxCost is in the asset of the tool', async (engine) => {
  engine.registerSkillSync({
    id: 'yen',
    version: '1.0.0',
    tools: [{ name: 'yen', pricing: { cost: '100', currency: 'JPY' } }],
  });
  await engine.deposit('user:ana', 1000, { asset: 'JPY' });
  assert.equal(engine.chargeSync('user:ana', { tool: 'yen', maxCost: 100 }).amountUnits, 100n * 10n ** 7n);
  assert.equal(await codeOf(() => engine.charge('user:ana', { tool: 'yen', maxCost: '99.9' })), 'OVER_MAX_COST');
});

withEngine('a deposit under a key counts once', async (engine) => {
  await engine.deposit('dev:eve', 1, { key: 'd' });
  engine.depositSync('dev:eve', 1, { key: 'd' });
  assert.equal(engine.balanceSync('dev:eve').balance, '1');
});

withEngine('the JSON door takes dates, BigInts and holds, and keeps large integers', async (engine) => {
  const postings = [
    { account: 'user:ana', amount: '-0.5', asset: 'USD' },
    { account: 'dev:eve', amount: 0.5, asset: 'USD' },
  ];
  await engine.call('transfer.create', { postings });
  const before = await engine.call('balance.get', { account: 'dev:eve', at: new Date('2020-01-01T00:00:00Z') });
  assert.equal(Number(before.balance), 0);
  assert.equal(Number(engine.callSync('balance.get', { account: 'dev:eve' }).balance), 0.5);
  const large = engine.callSync('amount.parse', { amount: '9223372036.854775807', asset: 'USD' });
  assert.equal(large.units, 9223372036854775807n);
  assert.equal(engine.callSync('amount.parse', { amount: '1', asset: 'USD' }).units, 1_000_000_000);
  const hold = engine.reserveSync(
    'user:ana',
    { amount: 1, metadata: { big: 12345678901234567890n, text: '9007199254740993' } },
  );
  assert.equal(engine.callSync('hold.get', { hold }).state, 'open');
  assert.equal(engine.callSync('hold.get', { hold: BigInt(hold.id) }).hold, hold.id);
  const seen = engine.callSync('transfer.get', { id: hold.receipt.id });
  assert.equal(seen.metadata.text, '9007199254740993');
});

withEngine('the JSON door refuses what is wrong', async (engine) => {
  const circular = {};
  circular.self = circular;
  let deep = {};
  for (let i = 0; i < 100_000; i++) deep = { deep };
  for (const [operation, fields, code] of [
    ['no.such', {}, 'UNKNOWN_OPERATION'],
    ['', {}, 'UNKNOWN_OPERATION'],
    ['balance.get', { account: 'user:ana', colour: 1 }, 'UNKNOWN_FIELD'],
    ['balance.get', {}, 'MISSING_FIELD'],
    ['balance.get', { account: 5 }, 'INVALID_ARGUMENT'],
    ['account.deposit', { account: 'user:ana', amount: '-1' }, 'INVALID_AMOUNT'],
    ['account.deposit', { account: 'user:ana', amount: '1e400' }, 'OVERFLOW'],
    ['account.deposit', { account: 'user:ana', amount: '9'.repeat(30) }, 'OVERFLOW'],
    ['account.deposit', { account: 'user:ana', amount: NaN }, 'INVALID_ARGUMENT'],
    ['account.deposit', { account: 'user:ana', amount: () => 1 }, 'INVALID_ARGUMENT'],
    ['account.deposit', { account: 'user:ana', metadata: new Map() }, 'INVALID_ARGUMENT'],
    ['balance.get', { account: 'user:ana', at: new Date(NaN) }, 'INVALID_ARGUMENT'],
    ['balance.get', circular, 'INVALID_ARGUMENT'],
    ['balance.get', deep, 'INVALID_ARGUMENT'],
    ['balance.get', null, 'INVALID_ARGUMENT'],
    ['balance.get', [], 'INVALID_ARGUMENT'],
    ['balance.get', 'text', 'INVALID_ARGUMENT'],
    [undefined, {}, 'INVALID_ARGUMENT'],
    [5, {}, 'INVALID_ARGUMENT'],
  ]) {
    for (const work of [engine.call, engine.callSync]) {
      const error = await errorOf(() => work.call(engine, operation, fields));
      assert.ok(error instanceof RequestError, error.stack);
      assert.equal(error.code, code, String(operation));
    }
  }
});

withFolder('a skill is registered from a file and again without change', async (folder) => {
  const engine = Farebox.openSync('memory:');
  const manifest = path.join(folder, 'skill.json');
  fs.writeFileSync(
    manifest,
    '{"id": "flat", "version": "1.0.0", "tools": [{"name": "flat", "pricing": {"cost": 0.02}}]}',
  );
  engine.registerSkillSync(manifest);
  assert.equal((await engine.registerSkill(manifest)).changed, false);
  assert.equal(engine.priceToolSync('flat').total, '0.02');
  fs.writeFileSync(manifest, '{');
  assert.equal(await codeOf(() => engine.registerSkill(manifest)), 'INVALID_JSON');
  assert.equal(await codeOf(() => engine.registerSkillSync(manifest)), 'INVALID_JSON');
  const changed = { ...FLAT, tools: [{ name: 'flat', pricing: { cost: '0.03' } }] };
  assert.ok((await errorOf(() => engine.registerSkill(changed))) instanceof StateError);
  await assert.rejects(engine.registerSkill(path.join(folder, 'absent.json')), { code: 'ENOENT' });
  engine.closeSync();
});

withFolder('a ledger is durable and may be opened by path', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  for (const open of [Farebox.open, Farebox.openSync]) {
    const error = await errorOf(() => open.call(Farebox, file, { existing: true }));
    assert.ok(error instanceof StoreError);
    assert.equal(error.code, 'STORE_NOT_FOUND');
  }
  const first = await Farebox.open(file);
  first.openAccountSync('user:ana');
  await first.deposit('user:ana', 1);
  const receipt = await first.charge('user:ana', { amount: '0.25', key: 'k' });
  await first.close();
  assert.ok(first.closed && inspect(first).includes('closed'));
  await first.close();
  first.closeSync();
  const second = Farebox.openSync(`sqlite:${file}`, { existing: true, durability: 'normal', busyTimeoutMs: 1500 });
  assert.equal(second.balanceSync('user:ana').balance, '0.75');
  assert.equal(second.chargeSync('user:ana', { amount: '0.25', key: 'k' }).id, receipt.id);
  assert.equal((await second.call('ledger.verify')).valid, true);
  second.closeSync();
});

withFolder('relaxed receipts are uncommitted until a tick', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  const engine = await Farebox.open(file, { durability: 'relaxed', exclusive: true });
  engine.openAccountSync('user:ana');
  engine.depositSync('user:ana', 1);
  assert.ok(engine.chargeSync('user:ana', { amount: '0.25' }).uncommitted);
  await engine.tick();
  await engine.close();
  const again = Farebox.openSync(file);
  assert.equal(again.balanceSync('user:ana').balance, '0.75');
  again.closeSync();
  assert.ok((await errorOf(() => Farebox.open(file, { durability: 'relaxed' }))) instanceof RequestError);
});

test('options that cannot be read are refused before anything is opened', async () => {
  for (const [url, options] of [
    ['memory:', { durability: 'sometimes' }],
    ['memory:', { durability: 5 }],
    ['memory:', { durability: 'constructor' }],
    ['memory:', { holdDurability: 'never' }],
    ['memory:', { busyTimeoutMs: -1 }],
    ['memory:', { busyTimeoutMs: '5' }],
    ['memory:', { keyMemoryBytes: 1.5 }],
    ['memory:', { clock: 5 }],
    ['memory:', { defaultAsset: 5 }],
    ['memory:', { defaultOwner: 5 }],
    ['memory:', { colour: 'red' }],
    ['memory:', 'full'],
    [5, {}],
    ['', { existing: true }],
  ]) {
    for (const open of [Farebox.open, Farebox.openSync]) {
      const error = await errorOf(() => open.call(Farebox, url, options));
      assert.ok(error instanceof RequestError || error instanceof StoreError, error.stack);
    }
  }
  assert.throws(() => new Farebox(), TypeError);
});

test('a clock that throws does not unwind through the library, and is a warning', async () => {
  const warned = [];
  const listen = (warning) => warned.push(warning.message);
  process.on('warning', listen);
  const engine = Farebox.openSync('memory:', { clock: () => { throw new Error('no time'); } });
  engine.openAccountSync('user:ana');
  await engine.deposit('user:ana', 1);
  await engine.close();
  const odd = Farebox.openSync('memory:', { clock: () => 'noon' });
  odd.openAccountSync('user:ana');
  odd.closeSync();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  assert.ok(warned.includes('no time'));
  assert.ok(warned.some((text) => text.includes('A time is a Date')));
});

test('a clock that calls back is reentrant', async () => {
  const clock = new ManualClock();
  const seen = [];
  let engine;
  const nested = () => {
    if (engine !== undefined && seen.length === 0) {
      seen.push(null);
      try {
        engine.chargeSync('user:ana', { amount: 1 });
      } catch (error) {
        seen.push(error.code);
      }
    }
    return clock.now;
  };
  const opened = Farebox.openSync('memory:', { clock: nested });
  opened.openAccountSync('user:ana');
  opened.depositSync('user:ana', 1);
  engine = opened;
  assert.equal(engine.chargeSync('user:ana', { amount: '0.5' }).amount, '0.5');
  engine.closeSync();
  assert.deepEqual(seen, [null, 'REENTRANT']);
});

withEngine('an engine that was closed says so in every form', async (engine) => {
  const hold = engine.reserveSync('user:ana', { amount: 1 });
  engine.closeSync();
  const webhook = [new Uint8Array(), { 'x-robutler-signature': '00'.repeat(32) }, 'secret', { eventId: '1' }];
  for (const [name, ...args] of [
    ['charge', 'user:ana', { amount: 1 }],
    ['chargeMany', [{ payer: 'user:ana', amount: 1 }]],
    ['reserve', 'user:ana', { amount: 1 }],
    ['capture', hold],
    ['release', hold],
    ['extend', hold, 1],
    ['priceTool', 't'],
    ['balance', 'user:ana'],
    ['tick'],
    ['call', 'asset.list'],
    ['deposit', 'user:ana', 1],
    ['openAccount', 'user:x'],
    ['registerSkill', FLAT],
    ['verifyWebhook', ...webhook],
  ]) {
    for (const form of [name, `${name}Sync`]) {
      const error = await errorOf(() => engine[form](...args));
      assert.ok(error instanceof farebox.HandleError, form);
      assert.equal(error.code, 'CLOSED', form);
    }
  }
});

test('describe lists every operation of the door', () => {
  const described = farebox.describe();
  const names = new Set(described.operations.map((operation) => operation.name));
  for (const name of ['account.deposit', 'charge.create', 'skill.register', 'ledger.verify', 'amount.parse']) {
    assert.ok(names.has(name));
  }
  assert.ok(described.operations.every((operation) => operation.doc));
});

withEngine('values print and serialize well', async (engine) => {
  assert.equal(inspect(engine), '<Farebox memory:>');
  const hold = await engine.reserve('user:ana', { amount: '0.5' });
  const receipt = JSON.parse(JSON.stringify(hold.receipt));
  assert.deepEqual([receipt.amount, receipt.hold, receipt.available], ['0.5', hold.id, '9.5']);
  assert.equal(JSON.parse(JSON.stringify(engine.balanceSync('user:ana'))).held, '0.5');
});

withEngine('a dynamic price may come to nothing', async (engine) => {
  engine.registerSkillSync(DYNAMIC);
  assert.equal(engine.chargeSync('user:ana', { tool: 'dyn', amount: 0 }).amountUnits, 0n);
  const hold = await engine.reserve('user:ana', { tool: 'dyn', amount: 0n });
  assert.equal(hold.amountUnits, 0n);
  await hold.capture();
  const many = await engine.chargeMany([
    { payer: 'user:ana', tool: 'dyn', amount: 0 },
    { payer: 'user:ana', tool: 'dyn', amount: '0.25' },
    { payer: 'user:ana', tool: 'dyn', amount: 0, metadata: { a: 1 } },
    { payer: 'user:ana', tool: 'dyn' },
  ]);
  assert.deepEqual(many.slice(0, 3).map((one) => one.amountUnits), [0n, 250_000_000n, 0n]);
  assert.equal(many[3].error.code, 'UNPRICEABLE');
  assert.equal(engine.balanceSync('user:ana').balance, '9.75');
});

withFolder('a backup is restored with every receipt', async (folder) => {
  const engine = await Farebox.open(path.join(folder, 'ledger.db'));
  engine.openAccountSync('user:ana');
  engine.depositSync('user:ana', 100);
  const requests = Array.from({ length: 300 }, (_, i) => ({ payer: 'user:ana', amount: '0.01', key: `k-${i}` }));
  const ids = (await engine.chargeMany(requests)).map((receipt) => receipt.id);
  const backup = await engine.call('ledger.backup', { to: `sqlite:${folder}/backup.db` });
  assert.ok(backup.verified);
  assert.equal(backup.hash, engine.callSync('ledger.verify').hash);
  assert.equal(await codeOf(() => engine.call('ledger.backup', { to: `sqlite:${folder}/backup.db` })), 'STORE_EXISTS');
  await engine.close();
  const restored = await Farebox.open(path.join(folder, 'backup.db'), { existing: true });
  assert.equal(restored.balanceSync('user:ana').balance, '97');
  assert.deepEqual((await restored.chargeMany(requests)).map((receipt) => receipt.id), ids);
  await restored.close();
});
