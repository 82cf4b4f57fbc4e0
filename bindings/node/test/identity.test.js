'use strict';

/* Which tool a metered function is: its skill, its name and its price, and what is left of it when it is gone. */

const assert = require('node:assert/strict');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const test = require('node:test');

const { Farebox, RequestError, pricing } = require('..');
const { PROJECT, codeOf, errorOf, run, spent, usd, withEngine, withFolder } = require('./support');

withEngine('functions of one name each have their own price', async (engine) => {
  const make = (cost) => pricing({ cost })(function search(query) { return query; });
  const [cheap, dear] = [make('0.02'), make('0.50')];
  const paid = [];
  engine.paying('user:ana', () => {
    for (const tool of [cheap, dear, cheap, make('0.50'), make('0.02'), dear]) {
      const before = spent(engine);
      tool('a');
      paid.push(spent(engine) - before);
    }
  });
  assert.deepEqual(paid, ['0.02', '0.5', '0.02', '0.5', '0.02', '0.5'].map(usd));
});

withEngine('a skill keeps tools of one name apart', async (engine) => {
  const tool = (skill, cost) => pricing({ cost, skill })(function search() {});
  engine.paying('user:ana', () => {
    tool('acme.web', '0.02')();
    tool('acme.files', '0.50')();
    tool('acme.web', '0.02')();
  });
  assert.equal(spent(engine), usd('0.54'));
  const skills = engine.callSync('skill.list', {}).skills.map((one) => one.skill ?? one.id);
  assert.deepEqual(skills.sort(), ['acme.files', 'acme.web']);
  // A plain name says which there are.
  const plain = await errorOf(() => engine.chargeSync('user:ana', { tool: 'search' }));
  assert.equal(plain.code, 'TOOL_AMBIGUOUS');
  engine.chargeSync('user:ana', { tool: 'acme.web#search' });
  assert.equal(spent(engine), usd('0.56'));
});

withEngine('nothing is registered under the name of another', async (engine) => {
  const manifest = { id: 'shop', version: '1.0.0', tools: [{ name: 'search', pricing: { cost: '0.30' } }] };
  engine.registerSkillSync(manifest);
  const own = pricing({ cost: '0.02' })(function search() {});
  engine.paying('user:ana', own);
  assert.equal(spent(engine), usd('0.02'));
  engine.chargeSync('user:ana', { tool: 'shop#search' });
  assert.equal(spent(engine), usd('0.32'));
  const theirs = pricing({ name: 'shop#search' })(() => undefined);
  engine.paying('user:ana', theirs);
  assert.equal(spent(engine), usd('0.62'));
});

withFolder('one file is one skill, as a program, as a module and in a worker', async (folder) => {
  const url = path.join(folder, 'farebox.db');
  const engine = Farebox.openSync(url);
  engine.depositSync('user:ana', 10);
  const program = `
    const { Farebox, pricing, callId } = require(${JSON.stringify(PROJECT)});
    const search = pricing({ cost: '0.02' })(function search() {});
    const engine = Farebox.openSync(${JSON.stringify(url)});
    engine.paying('user:ana', { run: 'r' }, () => callId('call_1', () => search('tides')));
    engine.closeSync();`;
  const done = await run(process.execPath, ['-e', program]);
  assert.equal(done.code, 0, done.stderr);
  const worker = new Worker(program, { eval: true });
  assert.equal(await new Promise((resolve) => worker.on('exit', resolve)), 0);
  assert.equal(engine.balanceSync('user:ana').balance, '9.98');
  assert.equal(engine.callSync('skill.list', {}).skills.length, 1);
  engine.closeSync();
});

test('tools that are made per request leave nothing behind', { skip: !global.gc }, async () => {
  const engine = Farebox.openSync('memory:');
  engine.depositSync('user:ana', 100);
  let collected = 0;
  const registry = new FinalizationRegistry(() => { collected += 1; });
  const make = async (number) => {
    const later = pricing({ cost: '0.001', name: 'later' })(async () => number);
    const stream = pricing({ cost: '0.001', name: 'stream' })(function* stream() { yield number; });
    registry.register(later);
    registry.register(stream);
    await engine.paying('user:ana', { run: `run-${number}` }, async () => {
      await later();
      for (const item of stream()) assert.equal(item, number);
    });
  };
  for (let i = 0; i < 1500; i++) await make(i);
  for (let i = 0; i < 100 && collected < 2990; i++) {
    global.gc();
    await sleep(5);
  }
  assert.ok(collected >= 2990, String(collected));
  assert.equal(engine.balanceSync('user:ana').balance, '97');
  assert.equal(engine.core.skills.size, 2);
  assert.ok(engine.core.toolAssets.size <= 2);
  for (let i = 0; i < 600; i++) {
    engine.paying('user:ana', pricing({ cost: '0.001', description: `of ${i}` })(function described() {}));
  }
  assert.ok(engine.core.skills.size <= 512); // what is remembered to be registered is bounded
  assert.equal(engine.balanceSync('user:ana').balance, '96.4');
  engine.closeSync();
});

withEngine('an engine is not copied, and says so', async (engine) => {
  const work = pricing({ cost: '0.01' })(function work() {});
  for (const value of [engine, { engine }, engine.paying('user:ana'), work]) {
    assert.throws(() => structuredClone(value), { name: 'DataCloneError' });
  }
  assert.throws(() => structuredClone(engine), /open its ledger again/);
  assert.deepEqual(JSON.parse(JSON.stringify({ engine })), {
    engine: { url: 'memory:', defaultAsset: 'USD', defaultOwner: null, closed: false },
  });
  assert.ok((await errorOf(() => pricing({ cost: 1, skill: '' }))) instanceof RequestError);
  const odd = pricing({ cost: 1, skill: 'no skill!', name: 'x' })(() => 1);
  assert.equal(await codeOf(() => engine.paying('user:ana', odd)), 'INVALID_ARGUMENT');
});
