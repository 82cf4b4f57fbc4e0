'use strict';

/* One metered tool: what its price says, and the steps around a call.
 *
 * A step is a generator that yields what the engine is to do; `now` carries it out at once, `later` with promises. So
 * there is one home for what happens when, whatever kind of function the tool is. No money is computed here. */

const { createHash } = require('node:crypto');

const { CallScope, Payment, storage, uniqueKey } = require('./context');
const { REQUESTS, counterOf, pricePer } = require('./counting');
const { FareboxError, PaymentRefused, errorOf, refuse } = require('./errors');
const { encodeJson } = require('./json');
const { textOf, toUnits } = require('./money');
const requests = require('./requests');
const { usageCounts } = require('./usage');

const { AMOUNT_GIVEN, CAPTURE_AMOUNT, CAPTURE_USAGE, durabilityOf, millisecondsOf, overCaptureOf } = requests;

const KEY_MAX = 255;
const TRIES = 1000;
const NOTHING_SAID = Object.freeze({ flags: 0, amount: 0n, counts: undefined }); // all that is held

/** Carries out the steps of a generator at once. */
function now(steps) {
  let step = steps.next();
  while (!step.done) {
    const { core, verb, given } = step.value;
    let answer;
    try {
      answer = core[`${verb}Sync`](...given);
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(answer);
  }
  return step.value;
}

/** Carries out the steps of a generator off the event loop. */
async function later(steps) {
  let step = steps.next();
  while (!step.done) {
    const { core, verb, given } = step.value;
    let answer;
    try {
      answer = await core[verb](...given);
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(answer);
  }
  return step.value;
}

function missingPayer() {
  const message = 'Nobody pays for this call: call it inside engine.paying(account, fn), or give payer and engine.';
  return refuse('MISSING_FIELD', message, 'payer');
}

function fitted(key) {
  return Buffer.byteLength(key) <= KEY_MAX ? key : createHash('sha256').update(key).digest('hex');
}

function stated(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null));
}

function functionOrNone(value, field) {
  if (value !== undefined && typeof value !== 'function') {
    throw refuse('INVALID_ARGUMENT', `${field} is a function.`, field);
  }
  return value;
}

/** One metered tool: its price metadata, and the three steps around a call. */
class Meter {
  constructor(fn, options) {
    const { cost, currency = 'USD', per = 'request', maxCost, units } = options;
    const tool = options.name ?? (typeof fn.name === 'string' ? fn.name.replace(/^(bound )+/, '') : undefined);
    if (typeof tool !== 'string' || tool === '') {
      throw refuse('MISSING_FIELD', 'This function has no name: give name.', 'name');
    }
    for (const [field, value] of Object.entries({ currency, per })) {
      if (typeof value !== 'string') throw refuse('INVALID_ARGUMENT', `${field} is a string.`, field);
    }
    const dynamic = typeof cost === 'function';
    const text = (value, field) => (value == null ? null : textOf(value, field));
    this.pricing = Object.freeze({
      tool,
      cost: dynamic ? null : text(cost, 'cost'),
      currency,
      per,
      maxCost: text(maxCost, 'maxCost'),
      description: options.description ?? null,
      category: options.category ?? null,
      revenueShare: text(options.revenueShare, 'revenueShare'),
      owner: options.owner ?? null,
      dynamic,
    });
    this.priced = cost != null;
    this.costOf = dynamic ? cost : undefined;
    const counted = !dynamic && (!REQUESTS.has(per) || units !== undefined);
    this.usageOf = counted ? counterOf(per, units) : undefined;
    this.engine = options.engine;
    this.payer = options.payer;
    this.measure = functionOrNone(options.measure, 'measure');
    this.failed = functionOrNone(options.failed, 'failed');
    this.expiresInMs = options.holdMs == null ? 0 : Math.max(1, millisecondsOf(options.holdMs, 'holdMs'));
    this.overCapture = overCaptureOf(options.overCapture ?? (maxCost == null ? 'overflow' : 'cap'));
    this.durability = durabilityOf(options.durability);
    this.registered = new WeakSet();
  }

  // ---- The three steps ----

  /** Holds the price of a call that is about to run, and gives its scope. */
  *begin(receiver, args) {
    const outer = storage.getStore();
    const payment = this.resolve(outer, receiver, args);
    const scope = new CallScope(payment, outer?.nextCall());
    const { core } = payment.engine;
    if (this.costOf !== undefined) {
      scope.amount = this.units(core, this.costOf.apply(receiver, args), 'cost');
    } else if (this.usageOf !== undefined) {
      scope.counts = usageCounts([this.usageOf.apply(receiver, args)], () => this.scale(core));
    }
    if (this.priced && !this.registered.has(payment.engine)) {
      const body = encodeJson({ manifest: this.manifest(payment.engine) });
      yield { core, verb: 'call', given: ['skill.register', body] };
      core.toolAssets.clear();
      this.registered.add(payment.engine);
    }
    const first = scope.call === undefined ? uniqueKey() : this.key(payment, scope.call);
    for (let attempt = 1; attempt < TRIES; attempt++) {
      scope.key = attempt === 1 ? first : fitted(`${first}#${attempt}`);
      const receipt = yield { core, verb: 'reserve', given: [this.reservation(scope)] };
      scope.hold = BigInt(receipt.hold);
      if (!receipt.replayed) return scope;
      const hold = yield { core, verb: 'call', given: ['hold.get', `{"hold":${receipt.hold}}`] };
      if (hold.state === 'captured') scope.settled = true; // an earlier try of this call was paid for
      if (hold.state === 'captured' || hold.state === 'open') return scope;
    }
    throw errorOf(600, 'This call was tried a thousand times.', { field: 'call' });
  }

  /** Captures the hold of a call that ran, or releases it if the result says that the tool failed. */
  *finish(scope, result) {
    if (scope.settled) return;
    let used;
    try {
      if (this.failed !== undefined && this.failed(result)) {
        yield* this.abort(scope);
        return;
      }
      used = this.used(scope, result);
    } catch (error) {
      yield* this.abort(scope);
      throw error;
    }
    const receipt = yield* this.settle(scope, used);
    scope.settled = true;
    if (receipt !== undefined) scope.payment.onReceipt?.(receipt);
  }

  /** Captures what was used, or does what is right where that cannot be; gives the receipt if there is one. */
  *settle(scope, used) {
    try {
      return yield this.capture(scope, used);
    } catch (error) {
      if (!(error instanceof PaymentRefused)) return yield* this.recover(scope, error);
      if (error.code === 'UNPRICEABLE') {
        // The tool and its price do not agree: nobody pays for that.
        yield* this.abort(scope);
        throw error;
      }
    }
    // The excess over the hold was refused: take what is held, since the work is done.
    return yield this.capture(scope, NOTHING_SAID);
  }

  /** Releases the hold of a call that failed; a release that fails is left to the hold's expiry. */
  *abort(scope) {
    if (scope.settled) return;
    scope.settled = true;
    const plan = { hold: scope.hold, flags: 0, amount: 0n, maxCost: 0n, durability: 0 };
    try {
      yield { core: scope.payment.engine.core, verb: 'release', given: [plan] };
    } catch (error) {
      if (!(error instanceof FareboxError)) throw error;
    }
  }

  // ---- What they are made of ----

  reservation(scope) {
    const { payment } = scope;
    const { core } = payment.engine;
    const capped = this.pricing.maxCost !== null && (this.usageOf !== undefined || this.costOf !== undefined);
    return {
      payer: payment.payer,
      tool: this.pricing.tool,
      key: scope.key,
      run: payment.run,
      call: scope.call,
      flags: this.costOf !== undefined ? AMOUNT_GIVEN : 0,
      amount: scope.amount,
      maxCost: capped ? this.units(core, this.pricing.maxCost, 'maxCost') : 0n,
      counts: scope.counts,
      durability: 0,
      expiresInMs: this.expiresInMs,
      overCapture: this.overCapture,
    };
  }

  /** Says what to capture: flags, amount and counts; neither flag is all that is held. */
  used(scope, result) {
    if (this.costOf !== undefined) return { flags: CAPTURE_AMOUNT, amount: scope.amount, counts: undefined };
    if (this.usageOf !== undefined || !this.priced) {
      const measured = scope.usages === undefined ? this.measure?.(result) : undefined;
      const usages = scope.usages ?? (measured == null ? undefined : [measured]);
      if (usages !== undefined) {
        scope.counts = usageCounts(usages, () => this.scale(scope.payment.engine.core));
      }
      if (scope.counts !== undefined) return { flags: CAPTURE_USAGE, amount: 0n, counts: scope.counts };
    }
    return NOTHING_SAID;
  }

  capture(scope, used) {
    const plan = { hold: scope.hold, maxCost: 0n, durability: this.durability, ...used };
    return { core: scope.payment.engine.core, verb: 'capture', given: [plan] };
  }

  /** A hold that expired while the tool ran is charged anew. */
  *recover(scope, error) {
    const { payment } = scope;
    // The same call, tried twice at once, is paid for.
    if (error.code === 'HOLD_CAPTURED' && scope.call !== undefined) return undefined;
    // A named call's hold is also released when another try of it fails; anybody else who released it meant to.
    const late = error.code === 'HOLD_EXPIRED' || (error.code === 'HOLD_RELEASED' && scope.call !== undefined);
    if (!late) throw error;
    const plan = {
      payer: payment.payer,
      tool: this.pricing.tool,
      key: fitted(`${scope.key}#late`),
      run: payment.run,
      call: scope.call,
      flags: this.costOf !== undefined ? AMOUNT_GIVEN : 0,
      amount: scope.amount,
      maxCost: 0n,
      counts: scope.counts,
      durability: this.durability,
    };
    return yield { core: payment.engine.core, verb: 'charge', given: [plan] };
  }

  /** Finds who pays: what the options say, else the context. */
  resolve(outer, receiver, args) {
    const context = outer?.payment;
    const engine = typeof this.engine === 'function' ? this.engine() : (this.engine ?? context?.engine);
    const payer = typeof this.payer === 'function' ? this.payer.apply(receiver, args) : (this.payer ?? context?.payer);
    if (engine == null || payer == null) throw missingPayer();
    if (context !== undefined && context.engine === engine && context.payer === payer) return context;
    if (engine.core === undefined) throw refuse('INVALID_ARGUMENT', 'The engine is a Farebox.', 'engine');
    return new Payment(engine, payer, context?.run, undefined);
  }

  /** Returns the skill manifest that registers this tool with an engine, its version derived from its content. */
  manifest(engine) {
    const { tool, cost, currency, per, maxCost, revenueShare, description, category, owner, dynamic } = this.pricing;
    const pricing = stated({
      cost,
      currency,
      per: dynamic ? null : pricePer(per),
      components: dynamic ? [{ model: 'dynamic' }] : null,
      max_cost: maxCost,
    });
    const entry = stated({ name: tool, pricing, revenue_share: revenueShare, description, category });
    const id = `node.${tool.replace(/[^A-Za-z0-9._:/-]/g, '')}`.slice(0, 128);
    const content = stated({ id, owner: owner ?? engine.defaultOwner, tools: [entry] });
    const digest = createHash('sha256').update(JSON.stringify(content)).digest('hex');
    return { version: `0.0.0+${digest.slice(0, 16)}`, ...content };
  }

  scale(core) {
    return core.scale(this.pricing.currency);
  }

  units(core, value, field) {
    return toUnits(value, typeof value === 'bigint' ? 0 : this.scale(core), field);
  }

  key(payment, call) {
    return fitted(`${payment.run ?? payment.payer}/${call}/${this.pricing.tool}`);
  }
}

module.exports = { Meter, later, missingPayer, now };
