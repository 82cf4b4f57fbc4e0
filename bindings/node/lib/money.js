'use strict';

/* Decimal text at the edge: exact conversion between decimal amounts and the engine's atomic units.
 *
 * No price, split or rounding is computed here. An amount either is a whole number of atomic units or is refused. A
 * number counts as the digits that JavaScript prints, never as its binary value; a BigInt is atomic units. */

const { refuse } = require('./errors');

const UNITS_MAX = 2n ** 63n - 1n;
const UNITS_MIN = -(2n ** 63n);
const DIGITS_MAX = 40;
const PLAIN = /^(-?)([0-9]{1,40})(?:\.([0-9]{1,40}))?(?:[eE]([+-]?[0-9]{1,3}))?$/;

/** Reads an amount as its sign, its digits without leading zeros, and the place of its point from the right. */
function read(value, field) {
  const text = typeof value === 'number' && Number.isFinite(value) ? String(value) : value;
  const parts = typeof text === 'string' ? PLAIN.exec(text) : null;
  if (parts === null) {
    const message = "An amount is decimal text such as '0.02', a finite number, or a BigInt of atomic units.";
    throw refuse('INVALID_AMOUNT', message, field);
  }
  const [, sign, whole, fraction = '', exponent = '0'] = parts;
  return { sign, digits: (whole + fraction).replace(/^0+/, ''), point: fraction.length - Number(exponent) };
}

function overflow(field) {
  return refuse('OVERFLOW', 'The amount does not fit into 64 bits of atomic units.', field);
}

/** Multiplies a decimal by 10^scale, exactly, by moving its digits; refuses what is then no whole number. */
function shifted(value, scale, field) {
  const { sign, digits, point } = read(value, field);
  if (digits === '') return 0n;
  const zeros = scale - point;
  if (digits.length + zeros > 2 * DIGITS_MAX) throw overflow(field);
  if (zeros >= 0) return BigInt(sign + digits + '0'.repeat(zeros));
  if (/[^0]/.test(digits.slice(zeros))) {
    throw refuse('TOO_PRECISE', `The amount has more than the ${scale} digits of its asset.`, field);
  }
  return BigInt(sign + (digits.slice(0, zeros) || '0'));
}

/** Converts an amount into atomic units, exactly; throws INVALID_AMOUNT, TOO_PRECISE or OVERFLOW. */
function toUnits(value, scale, field = 'amount') {
  const units = typeof value === 'bigint' ? value : shifted(value, scale, field);
  if (units < UNITS_MIN || units > UNITS_MAX) throw overflow(field);
  return units;
}

/** Converts atomic units into decimal text without trailing zeros, exactly. */
function decimalOf(units, scale) {
  const negative = units < 0n;
  const digits = String(negative ? -units : units).padStart(scale + 1, '0');
  const fraction = scale === 0 ? '' : digits.slice(-scale).replace(/0+$/, '');
  const whole = scale === 0 ? digits : digits.slice(0, -scale);
  return `${negative ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Writes an amount as plain decimal text for the JSON door, every digit kept; `scaleOf` gives a BigInt its scale. */
function textOf(value, field, scaleOf) {
  if (typeof value === 'bigint' && scaleOf !== undefined) return decimalOf(value, scaleOf());
  const { sign, digits, point } = read(value, field);
  if (typeof value === 'string' && !/[eE]/.test(value)) return value;
  if (digits.length - point > 60 || point > 60) throw overflow(field);
  if (point <= 0) return sign + (digits === '' ? '0' : digits + '0'.repeat(-point));
  const padded = digits.padStart(point + 1, '0');
  return `${sign}${padded.slice(0, -point)}.${padded.slice(-point)}`;
}

module.exports = { UNITS_MAX, decimalOf, shifted, textOf, toUnits };
