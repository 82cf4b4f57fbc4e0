#!/usr/bin/env node
'use strict';

/* Makes a package with the addon and the library inside, as a wheel has them.
 *
 *     node bindings/node/scripts/pack.js DIR
 *
 * Builds the addon first. The library is the one that the package finds; see README.md. Everything is put together in a
 * folder of its own, so that the source tree never holds a copy of the library. */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const project = path.dirname(__dirname);

function main(target) {
  if (target === undefined) throw new Error('pack.js takes the folder that the package is written to');
  execFileSync(process.execPath, [path.join(__dirname, 'build.js')], { stdio: 'inherit' });
  const { FILE_NAME, libraryPath } = require('../lib/library');
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), 'farebox-pack-'));
  try {
    for (const name of ['lib', 'build/farebox.node', 'README.md']) {
      fs.cpSync(path.join(project, name), path.join(stage, name), { recursive: true });
    }
    fs.copyFileSync(path.resolve(project, '..', '..', 'LICENSE'), path.join(stage, 'LICENSE'));
    fs.copyFileSync(libraryPath(), path.join(stage, 'lib', FILE_NAME));
    // Plugins run in this program, which the library looks for beside itself.
    const worker = path.join(path.dirname(libraryPath()), 'farebox-worker');
    if (fs.existsSync(worker)) {
      fs.copyFileSync(worker, path.join(stage, 'lib', 'farebox-worker'));
      fs.symlinkSync(FILE_NAME, path.join(stage, 'lib', `${FILE_NAME}.0`));
    }
    const { scripts, ...manifest } = JSON.parse(fs.readFileSync(path.join(project, 'package.json'), 'utf8'));
    const packed = JSON.stringify({ ...manifest, cpu: [process.arch] }, null, 2);
    fs.writeFileSync(path.join(stage, 'package.json'), `${packed}\n`);
    fs.mkdirSync(target, { recursive: true });
    const pack = ['pack', '--offline', '--pack-destination', path.resolve(target)];
    execFileSync('npm', pack, { cwd: stage, stdio: 'inherit' });
  } finally {
    fs.rmSync(stage, { recursive: true, force: true });
  }
}

try {
  main(process.argv[2]);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
