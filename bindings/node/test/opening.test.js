'use strict';

/* What an address means, why a ledger cannot be opened, and that no password is shown. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { pathToFileURL } = require('node:url');
const { inspect } = require('node:util');

const { Farebox, RequestError, StoreError } = require('..');
const { errorOf, withFolder } = require('./support');

const ROOT = path.resolve(__dirname, '../../..');
const options = { busyTimeoutMs: 1000 };

async function refusal(url, more) {
  const sync = await errorOf(() => Farebox.openSync(url, { ...options, ...more }));
  const later = await errorOf(() => Farebox.open(url, { ...options, ...more }));
  assert.deepEqual([later.code, later.message], [sync.code, sync.message]);
  return sync;
}

withFolder('one path has many addresses', async (folder) => {
  const file = path.join(folder, 'a b.db');
  const urls = [file, `sqlite:${file}`, `sqlite:///${file}`, pathToFileURL(file)];
  for (const url of urls) {
    const engine = await Farebox.open(url);
    assert.equal(engine.url, `sqlite:${file}`);
    assert.equal(inspect(engine), `<Farebox sqlite:${file}>`);
    await engine.close();
  }
  assert.deepEqual(fs.readdirSync(folder), ['a b.db']);
});

for (const url of [
  'host=db user=u password=s3cret',
  'POSTGRESQL://u:s3cret@db/money',
  ' postgresql://u:s3cret@db/money',
  '"postgresql://u:s3cret@db/money"',
  'postgresql+psycopg://u:s3cret@db/money',
  'postgresql://u:s3cret@db/money?nosuch=1',
  'mysql://u:s3cret@db/money',
  new URL('http://u:s3cret@db/money'),
  'u:s3cret@db/money',
  'C:\\ledger.db',
  'sqlite:ledger.db?mode=ro',
  'memory:x',
  ':memory:',
  '',
  'a\0b',
]) {
  test(`${JSON.stringify(String(url))} is no address`, async () => {
    const error = await refusal(url);
    assert.ok(error instanceof RequestError);
    assert.deepEqual([error.code, error.field, error.retryable], ['INVALID_ARGUMENT', 'url', false]);
    assert.ok(!inspect(error).includes('s3cret') && !JSON.stringify(error).includes('s3cret'));
  });
}

withFolder('what is no ledger is said with its path', async (folder) => {
  fs.writeFileSync(path.join(folder, 'text'), 'this is not a ledger '.repeat(1000));
  fs.writeFileSync(path.join(folder, 'empty'), '');
  for (const [name, code, more] of [
    ['no/folder/ledger.db', 'STORE_NOT_FOUND'],
    ['text', 'STORE_CORRUPT'],
    ['', 'INVALID_ARGUMENT'],
    ['nothing', 'STORE_NOT_FOUND', { existing: true }],
    ['empty', 'STORE_NOT_FOUND', { existing: true }],
  ]) {
    const error = await refusal(path.join(folder, name), more);
    assert.deepEqual([error.code, error.retryable], [code, false], name);
    assert.ok(error.message.includes(path.join(folder, name)), error.message);
  }
});

/* A server of PostgreSQL's, for as long as a test runs. */
async function withServer(body) {
  const script = path.join(ROOT, 'Tests/PostgreSQL/server.py');
  const words = ['run', '--fast', '--', 'sh', '-c', 'echo "$FAREBOX_TEST_POSTGRESQL"; read -r _'];
  const server = spawn('python3', [script, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [line] = await require('node:events').once(server.stdout, 'data');
    await body(String(line).trim());
  } finally {
    server.stdin.end();
    await require('node:events').once(server, 'exit');
  }
}

test('no password is shown, and a wrong one has a status', () =>
  withServer(async (url) => {
    const { password } = new URL(url);
    const engine = await Farebox.open(url);
    const shown = [
      inspect(engine, { showHidden: true, depth: 9 }),
      inspect(engine, { customInspect: false, showHidden: true, depth: 9 }),
      JSON.stringify(engine),
      String(engine),
      engine.url,
      JSON.stringify(await engine.call('ledger.info')),
    ];
    await engine.close();
    assert.ok(password.length > 8 && url.includes(password));
    assert.deepEqual(
      shown.filter((text) => text.includes(password)),
      [],
    );
    const error = await refusal(url.replace(password, 'not-the-password'));
    assert.ok(error instanceof StoreError && !error.message.includes('not-the-password'));
    assert.deepEqual([error.code, error.number, error.field], ['STORE_AUTHENTICATION', 813, 'url']);
  }));

test('a clock far ahead moves nothing', async () => {
  let now = Date.now() * 1000;
  const engine = await Farebox.open('memory:', { clock: () => BigInt(now) });
  await engine.openAccount('user:ana');
  await engine.deposit('user:ana', 100);
  const real = now;
  now = 20_237_000_000_000_000 / 3; // the year 2183
  const error = await errorOf(() => engine.charge('user:ana', { amount: 2 }));
  assert.deepEqual([error.code, error.field, error.retryable], ['CLOCK_AHEAD', 'clock', true]);
  now = real + 3 * 86_400_000_000;
  assert.ok((await engine.charge('user:ana', { amount: 1 })).at.getUTCFullYear() < 2100);
  await engine.close();
});
