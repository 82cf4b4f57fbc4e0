'use strict';

/* The plugin host: the policy of a process, and calls of tools. Each policy is one of a process of its own. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { Farebox, ToolResult, libraryPath } = require('..');
const { PROJECT, ROOT, codeOf, errorOf, run, withEngine, withFolder } = require('./support');

/* A library that was built without plugins says so; every other one must do them. */
const supported = (() => {
  const engine = Farebox.openSync('memory:');
  try {
    engine.callToolSync('user:ana', 'absent');
  } catch (error) {
    return error.code !== 'UNSUPPORTED';
  } finally {
    engine.closeSync();
  }
  return true;
})();

const MISSING = 'this build of the library has no plugins';

/** Runs a script in a process of its own, which must live to its end. */
async function lives(script) {
  const prelude = `
    const assert = require('node:assert/strict');
    const { Farebox, PaymentRefused, PluginError, setPluginPolicy } = require(${JSON.stringify(PROJECT)});
    const codeOf = (work) => { try { work(); } catch (error) { return error.code; } return 'OK'; };
  `;
  const done = await run(
    process.execPath,
    ['-e', `${prelude}\n(async () => {\n${script}\n})().then(() => console.log('alive'));`],
  );
  assert.deepEqual([done.code, done.stdout], [0, 'alive\n'], done.stderr);
}

function withPlugins(name, script) {
  test(name, { skip: supported ? false : MISSING }, () => lives(script));
}

withEngine('calls that cannot be read are refused', async (engine) => {
  for (const [args, code] of [
    [['user:ana', 't', 5], 'INVALID_ARGUMENT'],
    [['user:ana', 't', []], 'INVALID_ARGUMENT'],
    [['user:ana', 't', {}, { colour: 'red' }], 'UNKNOWN_FIELD'],
    [['user:ana', 't', {}, { deadlineMs: -1 }], 'INVALID_ARGUMENT'],
    [['user:ana', 't', {}, { durability: 'x' }], 'INVALID_ARGUMENT'],
    [['user:ana', 't', { a: NaN }], 'INVALID_ARGUMENT'],
    [['user:ana', 't', { a: () => 1 }], 'INVALID_ARGUMENT'],
  ]) {
    for (const call of [engine.callTool, engine.callToolSync]) {
      assert.equal(await codeOf(() => call.apply(engine, args)), code);
    }
  }
});

withEngine('a tool that no plugin offers cannot be called', async (engine) => {
  for (const call of [engine.callTool, engine.callToolSync]) {
    const error = await errorOf(() => call.call(engine, 'user:ana', 'absent.tool', {}));
    assert.ok(supported ? error.code !== 'UNSUPPORTED' : error.code === 'UNSUPPORTED', error.code);
  }
  assert.equal(engine.balanceSync('user:ana').held, '0');
});

test('a result has its bytes, text and JSON', () => {
  const result = new ToolResult(Buffer.from('{"a":"é"}'), null);
  assert.deepEqual([result.text, result.json(), result.receipt], ['{"a":"é"}', { a: 'é' }, null]);
});

withPlugins('nothing is loaded until a policy allows it', `
  const engine = Farebox.openSync('memory:');
  assert.equal(codeOf(() => engine.callSync('plugin.load', { path: '/no/such.farebox.json' })), 'PLUGINS_OFF');
`);

withPlugins('a policy that cannot be read is refused, and one may only allow less', `
  for (const policy of [5, null, [], 'x', { colour: 'red' }, { directories: 5 }]) {
    assert.notEqual(codeOf(() => setPluginPolicy(policy)), 'OK', JSON.stringify(policy));
  }
  setPluginPolicy({ directories: ['/usr/lib'] });
  setPluginPolicy({ directories: ['/usr/lib'] });
  try {
    setPluginPolicy({ directories: ['/usr/lib', '/usr/share'] });
    assert.fail('it was loosened');
  } catch (error) {
    assert.ok(error instanceof PluginError, error.stack);
    assert.equal(error.code, 'PLUGIN_POLICY');
  }
`);

withFolder('a plugin is loaded, called, charged and refused', async (folder, context) => {
  if (!supported) {
    context.skip(MISSING);
    return;
  }
  const plugin = path.join(folder, 'text');
  const built = await run('make', ['-s', '-C', path.join(ROOT, 'examples', 'plugins', 'c'), `OUT=${plugin}`]);
  assert.equal(built.code, 0, built.stderr);
  // The worker of this library, whatever stands beside it.
  const worker = path.join(folder, 'farebox-worker');
  fs.symlinkSync(libraryPath(), path.join(folder, 'libfarebox.so.0'));
  const source = path.join(ROOT, 'Sources', 'FareboxWorker', 'main.c');
  const flags = [`-I${path.join(ROOT, 'Include')}`, libraryPath(), '-Wl,-rpath,$ORIGIN'];
  const compiled = await run('cc', ['-std=c11', '-o', worker, source, ...flags]);
  assert.equal(compiled.code, 0, compiled.stderr);
  await lives(`
    setPluginPolicy(${JSON.stringify({ directories: [plugin], trust: 'unsigned', worker })});
    const engine = await Farebox.open('memory:');
    await engine.deposit('user:ana', 1);
    engine.openAccountSync('user:poor');
    const manifest = ${JSON.stringify(path.join(plugin, 'org.farebox.example.text.farebox.json'))};
    assert.equal((await engine.call('plugin.load', { path: manifest })).state, 'active');

    const counted = await engine.callTool(
      'user:ana',
      'text.count',
      { text: 'the tides' },
      { key: 'k', run: 'r', call: 'c' },
    );
    assert.deepEqual([counted.json().bytes, counted.json().words, counted.receipt.amount], [9, 2, '0.0001']);
    const again = engine.callToolSync(
      'user:ana',
      'text.count',
      { text: 'the tides' },
      { key: 'k', run: 'r', call: 'c' },
    );
    assert.equal(again.json().words, 2);
    const slug = engine.callToolSync(
      'user:ana',
      'text.slug',
      { text: 'Hello, world!' },
      { maxCost: '0.01', deadlineMs: 5000 },
    );
    assert.deepEqual([slug.text, slug.receipt.amountUnits], ['{"slug":"hello-world"}', 100_000n]);
    const free = await engine.callTool(null, 'text.slug', { text: 'On the house' }, { uncharged: true });
    assert.deepEqual([free.text, free.receipt], ['{"slug":"on-the-house"}', null]);

    const many = await Promise.all(Array.from(
      { length: 40 },
      (_, i) => engine.callTool('user:ana', 'text.slug', { text: 'A ' + i }),
    ));
    assert.deepEqual(many.map((one) => one.json().slug), many.map((_, i) => 'a-' + i));
    assert.equal(engine.balanceSync('user:ana').balance, '0.9958');

    await assert.rejects(engine.callTool('user:poor', 'text.slug', { text: 'x' }), PaymentRefused);
    await assert.rejects(
      engine.callTool('user:ana', 'text.slug', { text: 5 }),
      (error) => error instanceof PluginError && error.field === 'input.text',
    );
    assert.equal(codeOf(() => engine.callToolSync('user:ana', 'text.slug')), 'PLUGIN_INPUT');
    assert.equal(engine.balanceSync('user:ana').balance, '0.9958');
    await engine.close();
  `);
});
