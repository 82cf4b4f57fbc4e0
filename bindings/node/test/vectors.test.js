'use strict';

/* The vectors that every language runs. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { Farebox, FareboxError, RequestError, STATUSES, escapeAccount, unescapeAccount, verifyWebhook } = require('..');
const { decimalOf, shifted, toUnits } = require('../lib/money');
const { loadVectors } = require('./support');

const HEADERS = { standard: 'webhook-signature', stripe: 'Stripe-Signature', robutler: 'X-Robutler-Signature' };
const NAMES = new Set(Object.values(STATUSES).map((row) => row.name));

function outcome(work) {
  try {
    work();
  } catch (error) {
    if (error instanceof FareboxError) return error.code;
    throw error;
  }
  return 'OK';
}

/* Decimal text is compared as the number that it says, exactly. */
function same(actual, expected, what) {
  assert.equal(shifted(String(actual), 30, ''), shifted(String(expected), 30, ''), what);
}

function camel(meter) {
  return meter.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

const webhooks = loadVectors('webhooks.json');

test('webhooks', async (context) => {
  for (const given of webhooks.cases) {
    const moment = given.now ?? webhooks.now;
    await context.test(given.name, (each) => {
      if (given.expect === 'INVALID_ARGUMENT' && given.scheme !== 'standard') {
        each.skip('the headers of this scheme cannot say it');
        return;
      }
      const body = given.body_base64 !== undefined ? Buffer.from(given.body_base64, 'base64') : Buffer.from(given.body);
      const headers = { [HEADERS[given.scheme]]: given.signature };
      if (given.id !== undefined) headers['webhook-id'] = given.id;
      if (given.timestamp !== undefined) headers['webhook-timestamp'] = given.timestamp;
      const tolerance = given.tolerance ?? 300;
      const options = { scheme: given.scheme, tolerance: tolerance < 0 ? null : tolerance, now: moment };
      assert.equal(outcome(() => verifyWebhook(body, headers, given.secrets, options)), given.expect);
      assert.ok(NAMES.has(given.expect));
    });
  }
});

test('webhooks through the JSON door', () => {
  const engine = Farebox.openSync('memory:');
  for (const given of webhooks.cases) {
    if (given.body_base64 !== undefined) continue;
    const fields = {
      scheme: given.scheme,
      body: given.body,
      signature: given.signature,
      secrets: given.secrets,
      now: given.now ?? webhooks.now,
      id: given.id,
      timestamp: given.timestamp,
      tolerance_s: given.tolerance,
    };
    assert.equal(outcome(() => engine.callSync('webhook.verify', fields)), given.expect, given.name);
  }
  engine.closeSync();
});

test('money', async (context) => {
  const engine = Farebox.openSync('memory:');
  for (const { name, amount, asset, expect } of loadVectors('money.json').cases) {
    await context.test(name, () => {
      let result;
      const code = outcome(() => (result = engine.callSync('amount.parse', { amount, asset })));
      assert.equal(code, expect.error ?? 'OK');
      if (expect.error !== undefined) return;
      assert.equal(result.amount, expect.amount);
      assert.equal(String(result.units), expect.units);
      // The binding's own conversion agrees with the engine's.
      const { scale } = engine.callSync('asset.get', { asset });
      assert.equal(toUnits(amount, scale), BigInt(expect.units));
      assert.equal(toUnits(decimalOf(BigInt(expect.units), scale), scale), BigInt(expect.units));
    });
  }
  engine.closeSync();
});

test('splits', async (context) => {
  const engine = Farebox.openSync('memory:');
  for (const { name, split, amount, asset, expect } of loadVectors('splits.json').cases) {
    await context.test(name, () => {
      let result;
      const code = outcome(() => (result = engine.callSync('split.shares', { split, amount, asset })));
      assert.equal(code, expect.error ?? 'OK');
      if (expect.error !== undefined) return;
      const { scale } = engine.callSync('asset.get', { asset });
      const units = (list) => list.map((text) => toUnits(text, scale));
      assert.deepEqual(units(result.shares.map((share) => share.amount)), units(expect));
      assert.deepEqual(result.shares.map((share) => share.account), split.map((part) => part.account));
    });
  }
  engine.closeSync();
});

function priceFields(given) {
  const { price, usage, max_cost: maxCost, dynamic_amount: amount } = given;
  return { price, usage, max_cost: maxCost, amount };
}

test('prices', async (context) => {
  const engine = Farebox.openSync('memory:');
  for (const given of loadVectors('prices.json').cases) {
    const { expect } = given;
    await context.test(given.name, () => {
      let result;
      const code = outcome(() => (result = engine.callSync('price.evaluate', priceFields(given))));
      assert.equal(code, expect.error ?? 'OK');
      if (expect.error !== undefined) return;
      assert.equal(result.capped, expect.capped);
      same(result.total, expect.total);
      if (expect.lines === undefined) return;
      assert.equal(result.lines.length, expect.lines.length);
      result.lines.forEach((line, i) => {
        assert.deepEqual([line.meter, line.tier], [expect.lines[i].meter, expect.lines[i].tier]);
        for (const name of ['quantity', 'rate', 'amount']) same(line[name], expect.lines[i][name], name);
      });
    });
  }
  engine.closeSync();
});

test('prices of tools through the typed door', () => {
  const engine = Farebox.openSync('memory:');
  let compared = 0;
  loadVectors('prices.json').cases.forEach((given, number) => {
    const { expect } = given;
    if (expect.error !== undefined || given.dynamic_amount !== undefined || 'tokens' in given.usage) return;
    const name = `vector-${number}`;
    engine.registerSkillSync({ id: name, version: '1.0.0', tools: [{ name, pricing: given.price }] });
    const usage = Object.fromEntries(Object.entries(given.usage).map(([meter, count]) => [camel(meter), count]));
    const quote = engine.priceToolSync(name, { usage, maxCost: given.max_cost });
    same(quote.total, expect.total, given.name);
    assert.equal(quote.capped, expect.capped, given.name);
    (expect.lines ?? []).forEach((line, i) => {
      const actual = quote.lines[i];
      assert.equal(actual.meter, camel(line.meter), given.name);
      assert.equal(actual.tier, line.tier < 0 ? null : line.tier, given.name);
      same(actual.amount, line.amount, given.name);
      if (actual.rate !== null) same(actual.rate, line.rate, given.name);
    });
    compared += 1;
  });
  engine.closeSync();
  assert.ok(compared > 50);
});

test('ids of identity providers are names or have one escape', () => {
  const vectors = loadVectors('account_names.json');
  for (const { id, name } of vectors.cases) {
    assert.equal(escapeAccount(id), name);
    assert.equal(unescapeAccount(name), id);
  }
  for (const name of vectors.refused) assert.throws(() => unescapeAccount(name), RequestError, name);
  assert.throws(() => escapeAccount(5), RequestError);
});
