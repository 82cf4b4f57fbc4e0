'use strict';

/* Webhooks of the three schemes, with the published vectors, and what is refused. */

const assert = require('node:assert/strict');
const { createHmac } = require('node:crypto');
const test = require('node:test');

const { RequestError, WebhookError, verifyWebhook } = require('..');
const { errorOf, withEngine } = require('./support');

const STANDARD = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': '1614265330',
  'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const STANDARD_BODY = Buffer.from('{"test": 2432232314}');
const STANDARD_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const STRIPE_BODY = Buffer.from('{"id": "evt_1"}');
const STRIPE = {
  'Stripe-Signature': 't=1700000000,v1=33aa1568c6627d0d2d42556693c208077ca8f8b437ac8d9d6ebb6c2c650033eb',
};
const ROBUTLER_BODY = Buffer.from('{"type":"payment.completed"}');
const ROBUTLER = { 'X-Robutler-Signature': '5a67cd74453c5983ae54a505361225fbcc338ddfb491c124c71dac2c3dd33e23' };

const at = (seconds) => ({ now: new Date(seconds * 1000) });

async function refusal(body, headers, secrets, options) {
  const error = await errorOf(() => verifyWebhook(body, headers, secrets, options));
  assert.ok(error instanceof WebhookError);
  for (const secret of [secrets].flat()) assert.ok(secret === '' || !`${error.message}${error.stack}`.includes(secret));
  return error.code;
}

test('the published vectors verify', () => {
  verifyWebhook(STANDARD_BODY, STANDARD, STANDARD_SECRET, at(1614265330));
  verifyWebhook(STRIPE_BODY, STRIPE, 'whsec_test_secret', at(1700000000));
  verifyWebhook(ROBUTLER_BODY, ROBUTLER, 'secret');
});

test('headers match in any case and container', () => {
  const upper = Object.fromEntries(Object.entries(STANDARD).map(([name, value]) => [name.toUpperCase(), value]));
  const options = { scheme: 'standard', ...at(1614265330) };
  verifyWebhook(new Uint8Array(STANDARD_BODY), upper, [STANDARD_SECRET], options);
  verifyWebhook(STANDARD_BODY, new Map(Object.entries(STANDARD)), [STANDARD_SECRET], options);
  verifyWebhook(
    STANDARD_BODY,
    new Headers(STANDARD),
    ['whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', STANDARD_SECRET],
    options,
  );
  verifyWebhook(ROBUTLER_BODY, { 'x-robutler-signature': [ROBUTLER['X-Robutler-Signature']] }, 'secret');
  verifyWebhook(ROBUTLER_BODY, ROBUTLER, Buffer.from('secret'));
  verifyWebhook(STANDARD_BODY, STANDARD, STANDARD_SECRET, { now: 1614265330500000n });
});

test('a changed byte, a wrong secret and a wrong age are told apart', async () => {
  const changed = Buffer.concat([STRIPE_BODY, Buffer.from(' ')]);
  assert.equal(await refusal(changed, STRIPE, 'whsec_test_secret', at(1700000000)), 'SIGNATURE_MISMATCH');
  assert.equal(await refusal(STRIPE_BODY, STRIPE, 'whsec_other', at(1700000000)), 'SIGNATURE_MISMATCH');
  assert.equal(await refusal(STRIPE_BODY, STRIPE, 'whsec_test_secret', at(1700000301)), 'TIMESTAMP_TOO_OLD');
  assert.equal(await refusal(STANDARD_BODY, STANDARD, STANDARD_SECRET, at(1614265631)), 'TIMESTAMP_TOO_OLD');
  assert.equal(await refusal(STANDARD_BODY, STANDARD, STANDARD_SECRET, at(1614265029)), 'TIMESTAMP_TOO_NEW');
  assert.equal(await refusal(ROBUTLER_BODY, ROBUTLER, 'Secret'), 'SIGNATURE_MISMATCH');
});

test('the tolerance can be chosen and switched off', async () => {
  verifyWebhook(STRIPE_BODY, STRIPE, 'whsec_test_secret', { tolerance: null });
  verifyWebhook(STRIPE_BODY, STRIPE, 'whsec_test_secret', { tolerance: 1000, ...at(1700000900) });
  const strict = { tolerance: 1, ...at(1700000002) };
  assert.equal(await refusal(STRIPE_BODY, STRIPE, 'whsec_test_secret', strict), 'TIMESTAMP_TOO_OLD');
});

test('what is missing or malformed is named', async () => {
  const body = Buffer.from('{}');
  assert.equal(await refusal(body, {}, STANDARD_SECRET), 'SIGNATURE_MISSING');
  assert.equal(await refusal(body, {}, 'secret', { scheme: 'robutler' }), 'SIGNATURE_MISSING');
  assert.equal(await refusal(STRIPE_BODY, { 'Stripe-Signature': 'nonsense' }, 'whsec_x'), 'SIGNATURE_MALFORMED');
  assert.equal(await refusal(STANDARD_BODY, STANDARD, '', at(1614265330)), 'SECRET_INVALID');
  assert.equal(await refusal(STANDARD_BODY, STANDARD, 'whsec_not base64!', at(1614265330)), 'SECRET_INVALID');
});

test('arguments of a wrong type are the caller\'s fault', async () => {
  const body = Buffer.from('{}');
  for (const given of [
    ['text', STRIPE, 'whsec_x'],
    [new Uint16Array(4), STRIPE, 'whsec_x'],
    [null, STRIPE, 'whsec_x'],
    [body, null, 'whsec_x'],
    [body, 'stripe-signature', 'whsec_x'],
    [body, { 'stripe-signature': 5 }, 'whsec_x'],
    [body, STRIPE, 5],
    [body, STRIPE, [5]],
    [body, STRIPE, null],
    [body, STRIPE, new Array(65).fill('x')],
    [body, STRIPE, 'whsec_x', { scheme: 'paypal' }],
    [body, STRIPE, 'whsec_x', { scheme: 'toString' }],
    [body, STRIPE, 'whsec_x', { tolerance: 0 }],
    [body, STRIPE, 'whsec_x', { tolerance: '300' }],
    [body, STRIPE, 'whsec_x', { tolerance: 1.5 }],
    [body, STRIPE, 'whsec_x', { now: 'now' }],
    [body, STRIPE, 'whsec_x', { now: NaN }],
    [body, STRIPE, 'whsec_x', { now: new Date(NaN) }],
    [body, STRIPE, 'whsec_x', { now: 2n ** 64n }],
    [body, STRIPE, 'whsec_x', { eventId: 'evt_1' }],
    [body, STRIPE, 'whsec_x', 'stripe'],
  ]) {
    assert.ok((await errorOf(() => verifyWebhook(...given))) instanceof RequestError);
  }
});

test('no secrets at all is refused', async () => {
  await errorOf(() => verifyWebhook(STRIPE_BODY, STRIPE, []));
});

test('a large body is verified', () => {
  const body = Buffer.alloc(1_000_000, 'x');
  const signature = createHmac('sha256', 'secret').update(body).digest('hex');
  verifyWebhook(body, { 'X-Robutler-Signature': signature }, 'secret');
});

withEngine('the engine refuses a webhook it has seen', async (engine) => {
  const key = Buffer.from(STANDARD_SECRET.slice(6), 'base64');
  const moment = 1_800_000_000;
  const signed = (id) => {
    const digest = createHmac('sha256', key).update(`${id}.${moment}.`).update(STANDARD_BODY).digest('base64');
    return { 'webhook-id': id, 'webhook-timestamp': String(moment), 'webhook-signature': `v1,${digest}` };
  };
  engine.verifyWebhookSync(STANDARD_BODY, signed('msg_1'), STANDARD_SECRET, at(moment));
  await engine.verifyWebhook(STANDARD_BODY, signed('msg_2'), STANDARD_SECRET, at(moment));
  for (const id of ['msg_1', 'msg_2']) {
    const error = await errorOf(() => engine.verifyWebhook(STANDARD_BODY, signed(id), STANDARD_SECRET, at(moment)));
    assert.equal(error.code, 'WEBHOOK_REPLAYED');
  }
  await engine.verifyWebhook(ROBUTLER_BODY, ROBUTLER, 'secret', { eventId: 'evt_1' });
  const again = await errorOf(() => engine.verifyWebhookSync(ROBUTLER_BODY, ROBUTLER, 'secret', { eventId: 'evt_1' }));
  assert.equal(again.code, 'WEBHOOK_REPLAYED');
});

test('headers are found as servers give them', async () => {
  const svix = Object.fromEntries(Object.entries(STANDARD).map(([name, value]) => [name.replace('webhook', 'svix'), value]));
  const raw = Object.entries(svix).flat();
  for (const headers of [
    svix,
    new Headers(svix),
    Object.fromEntries(Object.entries(svix).map(([name, value]) => [name.toUpperCase(), [value]])),
    { ...svix, 'webhook-signature': 'v1,AAAA' },
    { ...STANDARD, 'svix-signature': 'v1,AAAA' },
    Object.entries(STANDARD),
    Object.entries(STANDARD).map(([name, value]) => [Buffer.from(name), Buffer.from(value)]),
    raw,
    [...raw, 'X-Other', '1', 'X-Other', '2', ...raw],
    { ...STANDARD, 'webhook-id': [STANDARD['webhook-id'], STANDARD['webhook-id']] },
  ]) {
    verifyWebhook(STANDARD_BODY, headers, STANDARD_SECRET, at(1614265330));
  }
  for (const headers of [
    [...raw, 'svix-id', 'other'],
    { ...STANDARD, 'Webhook-Id': 'other' },
    { ...STANDARD, 'webhook-signature': [STANDARD['webhook-signature'], 'v1,AAAA'] },
  ]) {
    assert.equal(await refusal(STANDARD_BODY, headers, STANDARD_SECRET, at(1614265330)), 'SIGNATURE_MALFORMED');
  }
  for (const headers of [['webhook-id'], [['webhook-id', 'x'], 'y'], 5, null]) {
    assert.ok((await errorOf(() => verifyWebhook(STANDARD_BODY, headers, STANDARD_SECRET))) instanceof RequestError);
  }
});

withEngine('two senders may use one id', async (engine) => {
  const send = (secret, sender, secrets = secret) => {
    const signature = createHmac('sha256', secret).update(ROBUTLER_BODY).digest('hex');
    const options = { eventId: 'evt', ...(sender && { sender }) };
    return engine.verifyWebhook(ROBUTLER_BODY, { 'X-Robutler-Signature': signature }, secrets, options);
  };
  const replayed = async (...given) => {
    const error = await send(...given).then(() => undefined, (failure) => failure);
    return error?.code === 'WEBHOOK_REPLAYED' || (assert.equal(error, undefined), false);
  };
  const found = [];
  for (const given of [['one'], ['two'], ['one', 'a'], ['one', 'b']]) found.push(await replayed(...given));
  assert.deepEqual(found, [false, false, false, false]);
  for (const given of [['one'], ['two'], ['two', 'a'], ['new', undefined, ['new', 'one']]]) {
    assert.ok(await replayed(...given));
  }
  assert.ok((await errorOf(() => send('one', 'x'.repeat(256)))) instanceof RequestError);
});
