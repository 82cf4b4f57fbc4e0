#!/usr/bin/env node
'use strict';

/* A tool that costs two cents, and a user who pays for a call of it.
 *
 *     node bindings/node/scripts/build.js && node examples/node/five_lines.js
 *
 * Makes farebox.db in the current folder. Installed, the package is require('farebox'). */

const { Farebox, pricing } = require('../../bindings/node');

const search = pricing({ cost: 0.02 })(function search(query) {
  return `results for ${query}`;
});

const engine = Farebox.openSync('farebox.db');
engine.openAccountSync('user:ana');
engine.depositSync('user:ana', 10);

engine.paying('user:ana', { run: 'run-1' }, () => search('tides'));

console.log(engine.balanceSync('user:ana').balance);
engine.closeSync();
