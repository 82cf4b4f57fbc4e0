'use strict';

/* The examples run, and say the same in every language. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { ROOT, run, withFolder } = require('./support');

const EXAMPLES = path.join(ROOT, 'examples', 'node');

withFolder('the five lines charge two cents', async (folder) => {
  for (const balance of ['9.98', '19.96']) {
    const done = await run(process.execPath, [path.join(EXAMPLES, 'five_lines.js')], { cwd: folder });
    assert.deepEqual([done.code, done.stdout], [0, `${balance}\n`], done.stderr);
  }
  assert.ok(fs.existsSync(path.join(folder, 'farebox.db')));
});

withFolder('the walkthrough says what the one in Python says', async (folder) => {
  const done = await run(process.execPath, [path.join(EXAMPLES, 'walkthrough.js')], { cwd: folder });
  assert.equal(done.code, 0, done.stderr);
  const lines = done.stdout.trimEnd().split('\n');
  assert.equal(lines.length, 8);
  assert.equal(lines[0], 'a search costs           0.020000000 USD');
  assert.equal(lines[5], 'user:author              0.014000000 USD');
  assert.match(lines[7], /^refused {18}user:ana has 9\.98 USD available/);
  const env = {
    ...process.env,
    PYTHONPATH: path.join(ROOT, 'bindings', 'python', 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const script = path.join(ROOT, 'examples', 'python', 'walkthrough.py');
  const python = await run(
    'python3',
    [script],
    { cwd: folder, env: { ...env, FAREBOX_LIB: require('..').libraryPath() } },
  );
  assert.equal(python.stdout, done.stdout, python.stderr);
});

withFolder('two functions of zlib are charged by the byte', async (folder, context) => {
  const done = await run(process.execPath, [path.join(EXAMPLES, 'zlib.js')], { cwd: folder });
  if (done.stderr.includes("'UNSUPPORTED'")) {
    context.skip('this build of the library has no C functions');
    return;
  }
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^compress2 {3}0, 38000 bytes became \d+$/m);
  assert.match(done.stdout, /^again whole true$/m);
  assert.match(done.stdout, /^no room {5}-5$/m);
  assert.match(done.stdout, /^charged {5}0\.038 and 0\.038 USD/m);
  assert.match(done.stdout, /^Ana has {5}0\.924 USD$/m);
});
