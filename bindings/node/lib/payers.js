'use strict';

/* Who pays for metered C functions that C calls back on JavaScript's own thread: the addon asks, the context answers. */

const { ordinalOf, storage } = require('./context');

/** Gives what the addon answers the library with, or null for nobody.
 *
 * The arguments are empty the first time; the library asks again with a digest of them where a call is named. */
function payerOf(tool, args) {
  const scope = storage.getStore();
  const payment = scope?.payment;
  if (payment === undefined) return null;
  const { core } = payment.engine;
  const ordinal = args === '' ? 0 : ordinalOf(scope, tool, args);
  return [core.handle, payment.payer, payment.run ?? '', scope.call ?? '', scope.parent ?? '', ordinal];
}

module.exports = { payerOf };
