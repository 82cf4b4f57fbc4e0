'use strict';

/* What a request says: numbers of 0 and absent ones, spans of holds, batches with items that cannot be encoded. */

const assert = require('node:assert/strict');

const { codeOf, errorOf, withEngine } = require('./support');

const DAY = 86_400_000;
const TOOLS = {
  id: 's',
  version: '1.0.0',
  tools: [
    { name: 'flat', pricing: { cost: '0.02' } },
    { name: 'dynamic', pricing: { components: [{ model: 'dynamic' }], max_cost: '1' } },
  ],
};

withEngine('neither a tool nor an amount is no charge', async (engine) => {
  for (const call of [
    () => engine.charge('user:ana'),
    () => engine.charge('user:ana', { amount: null, key: 'invoice-1' }),
    () => engine.chargeSync('user:ana', { maxCost: '1' }),
    () => engine.chargeManySync([{ payer: 'user:ana' }])[0].require(),
    async () => (await engine.chargeMany([{ payer: 'user:ana' }]))[0].require(),
    () => engine.reserve('user:ana'),
    () => engine.reserveSync('user:ana', {}),
  ]) {
    assert.equal(await codeOf(call), 'MISSING_FIELD');
  }
  assert.equal(engine.balanceSync('user:ana').available, '10');
});

withEngine('an amount of 0 is an amount', async (engine) => {
  engine.registerSkillSync(TOOLS);
  assert.ok((await engine.charge('user:ana', { amount: 0 })).ok);
  assert.equal(engine.reserveSync('user:ana', { amount: '0' }).receipt.amountUnits, 0n);
  assert.equal(engine.chargeSync('user:ana', { tool: 'dynamic', amount: 0 }).amountUnits, 0n);
  assert.ok(engine.chargeManySync([{ payer: 'user:ana', amount: 0n }])[0].ok);
  assert.equal(await codeOf(() => engine.charge('user:ana', { tool: 'flat', amount: 0 })), 'INVALID_ARGUMENT');
});

withEngine('a maximum of 0 is a maximum', async (engine) => {
  engine.registerSkillSync(TOOLS);
  for (const call of [
    () => engine.charge('user:ana', { amount: '5', maxCost: 0 }),
    () => engine.chargeSync('user:ana', { tool: 'flat', maxCost: '0' }),
    () => engine.chargeManySync([{ payer: 'user:ana', amount: '5', maxCost: 0n }])[0].require(),
  ]) {
    assert.equal(await codeOf(call), 'OVER_MAX_COST');
  }
  const quote = engine.priceToolSync('flat', { maxCost: 0 });
  assert.ok(quote.totalUnits === 0n && quote.capped);
  assert.equal((await engine.reserve('user:ana', { tool: 'flat', maxCost: 0 })).receipt.amountUnits, 0n);
  assert.equal(engine.balanceSync('user:ana').available, '10');
});

withEngine('a hold lasts up to 366 days', async (engine, clock) => {
  const hold = await engine.reserve('user:ana', { amount: '1', expiresInMs: 366 * DAY });
  clock.move((365 * DAY) / 1000);
  await hold.extend(366 * DAY);
  clock.move((366 * DAY) / 1000 - 1);
  assert.equal((await hold.capture()).amount, '1');
  for (const span of [366 * DAY + 1, 0, 0.1, -1, Infinity, 2 ** 64, '5', NaN]) {
    const error = await errorOf(() => engine.reserve('user:ana', { amount: '1', expiresInMs: span }));
    assert.equal(error.code, 'INVALID_ARGUMENT', String(span));
  }
});

withEngine('a rate without a present price is a state error', async (engine, clock) => {
  const publish = (name) => {
    engine.callSync('rate_card.publish', {
      card: { name: 'c', currency: 'USD', entries: [{ name, price: { cost: '1' } }] },
    });
    clock.move(1);
  };
  publish('g');
  publish('h');
  for (const call of [
    () => engine.charge('user:ana', { tool: 'c/g', maxCost: 1 }),
    () => engine.chargeSync('user:ana', { tool: 'c/g', usage: { value: 5 } }),
    () => engine.reserve('user:ana', { tool: 'c/g', amount: 1 }),
    () => engine.priceTool('c/g', { maxCost: 1 }),
    () => engine.chargeManySync([{ payer: 'user:ana', tool: 'c/g', maxCost: 1 }])[0].require(),
  ]) {
    assert.equal(await codeOf(call), 'RATE_CARD_NOT_FOUND');
  }
});

withEngine('a repeat is the same after the currency of its tool changed', async (engine) => {
  const register = (version, currency) => {
    const tool = { name: 'd', pricing: { components: [{ model: 'dynamic' }], max_cost: '1' } };
    engine.registerSkillSync({ id: 's', version, currency, tools: [tool] });
  };
  engine.depositSync('user:ana', 10, { asset: 'JPY' });
  register('1.0.0', 'USD');
  const request = { tool: 'd', amount: 3, key: 'k' };
  const first = await engine.charge('user:ana', request);
  assert.ok(first.capped && engine.chargeSync('user:ana', request).replayed);
  register('2.0.0', 'JPY');
  const again = await engine.charge('user:ana', request);
  assert.ok(again.replayed && again.id === first.id && again.asset === 'USD');
  assert.equal(await codeOf(() => engine.charge('user:ana', { ...request, amount: 1 })), 'KEY_CONFLICT');
});
