'use strict';

/* Price lists of other projects, from files, values and text. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const { RequestError, StateError } = require('..');
const { errorOf, withEngine, withFolder } = require('./support');

const TABLE = { 'gpt-4o': { input_cost_per_token: 2.5e-6, litellm_provider: 'openai' } };

withFolder('a price list may be a file, its text or its value', async (folder, context) => {
  const file = path.join(folder, 'prices.json');
  fs.writeFileSync(file, JSON.stringify(TABLE));
  const { Farebox } = require('..');
  const engine = Farebox.openSync('memory:');
  context.after(() => engine.closeSync());
  const lists = { a: file, b: pathToFileURL(file), c: fs.readFileSync(file), d: TABLE };
  for (const [name, data] of Object.entries(lists)) {
    const report = await engine.importRates('litellm', data, { name, source: 'mine' });
    assert.deepEqual([report.name, report.source, report.issues], [name, 'mine', []]);
    const quote = engine.callSync('price.quote', { tool: `${name}/openai/gpt-4o`, usage: { input_tokens: 1000 } });
    assert.equal(quote.total, '0.0025');
  }
  const dry = engine.importRatesSync('litellm', { m: { input_cost_per_token: 1 } }, { name: 'a', dryRun: true });
  assert.equal(dry.entries, 1);
  assert.equal(engine.callSync('rate_card.get', { name: 'a' }).version, 1);
  for (const data of [Buffer.from('{'), Buffer.from('[] , "name": 1'), Buffer.from('{"m":{},"m":{}}'), [], 5n]) {
    assert.ok((await errorOf(() => engine.importRatesSync('litellm', data))) instanceof RequestError);
  }
  assert.ok((await errorOf(() => engine.importRatesSync('models.dev', TABLE))) instanceof RequestError);
});

withEngine('a name that finds no rate says which there are', async (engine) => {
  const row = (provider) => ({ input_cost_per_token: 1e-6, litellm_provider: provider });
  engine.importRatesSync('litellm', { 'groq/llama-3': row('groq'), 'novita/llama-3': row('novita') });
  const ambiguous = await errorOf(() => engine.chargeSync('user:ana', { tool: 'litellm/llama-3' }));
  assert.ok(ambiguous instanceof StateError);
  assert.equal(ambiguous.code, 'RATE_AMBIGUOUS');
  assert.deepEqual(ambiguous.details.candidates, ['litellm/groq/llama-3', 'litellm/novita/llama-3']);
  const missing = await errorOf(() => engine.chargeSync('user:ana', { tool: 'litellm/groq/llama-4' }));
  assert.equal(missing.code, 'RATE_CARD_NOT_FOUND');
  assert.ok(missing.details.candidates.includes('litellm/groq/llama-3'));
});
