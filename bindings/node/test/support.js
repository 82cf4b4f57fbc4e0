'use strict';

/* What the tests share: a ledger in memory with a clock that a test sets, and folders that are gone afterwards. */

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { promisify } = require('node:util');

const { Farebox, FareboxError } = require('..');

const PROJECT = path.dirname(__dirname);
const ROOT = path.resolve(PROJECT, '..', '..');

/** A clock that stands still until it is moved; microseconds since 1970. */
class ManualClock {
  now = 1_800_000_000_000_000n;

  move(seconds) {
    this.now += BigInt(Math.round(seconds * 1e6));
  }
}

/** A test with a ledger in memory where user:ana has 10 USD, user:bob has 0.05 and dev:eve has nothing. */
function withEngine(name, ...rest) {
  const [options, work] = rest.length === 1 ? [{}, rest[0]] : rest;
  test(name, options, async (context) => {
    const clock = new ManualClock();
    const engine = Farebox.openSync('memory:', { clock: () => clock.now });
    try {
      for (const account of ['user:ana', 'user:bob', 'dev:eve']) engine.openAccountSync(account);
      engine.depositSync('user:ana', 10);
      engine.depositSync('user:bob', '0.05');
      await work(engine, clock, context);
    } finally {
      engine.closeSync();
    }
  });
}

/** A test with a folder of its own. */
function withFolder(name, work) {
  test(name, async (context) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'farebox-'));
    try {
      await work(folder, context);
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** The error that work throws or rejects with; it must be a FareboxError. */
async function errorOf(work) {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof FareboxError, String(error?.stack ?? error));
    return error;
  }
  return assert.fail('it did not fail');
}

async function codeOf(work) {
  return (await errorOf(work)).code;
}

/** What was spent of what an account had first; no hold may be open. */
function spent(engine, account = 'user:ana', start = 10_000_000_000n) {
  const balance = engine.balanceSync(account);
  assert.equal(balance.heldUnits, 0n, 'a hold was left open');
  return start - balance.balanceUnits;
}

/** Atomic units of a thousandth of a dollar, and the like: `usd('0.001')`. */
function usd(text) {
  const [whole, fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(9, '0'));
}

/** Collects the warnings that work makes. */
async function warnings(work) {
  const told = [];
  const listener = (warning) => told.push(warning);
  process.on('warning', listener);
  try {
    await work();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('warning', listener);
  }
  return told.filter((one) => one.name === 'FareboxWarning');
}

/** Runs a program to its end: {code, signal, stdout, stderr}. */
async function run(file, args, options = {}) {
  try {
    const { stdout, stderr } = await promisify(execFile)(file, args, { timeout: 120_000, ...options });
    return { code: 0, signal: null, stdout, stderr };
  } catch (error) {
    return { code: error.code, signal: error.signal, stdout: error.stdout, stderr: error.stderr };
  }
}

function loadVectors(name) {
  return JSON.parse(fs.readFileSync(path.join(ROOT, 'Tests', 'Vectors', name), 'utf8'));
}

module.exports = {
  PROJECT,
  ROOT,
  ManualClock,
  codeOf,
  errorOf,
  loadVectors,
  run,
  spent,
  usd,
  warnings,
  withEngine,
  withFolder,
};
