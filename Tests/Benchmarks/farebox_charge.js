'use strict';

/* Charges one by one from Node, the loop of `farebox_bench single` in JavaScript.
 *
 *     farebox_charge.js --url URL [--rows N] [--warm-up N] [--durability full|normal] [--promises N]
 *
 * The ledger, the payers, the budgets and the amount are those of farebox_bench.c, and so is what is timed: one charge
 * of an explicit amount with a key of 16 bytes. With --promises, N charges are issued at a time and awaited
 * together. */

const { randomBytes } = require('node:crypto');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { Farebox } = require(path.join(__dirname, '..', '..', 'bindings', 'node'));

const ORGS = 100;
const PAYERS_OF_AN_ORG = 100;
const BATCH = 8190;
const AMOUNT = '0.001';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    rows: { type: 'string', default: '10000' },
    'warm-up': { type: 'string', default: '524288' },
    durability: { type: 'string', default: 'normal' },
    promises: { type: 'string', default: '0' },
  },
});
const rows = Number(values.rows);
const atOnce = Number(values.promises);

/** Requests of random payers under random keys, made before anything is timed. */
function requests(count) {
  const random = randomBytes(12 * count);
  return Array.from({ length: count }, (_, i) => {
    const payer = random.readUInt32LE(12 * i) % (ORGS * PAYERS_OF_AN_ORG);
    const account = `org:${Math.floor(payer / PAYERS_OF_AN_ORG)}/user:${payer % PAYERS_OF_AN_ORG}`;
    return [account, random.toString('hex', 12 * i + 4, 12 * i + 12)];
  });
}

function makeLedger() {
  const engine = Farebox.openSync(values.url, { durability: 'normal' });
  for (let org = 0; org < ORGS; org++) {
    engine.openAccountSync(`org:${org}`);
    const budget = { account: `org:${org}`, name: 'monthly', window: 'month', amount: '1000000000', asset: 'USD' };
    engine.callSync('budget.set', budget);
    for (let user = 0; user < PAYERS_OF_AN_ORG; user++) engine.depositSync(`org:${org}/user:${user}`, '100000');
  }
  for (let done = 0; done < Number(values['warm-up']); done += BATCH) {
    const list = requests(BATCH).map(([payer, key]) => ({ payer, key, amount: AMOUNT }));
    for (const receipt of engine.chargeManySync(list)) receipt.require();
  }
  engine.closeSync();
}

function check(receipt) {
  const right = receipt.amountUnits === 1_000_000n && !receipt.replayed && receipt.id !== 0n;
  if (!right) throw new Error('a receipt is wrong');
}

function report(taken, elapsed) {
  taken.sort((a, b) => a - b);
  console.log(`rate ${((rows * 1e9) / Number(elapsed)).toFixed(4)}`);
  console.log(`p50_us ${(taken[taken.length >> 1] / 1000).toFixed(4)}`);
  console.log(`p99_us ${(taken[Math.floor(taken.length * 0.99)] / 1000).toFixed(4)}`);
}

async function main() {
  makeLedger();
  const engine = Farebox.openSync(values.url, { durability: values.durability });
  const list = requests(rows);
  const taken = [];
  const start = process.hrtime.bigint();
  let last = start;
  for (let i = 0; i < rows; ) {
    if (atOnce > 0) {
      const some = list.slice(i, i + atOnce);
      const receipts = await Promise.all(some.map(([payer, key]) => engine.charge(payer, { amount: AMOUNT, key })));
      receipts.forEach(check);
      i += some.length;
    } else {
      const [payer, key] = list[i++];
      check(engine.chargeSync(payer, { amount: AMOUNT, key }));
    }
    const now = process.hrtime.bigint();
    taken.push(Number(now - last));
    last = now;
  }
  report(taken, last - start);
  engine.closeSync();
}

main();
