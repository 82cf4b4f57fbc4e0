'use strict';

/* The package as it is installed: typed, without dependencies, with the library inside, and as its README says. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { builtinModules } = require('node:module');
const path = require('node:path');
const test = require('node:test');

const farebox = require('..');
const { native } = require('../lib/library');
const { METERS } = require('../lib/usage');
const { PROJECT, ROOT, run, withFolder } = require('./support');

const LIB = path.join(PROJECT, 'lib');
const read = (...parts) => fs.readFileSync(path.join(...parts), 'utf8');
const header = read(ROOT, 'Include', 'farebox.h');
const types = read(LIB, 'index.d.ts');

test('statuses are those of the header', () => {
  const [, table] = /statuses: begin(.*?)statuses: end/s.exec(header);
  const rows = [...table.matchAll(/^ {4}FAREBOX_([A-Z0-9_]+) += (\d+),? +\/\*/gm)];
  const stated = rows.map(([, name, number]) => [Number(number), name]);
  assert.ok(stated.length > 60);
  const known = Object.entries(farebox.STATUSES).map(([number, row]) => [Number(number), row.name]);
  assert.deepEqual(known, stated);
});

test('each family of statuses is a class of errors', () => {
  for (const [number, row] of Object.entries(farebox.STATUSES)) {
    if (row.family === 'ok') continue;
    const receipt = Object.assign(Object.create(farebox.Receipt.prototype), { status: Number(number) });
    const { error } = receipt;
    assert.ok(error instanceof farebox.FareboxError);
    assert.notEqual(error.constructor, farebox.FareboxError);
    assert.deepEqual(
      [error.code, error.number, error.message, error.retryable],
      [row.name, Number(number), row.doc, row.retryable],
    );
    assert.equal(row.family === 'internal', error instanceof farebox.InternalError);
  }
  const unknown = Object.assign(Object.create(farebox.Receipt.prototype), { status: 4711 }).error;
  assert.deepEqual([unknown.code, unknown.number], ['UNKNOWN', 4711]);
  assert.ok(unknown instanceof farebox.InternalError);
});

test('meters, flags and choices are those of the header', () => {
  const struct = /typedef struct farebox_usage \{(.*?)\} farebox_usage;/s.exec(header)[1];
  const fields = [...struct.matchAll(/int64_t (\w+);/g)].map(([, name]) => name);
  assert.deepEqual(METERS.map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)), fields);
  const sources = fs.readdirSync(LIB).filter((name) => name.endsWith('.js')).map((name) => read(LIB, name)).join('\n');
  const names = 'OPEN_\\w+|AMOUNT_GIVEN|MAX_COST_GIVEN|CAPTURE_(?!TEXTS)\\w+|TOOL_UNCHARGED|REPLAYED|UNCOMMITTED|FINAL|CAPPED|'
    + 'UNREPORTED|RELEASED|REFUSAL|CALL_(?!WORDS)\\w+|FINISH_(?!WORDS)\\w+';
  const stated = [...sources.matchAll(new RegExp(`^const (${names}) = (\\d+);`, 'gm'))];
  assert.equal(stated.length, 22);
  for (const [, name, value] of stated) {
    assert.equal(Number(value), native().flags[name] ?? native().flags[`RECEIPT_${name}`], name);
  }
  for (const [table, prefix] of [
    ['DURABILITY', 'DURABILITY_'],
    ['OVER_CAPTURE', 'OVER_CAPTURE_'],
    ['SCHEMES', 'WEBHOOK_'],
    ['ENDING', 'ENDING_'],
  ]) {
    const rows = new RegExp(`^const ${table} = \\{ (.*) \\};`, 'm').exec(sources)[1].split(', ');
    for (const row of rows) {
      const [name, value] = row.split(': ');
      const [, number] = new RegExp(`FAREBOX_${prefix}${name.toUpperCase()} = (\\d+)`).exec(header);
      assert.equal(value, number, name);
    }
  }
});

/** The names that a class has in the types: members, getters and static methods. */
function declared(name) {
  const body = new RegExp(
    `^export class ${name}\\b[^{]*\\{(.*?)^\\}`,
    'ms',
  ).exec(types)[1].replace(/\/\*.*?\*\//gs, '');
  const members = body.matchAll(/^ {2}(?:static |readonly |get )*([\w[\].]+)(?:<[^(]*>)?[(:?]/gm);
  return new Set([...members].map(([, member]) => member));
}

test('every export is in the types, and every type of a value is an export', () => {
  const values = [...types.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual([...new Set([...values, 'STATUSES'])].sort(), Object.keys(farebox).sort());
});

test('every method is in the types, and the other way round', () => {
  const engine = farebox.Farebox.openSync('memory:');
  engine.depositSync('user:ana', 1);
  engine.registerSkillSync({ id: 's', version: '1.0.0', tools: [{ name: 't', pricing: { cost: '0.01' } }] });
  const quote = engine.priceToolSync('t');
  const values = {
    Farebox: engine,
    Hold: engine.reserveSync('user:ana', { amount: '0.5' }),
    Payment: engine.paying('user:ana'),
    Receipt: engine.chargeSync('user:ana', { amount: '0.1' }),
    Quote: quote,
    QuoteLine: quote.lines[0],
    Balance: engine.balanceSync('user:ana'),
    PaymentRefused: new farebox.PaymentRefused('OVER_BUDGET'),
    ToolResult: new farebox.ToolResult(Buffer.from('{}'), null),
  };
  for (const [name, value] of Object.entries(values)) {
    const prototype = Object.getPrototypeOf(value);
    const members = [...Object.getOwnPropertyNames(prototype), ...Object.keys(value)];
    const present = new Set([
      ...members,
      ...Object.getOwnPropertyNames(value.constructor).filter((member) => /^open/.test(member)),
    ]);
    const symbols = new Set(Object.getOwnPropertySymbols(prototype));
    for (const dispose of ['dispose', 'asyncDispose']) {
      if (symbols.has(Symbol[dispose] ?? Symbol.for(`nodejs.${dispose}`))) present.add(`[Symbol.${dispose}]`);
    }
    const stated = declared(name);
    if (name === 'PaymentRefused') for (const member of declared('FareboxError')) stated.add(member);
    stated.add('constructor');
    assert.deepEqual([...present].sort(), [...stated].sort(), name);
  }
  engine.closeSync();
});

test('each verb has both forms, and each is documented', () => {
  const methods = declared('Farebox');
  for (const name of methods) {
    const blocking = `${name}Sync`;
    if (/Sync$|^(paying|constructor|closed|uncloneable|toJSON|url|default\w+|\[.*)$/.test(name)) continue;
    assert.ok(methods.has(blocking), blocking);
  }
  for (const [, doc, line] of types.matchAll(/(\*\/\n)?^ {2}(?:static )?(\w+(?:<[^>]*>)?\()/gm)) {
    assert.ok(doc !== undefined || /^(constructor|paying)/.test(line), line);
  }
});

test('the options of pricing are in the types and in the README', () => {
  const readme = read(PROJECT, 'README.md');
  const list = /const OPTIONS = new Set\(\[(.*?)\]\)/s.exec(read(LIB, 'pricing.js'))[1];
  const options = [...list.matchAll(/'(\w+)'/g)].map(([, name]) => name);
  const block = /interface PricingOptions.*?\{(.*?)^\}/ms.exec(types)[1];
  const stated = [...block.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name);
  assert.deepEqual(stated.sort(), [...options].sort());
  for (const name of options) assert.ok(readme.includes(`\`${name}\``), name);
  for (const name of Object.keys(farebox)) {
    if (farebox[name].prototype instanceof farebox.FareboxError) assert.ok(readme.includes(`\`${name}\``), name);
  }
});

withFolder('the README runs', async (folder) => {
  const text = read(PROJECT, 'README.md');
  const blocks = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
  assert.ok(blocks.length > 7);
  const seen = new Set();
  const program = blocks.join('\n').replace(/^const \{ (.*?) \} = require\('(.*?)'\);$/gm, (line, names, module) => {
    const fresh = names.split(', ').filter((name) => !seen.has(name));
    fresh.forEach((name) => seen.add(name));
    const place = module === 'farebox' ? PROJECT : module;
    return `const { ${fresh.join(', ')} } = require(${JSON.stringify(place)});`;
  });
  const file = path.join(folder, 'readme.js');
  fs.writeFileSync(
    file,
    `const assert = require('node:assert/strict');\n(async () => {\n${program}\nawait engine.close();\n})();\n`,
  );
  const done = await run(process.execPath, [file], { cwd: folder });
  assert.deepEqual([done.code, done.stderr], [0, '']);
  assert.match(done.stdout, /INSUFFICIENT_FUNDS/);
});

withFolder('it is imported by modules, each export by its name', async (folder) => {
  const file = path.join(folder, 'module.mjs');
  const index = JSON.stringify(path.join(LIB, 'index.js'));
  fs.writeFileSync(file, `import farebox, { ${Object.keys(farebox).join(', ')} } from ${index};
    console.log(farebox.Farebox === Farebox && typeof pricing);`);
  const done = await run(process.execPath, [file]);
  assert.equal(done.stdout, 'function\n', done.stderr);
});

test('it needs nothing but what Node has', () => {
  const { dependencies, peerDependencies, optionalDependencies } = JSON.parse(read(PROJECT, 'package.json'));
  assert.deepEqual([dependencies, peerDependencies, optionalDependencies], [undefined, undefined, undefined]);
  for (const name of fs.readdirSync(LIB).filter((file) => file.endsWith('.js'))) {
    for (const [, module] of read(LIB, name).matchAll(/require\('(.*?)'\)/g)) {
      assert.ok(module.startsWith('./') || builtinModules.includes(module.replace(/^node:/, '')), `${name}: ${module}`);
    }
  }
});

test('the version is the header\'s', () => {
  const part = (name) => new RegExp(`FAREBOX_VERSION_${name} (\\d+)`).exec(header)[1];
  const version = [part('MAJOR'), part('MINOR'), part('PATCH')].join('.');
  assert.equal(JSON.parse(read(PROJECT, 'package.json')).version, version);
  assert.equal(native().flags.VERSION_NUMBER, Number(part('NUMBER')));
});

withFolder('a missing library is told where it was looked for', async (folder) => {
  const program = `const farebox = require(${JSON.stringify(PROJECT)}); console.log('imported'); farebox.describe();`;
  const load = (library) => run(process.execPath, ['-e', program], { env: { ...process.env, FAREBOX_LIB: library } });
  for (const place of [folder, path.join(folder, 'libfarebox.so')]) {
    const missing = await load(place);
    assert.deepEqual([missing.code, missing.stdout], [1, 'imported\n']);
    assert.ok(missing.stderr.includes(`no libfarebox.so at ${path.join(folder, 'libfarebox.so')}`), missing.stderr);
    assert.match(missing.stderr, /FAREBOX_LIB/);
  }
  fs.writeFileSync(path.join(folder, 'libfarebox.so'), 'not a library');
  const broken = await load(folder);
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /ERR_FAREBOX_LIBRARY/);
  const found = await load(path.dirname(farebox.libraryPath()));
  assert.equal(found.code, 0, found.stderr);
});

withFolder('the types are checked by tsc, and its JavaScript runs', async (folder, context) => {
  if ((await run('tsc', ['--version'])).code !== 0) {
    context.skip('needs tsc: apt-get install node-typescript');
    return;
  }
  const checked = await run('tsc', ['-p', path.join(__dirname, 'types')]);
  assert.equal(checked.code, 0, checked.stdout);
  const compiled = await run('tsc', ['-p', path.join(__dirname, 'types', 'run'), '--outDir', folder]);
  assert.equal(compiled.code, 0, compiled.stdout);
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(PROJECT, path.join(folder, 'node_modules', 'farebox'));
  const done = await run(process.execPath, [path.join(folder, 'skill.js')]);
  assert.deepEqual([done.code, done.stdout], [0, '9.96\n'], done.stderr);
});

withFolder('a package carries the addon and the library, and runs without the source tree', async (folder, context) => {
  if ((await run('npm', ['--version'])).code !== 0) {
    context.skip('needs npm');
    return;
  }
  const packed = await run(process.execPath, [path.join(PROJECT, 'scripts', 'pack.js'), folder]);
  assert.equal(packed.code, 0, packed.stderr);
  const [archive] = fs.readdirSync(folder);
  assert.equal(archive, 'farebox-0.1.0.tgz');
  const listed = (await run('tar', ['tzf', path.join(folder, archive)])).stdout.trim().split('\n');
  const names = new Set(listed.map((name) => name.replace('package/', '')));
  for (const name of [
    'package.json',
    'README.md',
    'LICENSE',
    'lib/index.js',
    'lib/index.d.ts',
    'lib/libfarebox.so',
    'build/farebox.node',
  ]) {
    assert.ok(names.has(name), name);
  }
  assert.ok(![...names].some((name) => /^(test|src|scripts)\//.test(name)));
  fs.mkdirSync(path.join(folder, 'node_modules'));
  await run('tar', ['xzf', path.join(folder, archive), '-C', path.join(folder, 'node_modules')]);
  fs.renameSync(path.join(folder, 'node_modules', 'package'), path.join(folder, 'node_modules', 'farebox'));
  const { FAREBOX_LIB, ...env } = process.env;
  const program = `const { Farebox, libraryPath } = require('farebox');
    Farebox.openSync('memory:').closeSync();
    console.log(libraryPath());`;
  const done = await run(process.execPath, ['-e', program], { cwd: folder, env });
  assert.equal(
    done.stdout.trim(),
    fs.realpathSync(path.join(folder, 'node_modules', 'farebox', 'lib', 'libfarebox.so')),
    done.stderr,
  );
  assert.ok(FAREBOX_LIB === undefined || typeof FAREBOX_LIB === 'string');
});
