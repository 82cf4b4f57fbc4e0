#!/usr/bin/env node
'use strict';

/* Compiles the addon with the system's C compiler, against the headers that this node ships.
 *
 *     node bindings/node/scripts/build.js
 *
 * CC names another compiler. Writes bindings/node/build/farebox.node; does nothing where that is newer than its
 * sources.
 */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const project = path.dirname(__dirname);
const sources = path.join(project, 'src');
const output = path.join(project, 'build', 'farebox.node');
const header = path.resolve(project, '..', '..', 'Include');

/** Finds the folder of node_api.h: beside this node, or where Debian's libnode-dev puts it. */
function nodeHeaders() {
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  const folders = [path.join(prefix, 'include', 'node'), '/usr/include/node'];
  const found = folders.find((folder) => fs.existsSync(path.join(folder, 'node_api.h')));
  if (found === undefined) {
    throw new Error(`no node_api.h in ${folders.join(' or ')}: on Debian, apt-get install libnode-dev`);
  }
  return found;
}

function isCurrent(files) {
  if (!fs.existsSync(output)) return false;
  const built = fs.statSync(output).mtimeMs;
  return files.every((file) => fs.statSync(file).mtimeMs <= built);
}

function main() {
  const files = fs.readdirSync(sources).map((name) => path.join(sources, name));
  if (isCurrent([...files, path.join(header, 'farebox.h'), __filename])) return;
  fs.mkdirSync(path.dirname(output), { recursive: true });
  const fresh = `${output}.${process.pid}`;
  const flags = ['-std=c11', '-D_GNU_SOURCE', '-DNAPI_VERSION=8', '-O2', '-g', '-fPIC', '-fvisibility=hidden'];
  const warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Werror'];
  // An environment that ends must not unload what another one is about to load.
  const link = ['-shared', '-pthread', '-Wl,-z,nodelete', '-Wl,-z,now', '-ldl'];
  const programs = files.filter((file) => file.endsWith('.c'));
  const includes = [`-I${header}`, '-isystem', nodeHeaders()];
  execFileSync(process.env.CC || 'cc', [...flags, ...warnings, ...includes, ...programs, ...link, '-o', fresh], {
    stdio: 'inherit',
  });
  fs.renameSync(fresh, output);
  console.log(`built ${path.relative(process.cwd(), output)}`);
}

try {
  main();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
