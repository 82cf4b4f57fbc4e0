'use strict';

/* Misuse gives an error, and the host lives. Each script runs in a process of its own, so that a crash is a failed test
 * and not the end of the run. `native` is the addon itself, below all checks of the package. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { libraryPath } = require('..');
const { PROJECT, run, withFolder } = require('./support');

const PRELUDE = `
  'use strict';
  const assert = require('node:assert/strict');
  const { Farebox, FareboxError, libraryPath, describe, ...farebox } = require(${JSON.stringify(PROJECT)});
  libraryPath();
  const native = require(${JSON.stringify(`${PROJECT}/build/farebox.node`)});
  const VERBS = Object.keys(native)
    .filter((name) => typeof native[name] === 'function' && !/^(load|setPayerAsker)$/.test(name));
  function openEngine() {
    const engine = Farebox.openSync('memory:');
    engine.openAccountSync('user:ana');
    engine.depositSync('user:ana', 10);
    engine.registerSkillSync({ id: 's', version: '1.0.0', tools: [{ name: 't', pricing: { cost: '0.01' } }] });
    return engine;
  }
  const numbers = () => new BigInt64Array(2 * native.row.size);
  let state = 20261;
  const random = (below) => (state = (state * 48271) % 2147483647) % below;
`;

function survives(name, script, options = {}) {
  // In a folder of its own, for random fields of some operations are names of files.
  withFolder(name, async (folder) => {
    const body = `${PRELUDE}\n(async () => {\n${script}\n})().then(() => console.log('alive'));`;
    const args = [...(options.flags ?? []), '-e', body];
    const env = { ...process.env, SWIFT_BACKTRACE: 'enable=no', FAREBOX_LIB: libraryPath() };
    const done = await run(process.execPath, args, { cwd: folder, env, timeout: 240_000 });
    assert.equal(done.code, 0, `${done.signal ?? ''} ${done.stdout}\n${done.stderr}`);
    assert.ok(done.stdout.endsWith('alive\n'), `${done.stdout}\n${done.stderr}`);
  });
}

survives('handles that are not an engine\'s', `
  const engine = openEngine();
  class Proxied {}
  const bad = [undefined, null, 0, 1, 2n ** 63n, 'engine', Symbol('e'), {}, [], () => 1, engine,
    new Proxy(engine.core.handle, {}), Object.create(engine.core.handle), new Proxied(), new WeakMap(),
    Buffer.alloc(64), new Date(), /x/, new Error('x')];
  for (const verb of VERBS) {
    for (const handle of bad) {
      const answer = await native[verb](handle, numbers(), ['user:ana', 'x', 'y'], new BigInt64Array(512));
      if (/^(open|describe|record|escapeAccount|unescapeAccount|setPluginPolicy)/.test(verb) || (/^verifyWebhook/.test(verb) && handle == null)) continue;
      assert.equal(answer.number, 200, verb);
    }
  }
  assert.equal(engine.balanceSync('user:ana').balance, '10');
`);

survives('handles of engines that were closed', `
  const engine = openEngine();
  const { handle } = engine.core;
  engine.closeSync();
  const again = openEngine();
  const N = numbers();
  N[native.row.texts] = 1n;
  N[native.row.hold] = 1n;
  for (const verb of VERBS) {
    if (/^(open|describe|record|escapeAccount|unescapeAccount|verifyWebhook|setPluginPolicy|invoke|meter)/.test(verb)) continue;
    const answer = await native[verb](handle, N, ['asset.list', '{}'], new BigInt64Array(512));
    assert.equal(answer.number, 201, verb);
  }
  assert.equal(again.balanceSync('user:ana').balance, '10');
`);

survives('numbers, texts and results of every wrong kind', `
  const engine = openEngine();
  const { handle } = engine.core;
  const detached = new BigInt64Array(64);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const shared = new BigInt64Array(new SharedArrayBuffer(512));
  const odd = [undefined, null, 5, 5n, 'x', Symbol('s'), {}, [], [5], [null], [Symbol('s')], [{}], new Array(3),
    new Array(100000),
    [new Uint8Array(3)], [detached], ['user:ana'], [
      'user:ana',
      undefined,
      'x',
    ], new Proxy(['user:ana'], {}), new BigInt64Array(0),
    new BigInt64Array(1), new BigUint64Array(64), new Int32Array(64), new Float64Array(64), detached, shared,
    new DataView(new ArrayBuffer(64)), new ArrayBuffer(64), new BigInt64Array(64).fill(-1n),
    new BigInt64Array(64).fill(2n ** 62n), new BigInt64Array(8), new BigInt64Array(4096)];
  let failed = 0;
  for (const verb of VERBS) {
    if (/^close/.test(verb)) continue;
    for (const first of odd) {
      for (const second of odd) {
        for (const third of [undefined, detached, new BigInt64Array(1), new BigInt64Array(64), shared, {}]) {
          try {
            const answer = native[verb](handle, first, second, third, third);
            if (answer instanceof Promise) answer.then(() => {}, () => {});
            else if (answer?.number !== undefined) failed += 1;
          } catch (error) {
            assert.ok(error instanceof Error);
          }
        }
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(failed > 1000);
  assert.equal(engine.balanceSync('user:ana').balance, '10');
`);

survives('arrays that change while they are read', `
  const engine = openEngine();
  const { handle } = engine.core;
  for (const verb of VERBS) {
    if (/^close/.test(verb)) continue;
    for (const evil of [
      (N) => structuredClone(N.buffer, { transfer: [N.buffer] }),
      (N) => { N.fill(-1n); },
      () => { throw new Error('getter'); },
      (N, texts) => { texts.length = 0; },
      () => { engine.balanceSync('user:ana'); },
      () => { native.tick(handle, numbers(), [], new BigInt64Array(8)); },
    ]) {
      const N = numbers();
      N[0] = 7n;
      const out = new BigInt64Array(512);
      const texts = ['user:ana', 't', 'x', 'y'];
      Object.defineProperty(
        texts,
        0,
        { get() { evil(N, texts); structuredClone(out.buffer, { transfer: [out.buffer] }); return 'user:ana'; } },
      );
      try {
        const answer = native[verb](handle, N, texts, out);
        if (answer instanceof Promise) await answer.catch(() => {});
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }
  }
  assert.ok(engine.callSync('ledger.verify').valid);
`);

survives('the addon called without arguments, as a constructor and before its library', `
  for (const verb of [...VERBS, 'load']) {
    for (const call of [
      () => native[verb](),
      () => new native[verb](),
      () => native[verb].call(null),
      () => Reflect.construct(native[verb], []),
    ]) {
      try {
        const answer = call();
        if (answer instanceof Promise) await answer;
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }
  }
  assert.throws(() => native.load(5), TypeError);
  assert.equal(native.load('/no/such/library').path, libraryPath()); // a process has one library
`);

test('a library that is none is refused and can be tried again', async () => {
  const script = `
    const assert = require('node:assert/strict');
    const native = require(${JSON.stringify(`${PROJECT}/build/farebox.node`)});
    assert.equal(native.describeSync(null, new BigInt64Array(1), []).number, 902);
    for (const path of ['/no/such/file', '/etc/passwd', '', process.execPath, 'libm.so.6']) {
      assert.throws(() => native.load(path), { code: 'ERR_FAREBOX_LIBRARY' });
    }
    require(${JSON.stringify(PROJECT)}).describe();
    console.log('alive');
  `;
  const done = await run(process.execPath, ['-e', script]);
  assert.deepEqual([done.code, done.stdout], [0, 'alive\n'], done.stderr);
});

survives('numbers that are too large or negative', `
  const engine = openEngine();
  const top = 2n ** 63n - 1n;
  const requests = [];
  for (const number of [
    -top - 1n,
    -1n,
    top,
    0n,
    2n ** 63n,
    -(2n ** 64n),
    NaN,
    Infinity,
    -0,
    1e300,
    '9'.repeat(40),
    '-1',
    '1e999',
    true,
    [],
    {},
  ]) {
    requests.push({ amount: number }, { tool: 't', maxCost: number }, { tool: 't', amount: number });
    for (const meter of [
      'requests',
      'units',
      'inputTokens',
      'images',
      'value',
    ]) requests.push({ tool: 't', usage: { [meter]: number } });
  }
  for (const durability of [99, -1, 'x', {}, []]) requests.push({ amount: 1, durability });
  let refused = 0;
  for (const request of requests) {
    for (const work of [() => engine.chargeSync('user:ana', request), () => engine.charge('user:ana', request),
      () => engine.reserveSync('user:ana', request), () => engine.reserve('user:ana', request)]) {
      try { await work(); } catch (error) { assert.ok(error instanceof FareboxError, error.stack); refused += 1; }
    }
  }
  assert.ok(refused > 200);
  for (const hold of [-1, 2 ** 60, 2n ** 64n, -1n, NaN, 1.5, 'x', null, undefined, {}, [], true, { id: 'x' }, 0, 1]) {
    for (const verb of ['capture', 'captureSync', 'release', 'releaseSync', 'extend', 'extendSync']) {
      await assert.rejects(async () => engine[verb](hold, verb.startsWith('extend') ? 5 : {}), FareboxError);
    }
  }
  assert.ok(engine.callSync('ledger.verify').valid);
`);

survives('texts that are not texts', `
  const engine = openEngine();
  const fields = ['tool', 'payee', 'asset', 'key', 'run', 'call', 'description'];
  for (const field of fields) {
    for (const text of [
      5,
      5n,
      {},
      [],
      Symbol('s'),
      () => 1,
      true,
      'x'.repeat(100000),
      'x'.repeat(3_000_000),
      '\\ud800',
      'a\\udc00b',
      '\\udc00\\ud800',
      'a\\0b',
    ]) {
      const request = { amount: 1, [field]: text };
      try { engine.chargeSync('user:ana', request); } catch (error) { assert.ok(
        error instanceof FareboxError,
        error.stack,
      ); }
      try { await engine.charge('user:ana', request); } catch (error) { assert.ok(
        error instanceof FareboxError,
        error.stack,
      ); }
    }
  }
  const code = (work) => { try { work(); } catch (error) { return error.code; } return 'OK'; };
  for (const bad of [
    'user:\\ud800',
    'user:\\udfff',
    'user:\\ud800x',
    'user:\\udc00\\ud800',
    'user:\\ufffd\\ud800',
    'x'.repeat(50) + '\\ud800',
    'é'.repeat(4000) + '\\ud800',
  ]) {
    assert.ok(
      ['INVALID_UTF8', 'TOO_LONG'].includes(code(() => engine.chargeSync(bad, { amount: 1 }))),
      JSON.stringify(bad.slice(0, 30)),
    );
  }
  // Two keys that differ in a surrogate alone are two keys, and a replacement character is itself.
  const one = engine.chargeSync('user:ana', { amount: 1, key: 'k\\ud800' });
  const two = engine.chargeSync('user:ana', { amount: 1, key: 'k\\ud801' });
  const three = engine.chargeSync('user:ana', { amount: 1, key: 'k\\ufffd' });
  assert.equal(new Set([one.id, two.id, three.id]).size, 3);
  assert.ok(engine.chargeSync('user:ana', { amount: 1, key: 'k\\ud801' }).replayed);
  for (const bad of ['', 'user:\\0ana', 'user:\\n', ' ', 'user:ana/', '/', 'user:' + 'x/'.repeat(20)]) {
    assert.throws(() => engine.openAccountSync(bad), FareboxError);
  }
`);

survives('the JSON door with broken and random input', `
  const engine = openEngine();
  const { handle } = engine.core;
  const call = (operation, text) => {
    const answer = native.callSync(handle, numbers(), [operation, text]);
    return typeof answer === 'string' ? 0 : answer.number;
  };
  for (const bad of ['', 'null', '[]', '7', '{', '{}x', '{"a"}', '{"a":01}', '{"a":1,"a":2}',
    '{"a":"\\\\ud800"}', '{"a":NaN}', "{'a':1}", '{\\0}',
    '['.repeat(100000), '{"a":'.repeat(100000), '\\ud800', '{"account":"\\\\u0000"}']) {
    const number = call('balance.get', bad);
    assert.ok(number >= 100 && number < 400, JSON.stringify(bad.slice(0, 20)) + number);
  }
  const { operations } = describe();
  const pieces = ['user:ana', '', '\\0', 'x'.repeat(300), -1, 2 ** 53, 2n ** 63n, -(2n ** 64n), 0, 1.5, true, null, [],
    {}, [[]], { a: 1 }, '0.1', '-1', '1e9',
    'USD', 't', [{ account: 'user:ana', amount: '1' }], '9'.repeat(40), new Date(), '/proc/no/such/file'];
  for (let i = 0; i < 6000; i++) {
    const operation = operations[random(operations.length)];
    const fields = {};
    for (const field of operation.input) if (random(10) < 7) fields[field.name] = pieces[random(pieces.length)];
    try { engine.callSync(operation.name, fields); } catch (error) {
      assert.ok(error instanceof FareboxError && error.number !== 900, operation.name + ' ' + error.stack);
    }
  }
  assert.ok(engine.callSync('ledger.verify').valid);
`);

survives('options of every wrong kind', `
  const engine = openEngine();
  const evil = { get amount() { throw new RangeError('getter'); } };
  const odd = [undefined, null, 5, 5n, 'x', Symbol('s'), [], [1], () => 1, {}, evil, new Proxy(
    {},
    { get() { throw new RangeError('trap'); }, ownKeys() { throw new RangeError('trap'); } },
  ),
    new Map(), new Date(NaN), Buffer.alloc(4), new Error('x'), Object.create(null), {
      __proto__: null,
      amount: 1,
    }, { amount: 1, usage: evil }];
  const names = Object.getOwnPropertyNames(Farebox.prototype)
    .filter((name) => typeof engine[name] === 'function' && !/^(constructor|close)/.test(name));
  for (const name of names) {
    for (const first of odd) {
      for (const second of odd) {
        try { await engine[name](first, second, undefined); } catch (error) {
          assert.ok(error instanceof Error, name);
        }
      }
    }
  }
  for (const name of [
    'pricing',
    'meter',
    'callId',
    'recordUsage',
    'estimateTokens',
    'verifyWebhook',
    'isFailedResult',
  ]) {
    for (const first of odd) for (const second of odd) for (const third of odd) {
      try { farebox[name](first, second, third); } catch (error) { assert.ok(error instanceof Error, name); }
    }
  }
  assert.ok(engine.callSync('ledger.verify').valid);
`);

survives('close while promises are on their way', `
  for (let turn = 0; turn < 30; turn++) {
    const engine = openEngine();
    const work = [];
    for (let i = 0; i < 30; i++) {
      work.push(engine.charge(
        'user:ana',
        { amount: '0.01' },
      ), engine.reserve('user:ana', { amount: '0.01' }), engine.balance('user:ana'),
        engine.tick(), engine.priceTool('t'), engine.call('asset.list'), engine.chargeMany([{
          payer: 'user:ana',
          tool: 't',
        }]));
    }
    if (turn % 3 === 0) engine.closeSync();
    else if (turn % 3 === 1) work.push(engine.close(), engine.close());
    else { setImmediate(() => engine.closeSync()); }
    for (const one of await Promise.allSettled(work)) {
      if (one.status === 'rejected') assert.equal(one.reason.code, 'CLOSED', one.reason.stack);
    }
    await engine.close();
  }
`);

survives('a clock that misbehaves', `
  process.on('warning', () => {});
  for (const clock of [() => { throw 5; }, () => undefined, () => 2n ** 64n, () => -1, () => NaN, () => new Date(NaN),
    async () => 1n, () => ({}), function again() { return again(); },
    () => { for (const one of engines) { one.closeSync(); one.close(); } return 1n; },
    () => { engines.forEach((one) => one.tick().catch(() => {})); return 1_800_000_000_000_000n; }]) {
    var engines = [];
    try {
      const engine = Farebox.openSync('memory:', { clock });
      engines.push(engine);
      engine.openAccountSync('user:ana');
      engine.chargeSync('user:ana', { amount: 1 });
    } catch (error) {
      assert.ok(error instanceof FareboxError, error.stack);
    }
    for (const one of engines) {
      try { await one.close(); } catch (error) { assert.ok(error instanceof FareboxError); }
    }
  }
`, { flags: ['--no-warnings'] });

survives('process.exit in the middle of everything', `
  const { execFileSync } = require('node:child_process');
  const busy = \`
    const { Farebox } = require(${JSON.stringify(PROJECT)});
    const engine = Farebox.openSync('memory:');
    engine.depositSync('user:ana', 10);
    for (let i = 0; i < 60; i++) {
      engine.charge('user:ana', { amount: '0.01' });
      engine.reserve('user:ana', { amount: '0.01' });
      engine.tick();
    }
  \`;
  for (const ending of [
    'process.exit(7)',
    'process.nextTick(() => process.exit(7))',
    'setImmediate(() => process.exit(7))',
    'setTimeout(() => process.exit(7), 3)',
  ]) {
    const script = busy + ending;
    assert.throws(
      () => execFileSync(process.execPath, ['-e', script], { stdio: 'pipe' }),
      (error) => error.status === 7 && error.signal === null,
    );
  }
`);
