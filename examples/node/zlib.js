#!/usr/bin/env node
'use strict';

/* Two functions of zlib, a C library that knows nothing of Farebox, priced by the byte.
 *
 *     node bindings/node/scripts/build.js && node examples/node/zlib.js */

const zlib = require('node:zlib');

const { Farebox } = require('../../bindings/node');

const PRICE = { library: 'libz.so.1', cost: '0.000001', per: 'unit' };

async function main() {
  const engine = await Farebox.open('memory:');
  await engine.deposit('user:ana', 1);

  // A signature says what the C compiler knew: types, and which pointer goes with which length.
  const crc32 = engine.meterFunctionSync({
    ...PRICE,
    symbol: 'crc32',
    signature: 'u64(u64 crc, bytes:u32 data)',
    usage: 'bytes:data',
  });
  const compress = await engine.meterFunction({
    ...PRICE,
    symbol: 'compress2',
    signature: 'i32(out:u64* dest, bytes:u64 source, i32 level)',
    usage: 'bytes:source',
    failure: 'nonzero', // a call that returns an error of zlib's costs nothing
  });

  const text = Buffer.from('The tide comes in, the tide goes out. '.repeat(1000));
  const charged = [];
  const onReceipt = (receipt) => charged.push(receipt.amount);
  await engine.paying('user:ana', { run: 'run-1', onReceipt }, async () => {
    console.log(`crc32       ${crc32(0, text).toString(16)}`);
    const { result, output } = await compress(text.length, text, 9);
    console.log(`compress2   ${result}, ${text.length} bytes became ${output.length}`);
    console.log(`again whole ${zlib.inflateSync(output).equals(text)}`);
    const failed = await compress(10, text, 9); // no room: it fails, and is not charged
    console.log(`no room     ${failed.result}`);
  });

  console.log(`charged     ${charged.join(' and ')} USD for ${text.length} bytes each`);
  console.log(`Ana has     ${(await engine.balance('user:ana')).balance} USD`);
  await engine.close();
}

main();
