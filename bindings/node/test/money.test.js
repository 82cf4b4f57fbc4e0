'use strict';

/* Decimal text at the edge: exact both ways, or refused. */

const assert = require('node:assert/strict');
const test = require('node:test');

const { decimalOf, textOf, toUnits } = require('../lib/money');
const { usageCounts, usageText } = require('../lib/usage');
const { codeOf, errorOf } = require('./support');

const MAX = 2n ** 63n - 1n;

test('an amount becomes atomic units exactly', () => {
  for (const [value, scale, units] of [
    [0.02, 9, 20_000_000n],
    [0.001, 9, 1_000_000n],
    [0.1, 9, 100_000_000n],
    [0.7, 9, 700_000_000n],
    [1e-9, 9, 1n],
    [1e3, 2, 100_000n],
    ['1e3', 2, 100_000n],
    ['2.5E-3', 9, 2_500_000n],
    ['0.02', 9, 20_000_000n],
    ['-1.5', 1, -15n],
    ['10.500000000000', 2, 1050n],
    ['0e-50', 2, 0n],
    ['0.000', 0, 0n],
    [7, 7, 70_000_000n],
    [-7, 0, -7n],
    [7n, 9, 7n],
    [MAX, 9, MAX],
    [-MAX - 1n, 0, -MAX - 1n],
    ['9223372036.854775807', 9, MAX],
    ['-9223372036.854775808', 9, -MAX - 1n],
    ['0009223372036.854775807000', 9, MAX],
    [Number.MAX_SAFE_INTEGER, 0, 9007199254740991n],
    [1e21, 0, null],
    [0, 9, 0n],
    [-0, 9, 0n],
  ]) {
    if (units !== null) assert.equal(toUnits(value, scale), units, String(value));
  }
});

test('what is not a whole number of units is refused', async () => {
  for (const [value, scale, code] of [
    [0.1 + 0.2, 9, 'TOO_PRECISE'],
    ['0.0000000001', 9, 'TOO_PRECISE'],
    ['1e-400', 9, 'TOO_PRECISE'],
    [5e-324, 9, 'TOO_PRECISE'],
    [0.5, 0, 'TOO_PRECISE'],
    ['9223372036.854775808', 9, 'OVERFLOW'],
    [MAX + 1n, 9, 'OVERFLOW'],
    [-MAX - 2n, 9, 'OVERFLOW'],
    [10n ** 400n, 9, 'OVERFLOW'],
    [1e21, 9, 'OVERFLOW'],
    [1e300, 9, 'OVERFLOW'],
    ['1e400', 9, 'OVERFLOW'],
    [NaN, 9, 'INVALID_AMOUNT'],
    [-Infinity, 9, 'INVALID_AMOUNT'],
    [true, 9, 'INVALID_AMOUNT'],
    [null, 9, 'INVALID_AMOUNT'],
    [undefined, 9, 'INVALID_AMOUNT'],
    [{}, 9, 'INVALID_AMOUNT'],
    [[1], 9, 'INVALID_AMOUNT'],
    [Object(1), 9, 'INVALID_AMOUNT'],
    [Symbol('1'), 9, 'INVALID_AMOUNT'],
    [new Uint8Array([49]), 9, 'INVALID_AMOUNT'],
    ['', 9, 'INVALID_AMOUNT'],
    [' 1', 9, 'INVALID_AMOUNT'],
    ['1 ', 9, 'INVALID_AMOUNT'],
    ['1\n', 9, 'INVALID_AMOUNT'],
    ['+1', 9, 'INVALID_AMOUNT'],
    ['.5', 9, 'INVALID_AMOUNT'],
    ['1_000', 9, 'INVALID_AMOUNT'],
    ['1,5', 9, 'INVALID_AMOUNT'],
    ['1e', 9, 'INVALID_AMOUNT'],
    ['0x10', 9, 'INVALID_AMOUNT'],
    ['\u0661', 9, 'INVALID_AMOUNT'],
    ['NaN', 9, 'INVALID_AMOUNT'],
    ['9'.repeat(50), 9, 'INVALID_AMOUNT'],
  ]) {
    const error = await errorOf(() => toUnits(value, scale, 'maxCost'));
    assert.equal(error.code, code, String(value));
    assert.equal(error.field, 'maxCost');
  }
});

test('units become decimal text exactly, and back', () => {
  for (const [units, scale, text] of [
    [20_000_000n, 9, '0.02'],
    [10_000_000_000n, 9, '10'],
    [0n, 9, '0'],
    [-1n, 9, '-0.000000001'],
    [MAX, 9, '9223372036.854775807'],
    [-MAX - 1n, 0, '-9223372036854775808'],
    [-MAX - 1n, 9, '-9223372036.854775808'],
    [1200n, 0, '1200'],
    [5n, 18, '0.000000000000000005'],
  ]) {
    assert.equal(decimalOf(units, scale), text);
    assert.equal(toUnits(text, scale), units);
  }
});

test('every number of units survives the way through text at every scale', () => {
  let state = 88172645463325252n;
  for (let i = 0; i < 3000; i++) {
    state ^= (state << 13n) & (2n ** 64n - 1n);
    state ^= state >> 7n;
    state ^= (state << 17n) & (2n ** 64n - 1n);
    const units = BigInt.asIntN(64, state) >> BigInt(i % 60);
    for (const scale of [0, 2, 5, 7, 9, 18]) {
      assert.equal(toUnits(decimalOf(units, scale), scale), units);
      assert.equal(toUnits(textOf(units, 'amount', () => scale), scale), units);
    }
  }
});

test('text for the JSON door keeps every digit', () => {
  for (const [value, text] of [
    [0.02, '0.02'],
    [1e-7, '0.0000001'],
    [1e16, '10000000000000000'],
    [1e21, '1000000000000000000000'],
    [-1.5e-7, '-0.00000015'],
    ['1e2', '100'],
    ['12.5e1', '125'],
    ['12.5e-1', '1.25'],
    ['0e5', '0'],
    [3, '3'],
    [0, '0'],
    ['7.0', '7.0'],
  ]) {
    assert.equal(textOf(value, 'amount'), text);
  }
  assert.equal(textOf(5n, 'amount', () => 9), '0.000000005');
});

test('text of a monstrous exponent is refused', async () => {
  assert.equal(await codeOf(() => textOf('1e999', 'cost')), 'OVERFLOW');
  assert.equal(await codeOf(() => textOf(1e300, 'cost')), 'OVERFLOW');
  assert.equal(await codeOf(() => textOf(5n, 'cost')), 'INVALID_AMOUNT');
});

test('a usage becomes counts', () => {
  const scale = () => 9;
  const counts = usageCounts({ inputTokens: 7n, units: '4.25', value: '0.25', images: null }, scale);
  assert.deepEqual(counts.slice(0, 3), [0n, 4n, 7n]);
  assert.equal(counts[10], 250_000_000n);
  assert.equal(counts[11], 250_000n);
  assert.equal(usageCounts({ value: 7n }, scale)[10], 7n);
  assert.equal(usageCounts({ images: undefined }, scale)[9], 0n);
  assert.equal(usageCounts('1e3', scale)[1], 1000n);
  assert.equal(usageCounts(2, scale)[1], 2n);
});

test('a usage becomes the text that the library reads', async () => {
  const text = (usage, meter = 'units') => usageText(usage, meter, () => 9);
  assert.equal(text(1.2345678912), '{"units":1.2345678912}');
  assert.equal(text('12', 'inputTokens'), '{"input_tokens":"12"}');
  assert.equal(text({ inputTokens: 5n, images: null, value: 7n }), '{"input_tokens":5,"value":"0.000000007"}');
  assert.equal(text(new Map([['cacheReadTokens', 1e-7]])), '{"cache_read_tokens":1e-7}');
  assert.deepEqual([text(null), text(undefined), text({}), text({ units: null })], Array(4).fill(undefined));
  for (const usage of [NaN, [1], Promise.resolve(1), () => 1, { units: {} }, new Map([[1, 2]])]) {
    assert.equal(await codeOf(() => text(usage)), 'INVALID_ARGUMENT');
  }
});

test('what is no count is refused, and its meter named', async () => {
  const scale = () => 9;
  for (const [usage, code, field] of [
    ['0.0000001', 'INVALID_ARGUMENT', 'usage.units'],
    [NaN, 'INVALID_ARGUMENT', 'usage.units'],
    [{ inputTokens: 1.5 }, 'INVALID_ARGUMENT', 'usage.inputTokens'],
    [{ units: true }, 'INVALID_ARGUMENT', 'usage.units'],
    [{ units: -0.5 }, 'INVALID_ARGUMENT', 'usage.units'],
    [{ units: '' }, 'INVALID_ARGUMENT', 'usage.units'],
    [[1], 'INVALID_ARGUMENT', 'usage'],
    [{ wishes: 3 }, 'UNKNOWN_FIELD', 'usage.wishes'],
    [{ constructor: 3 }, 'UNKNOWN_FIELD', 'usage.constructor'],
    [{ images: 2n ** 63n }, 'OVERFLOW', 'usage.images'],
    [{ images: '1e60' }, 'OVERFLOW', 'usage.images'],
    [{ value: '0.0000000001' }, 'TOO_PRECISE', 'usage.value'],
  ]) {
    const error = await errorOf(() => usageCounts(usage, scale));
    assert.deepEqual([error.code, error.field], [code, field], String(usage));
  }
  assert.equal(usageCounts({ images: MAX }, scale)[9], MAX);
});
