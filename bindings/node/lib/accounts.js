'use strict';

/* Names of accounts from ids of other systems. */

const { failureOf, refuse } = require('./errors');
const { native } = require('./library');

function converted(verb, text, field) {
  if (typeof text !== 'string') throw refuse('INVALID_ARGUMENT', 'It is a string.', field);
  const answer = native()[verb](null, new BigInt64Array(1), [text]);
  if (typeof answer !== 'string') throw failureOf(answer);
  return answer;
}

/** Writes an id of another system so that it can be a segment of an account's name. */
const escapeAccount = (id) => converted('escapeAccountSync', id, 'id');

/** Gives back the id that `escapeAccount` wrote. */
const unescapeAccount = (name) => converted('unescapeAccountSync', name, 'name');

module.exports = { escapeAccount, unescapeAccount };
