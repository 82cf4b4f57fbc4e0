'use strict';

/* Metered C functions, on libraries that nobody here wrote: zlib and libm. */

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const path = require('node:path');
const test = require('node:test');
const v8 = require('node:v8');
const vm = require('node:vm');
const zlib = require('node:zlib');

const { Farebox, InternalError, PaymentRefused, RequestError } = require('..');
const { PROJECT, codeOf, errorOf, run, spent, usd, withEngine, withFolder } = require('./support');

const CRC32 = {
  library: 'libz.so.1',
  symbol: 'crc32',
  signature: 'u64(u64 crc, bytes:u32 data)',
  usage: 'bytes:data',
  cost: '0.000001',
  per: 'unit',
};
const COMPRESS = {
  library: 'libz.so.1',
  symbol: 'compress2',
  signature: 'i32(out:u64* dest, bytes:u64 source, i32 level)',
  usage: 'bytes:source',
  cost: '0.000001',
  per: 'unit',
  failure: 'nonzero',
};
const HELLO = Buffer.from('hello');
const HELLO_CRC = 907060870n;

/* A library that was built without C functions says so; every other one must do them. */
const supported = (() => {
  const engine = Farebox.openSync('memory:');
  try {
    engine.meterFunctionSync(CRC32);
    return true;
  } catch (error) {
    if (error.code !== 'UNSUPPORTED') throw error;
    return false;
  } finally {
    engine.closeSync();
  }
})();

function withFunctions(name, work) {
  if (supported) withEngine(name, work);
  else test(name, { skip: 'this build of the library has no C functions' }, () => undefined);
}

withEngine('a build without C functions says UNSUPPORTED', async (engine) => {
  if (supported) return;
  for (const meter of [engine.meterFunction, engine.meterFunctionSync]) {
    assert.ok((await errorOf(() => meter.call(engine, CRC32))) instanceof InternalError);
  }
});

withFunctions('crc32 of zlib is charged by the byte, in both forms', async (engine) => {
  const crc32 = engine.meterFunctionSync({ ...CRC32, payer: 'user:ana' });
  assert.deepEqual([crc32.name, crc32.length, crc32.farebox.cost], ['crc32', 2, '0.000001']);
  assert.equal(crc32(0, HELLO), HELLO_CRC);
  assert.equal(crc32(0n, new Uint8Array(HELLO)), HELLO_CRC);
  assert.equal(crc32(0, new Uint8Array(0)), 0n);
  assert.equal(spent(engine), 10_000n);
  const later = await engine.meterFunction({ ...CRC32, payer: 'user:ana' });
  const sums = await Promise.all(Array.from({ length: 50 }, () => later(0, HELLO)));
  assert.ok(sums.every((sum) => sum === HELLO_CRC));
  assert.equal(spent(engine), 260_000n);
});

withFunctions('compress2 of zlib gives what it wrote, and a failure costs nothing', async (engine) => {
  const compress = engine.meterFunctionSync(COMPRESS);
  const later = await engine.meterFunction(COMPRESS);
  const source = Buffer.from('tide '.repeat(20_000));
  const receipts = [];
  await engine.paying('user:ana', { run: 'r', onReceipt: (receipt) => receipts.push(receipt) }, async () => {
    for (const { result, output } of [compress(200_000, source, 9), await later(200_000, source, 9)]) {
      assert.equal(result, 0);
      assert.ok(output.length < 2000 && zlib.inflateSync(output).equals(source));
    }
    assert.equal(receipts.length, 2);
    for (const { result } of [compress(10, source, 9), await later(10, source, 9)]) assert.equal(result, -5);
  });
  assert.deepEqual(receipts.map((one) => one.amount), ['0.1', '0.1']);
  assert.equal(spent(engine), usd('0.2'));
});

withFunctions('the receipts of random inputs are exact', async (engine) => {
  const crc32 = engine.meterFunctionSync(CRC32);
  let bytes = 0;
  engine.paying('user:ana', () => {
    for (let i = 0; i < 100; i++) {
      const data = randomBytes(i * 37);
      bytes += data.length;
      assert.equal(crc32(0, data), crc32(crc32(0, data.subarray(0, i)), data.subarray(i)));
    }
  });
  assert.equal(spent(engine), BigInt(2 * bytes) * 1000n);
});

withFunctions('doubles, strings and results of every kind', async (engine) => {
  const at = { library: 'libm.so.6', cost: '0.001', payer: 'user:ana' };
  assert.equal(engine.meterFunctionSync({ ...at, symbol: 'fabs', signature: 'double(double x)' })(-2.5), 2.5);
  assert.equal(
    engine.meterFunctionSync({ ...at, symbol: 'ldexp', signature: 'double(double x, i32 exponent)' })(1.5, 4),
    24,
  );
  assert.equal(engine.meterFunctionSync({ ...at, symbol: 'ilogb', signature: 'i32(double x)' })(8), 3);
  const libc = { library: 'libc.so.6', cost: '0.001', payer: 'user:ana' };
  assert.equal(engine.meterFunctionSync({ ...libc, symbol: 'strlen', signature: 'u64(string text)' })('tidé'), 5n);
  assert.equal(
    engine.meterFunctionSync({ ...libc, symbol: 'llabs', signature: 'i64(i64 x)' })(-(2n ** 62n)),
    2n ** 62n,
  );
  assert.equal(engine.meterFunctionSync({ ...libc, symbol: 'tzset', signature: 'void()' })(), undefined);
  const version = engine.meterFunctionSync({
    ...libc,
    library: 'libz.so.1',
    symbol: 'zlibVersion',
    signature: 'string()',
  });
  assert.match(version(), /^1\.\d+/);
  assert.equal(spent(engine), usd('0.007'));
});

withFunctions('a refused call does not reach the function', async (engine) => {
  const dear = { ...CRC32, name: 'dear', cost: '1', payer: 'user:bob' };
  for (const crc32 of [engine.meterFunctionSync(dear), await engine.meterFunction(dear)]) {
    const error = await errorOf(() => crc32(0, HELLO));
    assert.ok(error instanceof PaymentRefused);
    assert.equal(error.code, 'INSUFFICIENT_FUNDS');
  }
  const nobody = await errorOf(engine.meterFunctionSync(CRC32).bind(null, 0, HELLO));
  assert.deepEqual([nobody.code, nobody.field], ['MISSING_FIELD', 'payer']);
  const computed = engine.meterFunctionSync({ ...CRC32, payer: (crc) => (crc === 0 ? 'user:ana' : 'user:nobody') });
  assert.equal(computed(0, HELLO), HELLO_CRC);
  assert.equal(await codeOf(() => computed(1, HELLO)), 'ACCOUNT_NOT_FOUND');
  assert.equal(spent(engine), 5000n);
});

withFunctions('two payers side by side do not mix', async (engine) => {
  const crc32 = await engine.meterFunction(CRC32);
  const work = (payer, count) => engine.paying(
    payer,
    () => Promise.all(Array.from({ length: count }, () => crc32(0, HELLO))),
  );
  await Promise.all([work('user:ana', 30), work('user:bob', 20)]);
  assert.equal(spent(engine), 150_000n);
  assert.equal(spent(engine, 'user:bob', usd('0.05')), 100_000n);
});

withFunctions('arguments that do not fit are refused before anything is called', async (engine) => {
  const crc32 = engine.meterFunctionSync({ ...CRC32, payer: 'user:ana' });
  const compress = engine.meterFunctionSync({ ...COMPRESS, payer: 'user:ana' });
  const length = engine.meterFunctionSync({
    library: 'libc.so.6',
    symbol: 'strlen',
    signature: 'u64(string)',
    cost: 1,
    payer: 'user:ana',
  });
  for (const work of [
    () => crc32(),
    () => crc32(0),
    () => crc32(0, HELLO, 1),
    () => crc32(-1, HELLO),
    () => crc32(2n ** 64n, HELLO),
    () => crc32(1.5, HELLO),
    () => crc32('0', HELLO),
    () => crc32(null, HELLO),
    () => crc32(0, 'hello'),
    () => crc32(0, [1]),
    () => crc32(0, new Uint16Array(4)),
    () => compress(-1, HELLO, 9),
    () => compress(2 ** 40, HELLO, 9),
    () => compress(1.5, HELLO, 9),
    () => compress(new Uint8Array(5), HELLO, 9),
    () => compress(100, HELLO, 2 ** 31),
    () => length('a\0b'),
    () => length(HELLO),
  ]) {
    assert.ok((await errorOf(work)) instanceof RequestError, String(work));
  }
  assert.equal(spent(engine), 0n);
});

withFunctions('what cannot be metered is refused', async (engine) => {
  for (const [change, code, field] of [
    [{ library: '/no/such/library.so' }, 'INVALID_ARGUMENT', 'library'],
    [{ library: 5 }, 'INVALID_ARGUMENT', 'library'],
    [{ symbol: 'no_such_symbol' }, 'INVALID_ARGUMENT', 'symbol'],
    [{ symbol: undefined }, 'MISSING_FIELD', 'name'],
    [{ signature: 'u64' }, 'INVALID_ARGUMENT', 'signature'],
    [{ signature: 5 }, 'INVALID_ARGUMENT', 'signature'],
    [{ signature: 'u64(u128 crc)' }, 'INVALID_ARGUMENT', null],
    [{ signature: 'pointer(u64 crc)' }, 'UNSUPPORTED', 'signature'],
    [{ signature: 'u64(pointer data)' }, 'UNSUPPORTED', 'signature'],
    [{ usage: 'bytes:absent' }, 'INVALID_ARGUMENT', null],
    [{ failure: 'sometimes' }, 'INVALID_ARGUMENT', null],
    [{ payer: 5 }, 'INVALID_ARGUMENT', 'payer'],
    [{ cost: () => 1 }, 'INVALID_ARGUMENT', 'cost'],
    [{ cost: 'free' }, 'INVALID_AMOUNT', 'cost'],
    [{ cost: undefined, name: 'unregistered' }, 'TOOL_NOT_FOUND', null],
    [{ colour: 'red' }, 'UNKNOWN_FIELD', 'colour'],
    [{ durability: 'maybe' }, 'INVALID_ARGUMENT', 'durability'],
  ]) {
    for (const meter of [engine.meterFunction, engine.meterFunctionSync]) {
      const error = await errorOf(() => meter.call(engine, { ...CRC32, ...change }));
      assert.equal(error.code, code, JSON.stringify(change));
      if (field !== null) assert.equal(error.field, field);
    }
  }
});

withFunctions('a function of an engine that was closed says so', async (engine) => {
  const crc32 = engine.meterFunctionSync({ ...CRC32, payer: 'user:ana' });
  const later = await engine.meterFunction({ ...CRC32, payer: 'user:ana' });
  engine.closeSync();
  assert.equal(await codeOf(() => crc32(0, HELLO)), 'CLOSED');
  assert.equal(await codeOf(() => later(0, HELLO)), 'CLOSED');
});

withFunctions('functions that were dropped are given back', async (engine) => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  let calls;
  for (let i = 0; i < 10_000; i++) {
    const crc32 = engine.meterFunctionSync({ ...CRC32, payer: 'user:ana' });
    if (i % 1000 === 0) {
      crc32(0, HELLO);
      calls = (calls ?? 0) + 1;
    }
    if (i % 500 === 499) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  assert.equal(spent(engine), BigInt(calls) * 5000n);
});

withFolder('promises work off the event loop, each with its payer', async (folder, context) => {
  if (!supported) {
    context.skip('this build of the library has no C functions');
    return;
  }
  const engine = await Farebox.open(path.join(folder, 'ledger.db'), { durability: 'normal' });
  for (const name of ['ana', 'bob', 'eve']) await engine.deposit(`user:${name}`, 1);
  const crc32 = await engine.meterFunction(CRC32);
  await Promise.all(['ana', 'bob', 'eve'].map((name, i) =>
    engine.paying(
      `user:${name}`,
      { run: name },
      () => Promise.all(Array.from({ length: 20 * (i + 1) }, () => crc32(0, HELLO))),
    ),
  ));
  for (const [i, name] of ['ana', 'bob', 'eve'].entries()) {
    assert.equal(spent(engine, `user:${name}`, usd('1')), BigInt(100_000 * (i + 1)));
  }
  assert.equal((await engine.call('ledger.verify')).valid, true);
  await engine.close();
});

test('handles that are no functions do not end the process', async () => {
  const script = `
    const assert = require('node:assert/strict');
    const { Farebox } = require(${JSON.stringify(PROJECT)});
    const engine = Farebox.openSync('memory:');
    const native = require(${JSON.stringify(`${PROJECT}/build/farebox.node`)});
    const { handle } = engine.core;
    for (const bad of [undefined, null, 5, {}, handle, engine, () => 1, Buffer.alloc(64)]) {
      for (const numbers of [new BigInt64Array(2), new BigInt64Array(64).fill(9n), new BigInt64Array(64).fill(-1n)]) {
        assert.ok([200, 902].includes(native.invokeSync(handle, numbers, ['user:ana', '', '', ''], numbers, bad).number));
      }
    }
    let metered;
    try {
      metered = engine.meterFunctionSync(${JSON.stringify(CRC32)});
    } catch (error) {
      assert.equal(error.code, 'UNSUPPORTED');
    }
    if (metered !== undefined) {
      const row = new BigInt64Array(native.row.size);
      row[0] = 15n;
      const raw = native.meterSync(handle, row, ['libz.so.1', 'crc32', 'u64(u64, bytes:u32)', 'crc32']);
      for (let kind = -2n; kind < 6n; kind++) for (const count of [-1n, 0n, 1n, 2n, 16n, 17n, 2n ** 40n]) {
        const numbers = new BigInt64Array(64).fill(kind);
        numbers[0] = count;
        numbers[1] = 0n;
        assert.ok(native.invokeSync(
          handle,
          numbers,
          ['user:ana', '', '', '', HELLO(), HELLO(), 'x'],
          new BigInt64Array(32),
          raw,
        ).number > 0);
      }
    }
    function HELLO() { return new Uint8Array(5); }
    console.log('alive');
  `;
  const done = await run(process.execPath, ['-e', script], { env: { ...process.env, SWIFT_BACKTRACE: 'enable=no' } });
  assert.deepEqual([done.code, done.stdout], [0, 'alive\n'], `${done.signal} ${done.stderr}`);
});
