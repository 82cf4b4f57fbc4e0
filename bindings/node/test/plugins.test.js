'use strict';

/* The plugin host: the policy of a process, and calls of tools. Each policy is one of a process of its own. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { Farebox, ToolResult } = require('..');
const { PROJECT, codeOf, errorOf, run, withEngine } = require('./support');

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

function withPlugins(name, script) {
  test(name, { skip: supported ? false : 'this build of the library has no plugins' }, async () => {
    const prelude = `
      const assert = require('node:assert/strict');
      const { Farebox, PluginError, setPluginPolicy } = require(${JSON.stringify(PROJECT)});
      const codeOf = (work) => { try { work(); } catch (error) { return error.code; } return 'OK'; };
    `;
    const done = await run(process.execPath, ['-e', `${prelude}\n(async () => {\n${script}\n})().then(() => console.log('alive'));`]);
    assert.deepEqual([done.code, done.stdout], [0, 'alive\n'], done.stderr);
  });
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
