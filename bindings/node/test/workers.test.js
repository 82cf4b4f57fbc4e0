'use strict';

/* Several worker threads, and several processes, on one ledger at once. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { Worker } = require('node:worker_threads');

const { Farebox, callId, pricing, recordUsage } = require('..');
const { PROJECT, run, usd, withFolder } = require('./support');

const CHARGING = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { Farebox } = require(workerData.project);
  (async () => {
    const engine = await Farebox.open(workerData.file, { durability: 'normal' });
    let charged = 0, refused = 0;
    for (let round = 0; round < workerData.rounds; round++) {
      const work = Array.from({ length: 5 }, () => engine.charge('user:ana', { amount: '0.01' }));
      try { engine.chargeSync('user:ana', { amount: '0.01' }); charged += 1; }
      catch (error) { if (error.code !== 'INSUFFICIENT_FUNDS') throw error; refused += 1; }
      for (const one of await Promise.allSettled(work)) {
        if (one.status === 'fulfilled') charged += 1;
        else if (one.reason.code === 'INSUFFICIENT_FUNDS') refused += 1;
        else throw one.reason;
      }
    }
    if (workerData.close) await engine.close();
    parentPort.postMessage({ charged, refused });
  })();
`;

function started(workerData, code = CHARGING) {
  const worker = new Worker(code, { eval: true, workerData: { project: PROJECT, ...workerData } });
  return new Promise((resolve, reject) => {
    let answer;
    worker.on('message', (message) => { answer = message; });
    worker.on('error', reject);
    worker.on('exit', (exit) => resolve({ exit, answer }));
  });
}

withFolder('several workers charge one ledger at once and never overspend', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  const engine = await Farebox.open(file, { durability: 'normal' });
  await engine.deposit('user:ana', 3);
  const results = await Promise.all(
    Array.from({ length: 4 }, (_, i) => started({ file, rounds: 20, close: i % 2 === 0 })),
  );
  assert.ok(results.every((one) => one.exit === 0));
  const sum = (name) => results.reduce((total, one) => total + one.answer[name], 0);
  assert.equal(sum('charged'), 300);
  assert.equal(sum('refused'), 4 * 20 * 6 - 300);
  assert.equal(engine.balanceSync('user:ana').balanceUnits, 0n);
  assert.equal(engine.balanceSync('platform').balanceUnits, usd('3'));
  assert.equal((await engine.call('ledger.verify')).valid, true);
  assert.equal((await engine.call('ledger.reconcile')).balanced, true);
  await engine.close();
});

withFolder('a worker that ends in the middle leaves the ledger whole and the host alive', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  const engine = await Farebox.open(file, { durability: 'normal' });
  await engine.deposit('user:ana', 1000);
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { Farebox } = require(workerData.project);
    const engine = Farebox.openSync(workerData.file, { durability: 'normal' });
    const more = () => engine.charge('user:ana', { amount: '0.01' }).then(more);
    for (let i = 0; i < 50; i++) { more(); engine.reserve('user:ana', { amount: '0.01' }); engine.tick(); }
    parentPort.postMessage('running');
    setInterval(() => engine.chargeSync('user:ana', { amount: '0.01' }), 0);
  `;
  for (let turn = 0; turn < 6; turn++) {
    const worker = new Worker(code, { eval: true, workerData: { project: PROJECT, file } });
    await new Promise((resolve) => worker.once('message', resolve));
    await new Promise((resolve) => setTimeout(resolve, turn * 7));
    await worker.terminate();
    engine.chargeSync('user:ana', { amount: '0.01' });
  }
  assert.equal((await engine.call('ledger.verify')).valid, true);
  assert.equal((await engine.call('ledger.reconcile')).balanced, true);
  await engine.close();
});

withFolder('what a worker did not close is closed when it ends', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { Farebox } = require(workerData.project);
    const engine = globalThis.kept = Farebox.openSync(workerData.file, { durability: 'relaxed', exclusive: true });
    engine.depositSync('user:ana', 1);
    parentPort.postMessage(engine.chargeSync('user:ana', { amount: '0.25' }).uncommitted);
  `;
  assert.deepEqual(await started({ file }, code), { exit: 0, answer: true });
  const engine = Farebox.openSync(file, { exclusive: true });
  assert.equal(engine.balanceSync('user:ana').balance, '0.75');
  engine.closeSync();
});

withFolder('many workers load the addon at once', async (folder) => {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { Farebox, describe, libraryPath } = require(workerData.project);
    const engine = Farebox.openSync('memory:');
    engine.depositSync('user:ana', 1);
    parentPort.postMessage([libraryPath(), engine.balanceSync('user:ana').balance, describe().operations.length > 0]);
  `;
  const results = await Promise.all(Array.from({ length: 12 }, () => started({}, code)));
  assert.equal(new Set(results.map((one) => JSON.stringify(one))).size, 1);
  assert.deepEqual(results[0].answer.slice(1), ['1', true]);
  assert.ok(fs.existsSync(results[0].answer[0]), folder);
});

withFolder('several processes charge one ledger at once', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  const engine = await Farebox.open(file, { durability: 'normal' });
  await engine.deposit('user:ana', 1);
  const program = `
    const { Farebox } = require(process.argv[1]);
    const engine = Farebox.openSync(process.argv[2], { durability: 'normal' });
    let charged = 0;
    for (let i = 0; i < 50; i++) {
      try { engine.chargeSync('user:ana', { amount: '0.01' }); charged += 1; }
      catch (error) { if (error.code !== 'INSUFFICIENT_FUNDS') throw error; }
    }
    console.log(charged);
  `;
  const results = await Promise.all([1, 2, 3].map(() => run(process.execPath, ['-e', program, PROJECT, file])));
  assert.deepEqual(results.map((one) => one.code), [0, 0, 0]);
  assert.equal(results.reduce((sum, one) => sum + Number(one.stdout), 0), 100);
  assert.equal(engine.balanceSync('user:ana').balanceUnits, 0n);
  await engine.close();
});

/* Another program that has the file to itself for a while. */
const HOLDING = `
import sqlite3, sys, time
ledger = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
ledger.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(1.5)
ledger.execute("ROLLBACK")
`;

withFolder('while another one has the turn, promises wait and the event loop does not', async (folder) => {
  const file = path.join(folder, 'ledger.db');
  const engine = await Farebox.open(file);
  await Promise.all([engine.deposit('user:ana', 10), engine.deposit('user:bob', 1)]);
  await engine.deposit('user:ana', 10, { asset: 'EUR' });
  const plain = pricing({ cost: '0.01' })(async function plain() { recordUsage({ requests: 1 }); });
  const dynamic = pricing({ cost: () => '0.5', currency: 'EUR' })(async function dynamic() {});
  const stream = pricing({ cost: '0.01' })(async function* stream() { yield 1; });
  const program = spawn('python3', ['-c', HOLDING, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.match(String(await new Promise((resolve) => program.stdout.once('data', resolve))), /^held/);
  let worst = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    worst = Math.max(worst, performance.now() - last);
    last = performance.now();
  }, 5);
  const begun = performance.now();
  const hold = engine.reserve('user:ana', { amount: 1, asset: 'EUR' });
  await engine.paying('user:ana', { run: 'r' }, () => Promise.all([
    engine.charge('user:ana', { amount: 1, asset: 'EUR' }),
    engine.chargeMany([{ payer: 'user:ana', amount: 1 }]),
    engine.deposit('user:ana', 1),
    plain(),
    dynamic(),
    callId('call_1', () => plain()),
    (async () => { for await (const item of stream()) assert.equal(item, 1); })(),
    hold.then((one) => one.capture({ amount: '0.5' })),
  ]));
  const took = performance.now() - begun;
  clearInterval(timer);
  assert.ok(took > 500, `it had to wait: ${took}`);
  assert.ok(worst < 400, `the event loop stood still for ${worst}`);
  await engine.close();
});
