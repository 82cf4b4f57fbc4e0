#!/usr/bin/env node
'use strict';

/* A first program with Farebox: open a ledger, price a tool, hold money, take it, and look at the balance.
 *
 *     node bindings/node/scripts/build.js && node examples/node/walkthrough.js */

const { Farebox, PaymentRefused } = require('../../bindings/node');

/** Prints an amount with all nine digits of an atomic unit. */
function show(what, amount) {
  const [whole, fraction = ''] = amount.split('.');
  console.log(`${what.padEnd(24)} ${whole}.${fraction.padEnd(9, '0')} USD`);
}

/** Walks through one call of one tool. */
async function main() {
  // "memory:" forgets everything at the end; a path, such as "farebox.db", keeps it in one file.
  const engine = await Farebox.open('memory:');

  // Ana pays ten dollars in. A skill says what its tool costs; 70 per cent of that go to its author.
  await engine.deposit('user:ana', 10);
  await engine.registerSkill({
    id: 'research',
    version: '1.0.0',
    owner: 'user:author',
    revenue_share: '0.70',
    tools: [{ name: 'research.search', pricing: { cost: '0.02' } }],
  });

  // What would one call cost?
  show('a search costs', (await engine.priceTool('research.search')).total);

  // Before the call: hold the money, so that it cannot be spent twice. The key makes a retry harmless.
  const hold = await engine.reserve('user:ana', { tool: 'research.search', key: 'run-1/call-1' });
  show('held before the call', hold.amount);
  show('Ana may still spend', hold.receipt.available);

  // ... here the tool runs. Had it failed, hold.release() would give the money back ...

  // After it: take what was held. The author's and the platform's shares are posted in the same step.
  show('captured after the call', (await hold.capture()).amount);

  for (const account of ['user:ana', 'user:author', 'platform']) {
    show(account, (await engine.balance(account)).balance);
  }

  // An expected no is an error of a class of its own, and says what stood in the way.
  try {
    await engine.charge('user:ana', { amount: 1000 });
  } catch (error) {
    if (!(error instanceof PaymentRefused)) throw error;
    console.log(`${'refused'.padEnd(24)} ${error.message}`);
  }

  await engine.close();
}

main();
