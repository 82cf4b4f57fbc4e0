'use strict';

/* What a refusal says to the model or end user, and how money prints. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { inspect } = require('node:util');

const farebox = require('..');
const { Farebox, PayerRefused, PaymentRefused, RequestError, StateError } = farebox;
const { REFUSALS } = require('../lib/statuses');
const { decimalOf } = require('../lib/money');
const { errorOf, withFolder } = require('./support');

const URL_OF_CREDIT = 'https://pay.example/credit?from=agent';
const SEARCH = { id: 's', version: '1.0.0', tools: [{ name: 'search', pricing: { cost: '2.345' } }] };

function opened(options) {
  const engine = Farebox.openSync('memory:', options);
  engine.openAccountSync('user:ana');
  engine.depositSync('user:ana', '6.789');
  engine.registerSkillSync(SEARCH);
  return engine;
}

test('a refusal has a sentence beside the facts', async () => {
  for (const paymentUrl of [URL_OF_CREDIT, new URL(URL_OF_CREDIT)]) {
    const engine = opened({ paymentUrl });
    engine.reserveSync('user:ana', { tool: 'search' });
    engine.reserveSync('user:ana', { amount: '4' });
    for (const work of [engine.reserve, engine.reserveSync]) {
      const error = await errorOf(() => work.call(engine, 'user:ana', { tool: 'search', run: 'run-7', call: 'call-8' }));
      assert.equal(
        error.userMessage,
        'The tool search was not run: the account\'s credit is held by calls that are still running. '
          + `Try again when they have finished, or add credit at ${URL_OF_CREDIT}.`,
      );
      assert.ok(error instanceof PaymentRefused && error.retryable);
      assert.deepEqual([error.details.cause, error.details.payment_url], ['held', URL_OF_CREDIT]);
      assert.ok(error.message.includes('user:ana'));
      for (const secret of ['ana', '6.78', '2.345', 'run-7', 'call-8']) assert.ok(!error.userMessage.includes(secret));
    }
    engine.closeSync();
  }
});

test('an unknown payer is a refusal', async () => {
  const engine = opened({ paymentUrl: URL_OF_CREDIT });
  for (const work of [
    () => engine.charge('user:nobody', { tool: 'search' }),
    () => Promise.all([engine.charge('user:ana', { amount: 1 }), engine.charge('user:nobody', { tool: 'search' })]),
    () => engine.chargeSync('user:nobody', { tool: 'search' }),
    () => engine.reserve('user:nobody', { tool: 'search' }),
    () => engine.callSync('hold.reserve', { payer: 'user:nobody', tool: 'search' }),
  ]) {
    const error = await errorOf(work);
    assert.ok(error instanceof PaymentRefused && error instanceof PayerRefused && error instanceof StateError);
    assert.deepEqual([error.code, error.field, error.name], ['ACCOUNT_NOT_FOUND', 'payer', 'PayerRefused']);
    assert.ok(error.userMessage.includes(`Open an account at ${URL_OF_CREDIT}, then try again.`), error.userMessage);
    assert.ok(error.message.includes('nobody') && !error.userMessage.includes('nobody'));
  }
  engine.closeSync();
});

test('a frozen payer and a tool that is off are refusals', async () => {
  const engine = opened();
  engine.callSync('account.freeze', { account: 'user:ana' });
  const frozen = await errorOf(() => engine.reserve('user:ana', { tool: 'search' }));
  assert.deepEqual([frozen.constructor, frozen.code], [PayerRefused, 'ACCOUNT_FROZEN']);
  engine.callSync('account.unfreeze', { account: 'user:ana' });
  engine.callSync('tool.disable', { tool: 'search', account: 'user:ana' });
  const disabled = await errorOf(() => engine.reserve('user:ana', { tool: 'search' }));
  assert.equal(disabled.userMessage, 'The tool search was not run: the tool is not available. Use another tool.');
  engine.closeSync();
});

test('what is the program\'s own fault is no refusal', async () => {
  const engine = opened();
  for (const work of [
    () => engine.charge('user:ana', { amount: 1, payee: 'user:nobody' }),
    () => engine.charge('user:ana', { tool: 'absent' }),
    () => engine.balance('user:nobody'),
  ]) {
    const error = await errorOf(work);
    assert.ok(error instanceof StateError && !(error instanceof PaymentRefused));
    assert.equal(error.userMessage, '');
  }
  assert.ok(!(new RequestError('OVERFLOW') instanceof StateError));
  engine.closeSync();
});

test('each item of a batch says whether it was refused', async () => {
  const engine = opened();
  const receipts = await engine.chargeMany([
    { payer: 'user:ana', amount: 1 },
    { payer: 'user:nobody', amount: 1 },
    { payer: 'user:ana', amount: 1, payee: 'user:nobody' },
    { payer: 'user:ana', amount: 100 },
  ]);
  const kinds = receipts.map(({ error }) => error?.constructor);
  assert.deepEqual(kinds, [undefined, PayerRefused, StateError, PaymentRefused]);
  assert.throws(() => receipts[1].require(), PayerRefused);
  assert.equal(
    receipts[3].error.userMessage,
    'The payment was not made: the account does not have enough credit left. Add credit, then try again.',
  );
  assert.match(inspect(receipts[3]), /INSUFFICIENT_FUNDS/);
  engine.closeSync();
});

test('the sentences of statuses are those of the library', () => {
  const sentences = {};
  for (const row of farebox.describe().refusals) sentences[row.code ?? 0] ??= row.user_message;
  assert.deepEqual(sentences, REFUSALS);
  assert.equal(new PaymentRefused('UNHEARD_OF').userMessage, REFUSALS[0]);
});

withFolder('a payment URL that no sentence can have is refused', async (folder) => {
  for (const paymentUrl of ['https://pay.example/a b', 'a\n', 'a'.repeat(241), '\ud800', 7]) {
    const error = await errorOf(() => Farebox.open(path.join(folder, 'ledger'), { paymentUrl }));
    assert.ok(error instanceof RequestError);
    assert.match(error.field, /paymentUrl$/);
  }
  assert.deepEqual(fs.readdirSync(folder), []);
});

test('money prints its digits', () => {
  assert.deepEqual(
    [[9n, 9], [1n, 7], [-1n, 9], [0n, 9], [2n ** 63n - 1n, 0], [-(2n ** 63n), 9], [10n ** 18n, 7]].map(
      ([units, scale]) => decimalOf(units, scale),
    ),
    [
      '0.000000009', '0.0000001', '-0.000000001', '0', '9223372036854775807', '-9223372036.854775808', '100000000000',
    ],
  );
});

test('receipts, quotes and balances are shown in decimals', () => {
  const engine = Farebox.openSync('memory:');
  engine.openAccountSync('user:ana');
  engine.depositSync('user:ana', '9000000000.000000009');
  const tools = [{ name: 't', pricing: { cost: '0.000000009', per: 'unit' } }];
  engine.registerSkillSync({ id: 't', version: '1.0.0', tools });
  const receipt = engine.chargeSync('user:ana', { tool: 't', usage: 1 });
  const quote = engine.priceToolSync('t', { usage: 1 });
  for (const [shown, ...facts] of [
    [receipt, 'amount: \'0.000000009\'', 'balance: \'9000000000\'', 'asset: \'USD\''],
    [quote, 'total: \'0.000000009\'', 'rate: \'0.000000009\''],
    [engine.balanceSync('user:ana'), 'balance: \'9000000000\'', 'held: \'0\''],
  ]) {
    const text = inspect(shown, { depth: 4 });
    assert.ok(text.startsWith(`${shown.constructor.name} {`), text);
    for (const fact of facts) assert.ok(text.includes(fact), text);
    assert.ok(!/[0-9]e[+-]|Units:/.test(text), text);
    assert.equal(inspect({ a: { b: { c: shown } } }, { depth: 2 }).includes(`[${shown.constructor.name}]`), true);
  }
  assert.ok(`${receipt.amount}` === '0.000000009' && JSON.stringify(receipt).includes('"amount":"0.000000009"'));
  engine.closeSync();
});
