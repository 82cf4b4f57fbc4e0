'use strict';

const { FareboxError } = require('./errors');
const { decimalOf } = require('./money');

const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
const dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');

/** Money held for work that is about to run. */
class Hold {
  #engine;
  #partial = false;
  #added = 0n;

  constructor(engine, receipt) {
    this.#engine = engine;
    this.receipt = receipt;
    this.id = receipt.hold;
    this.asset = receipt.asset;
    this.closed = false;
  }

  get amount() {
    return this.#added === 0n ? this.receipt.amount : decimalOf(this.amountUnits, this.receipt.scale);
  }

  get amountUnits() {
    return this.receipt.amountUnits + this.#added;
  }

  async increase(amount, options) {
    return this.#increased(await this.#engine.increase(this, amount, options));
  }

  increaseSync(amount, options) {
    return this.#increased(this.#engine.increaseSync(this, amount, options));
  }

  #increased(receipt) {
    if (!receipt.replayed) this.#added += receipt.amountUnits;
    return receipt;
  }

  async capture(request) {
    return this.#captured(await this.#engine.capture(this, request), request);
  }

  captureSync(request) {
    return this.#captured(this.#engine.captureSync(this, request), request);
  }

  #captured(receipt, request) {
    this.closed = request?.final !== false || receipt.final;
    this.#partial = true;
    return receipt;
  }

  async release() {
    const receipt = await this.#engine.release(this.id);
    this.closed = true;
    return receipt;
  }

  releaseSync() {
    const receipt = this.#engine.releaseSync(this.id);
    this.closed = true;
    return receipt;
  }

  async extend(expiresInMs) {
    return this.#engine.extend(this.id, expiresInMs);
  }

  extendSync(expiresInMs) {
    return this.#engine.extendSync(this.id, expiresInMs);
  }

  async use(work) {
    let result;
    try {
      result = await work(this);
    } catch (error) {
      // The work's own error tells more; an open hold expires by itself.
      if (!this.closed) await this.release().catch(ignoreRefusal);
      throw error;
    }
    if (!this.closed) await (this.#partial ? this.release() : this.capture());
    return result;
  }

  useSync(work) {
    let result;
    try {
      result = work(this);
    } catch (error) {
      try {
        if (!this.closed) this.releaseSync();
      } catch (refusal) {
        ignoreRefusal(refusal);
      }
      throw error;
    }
    if (!this.closed) {
      if (this.#partial) this.releaseSync();
      else this.captureSync();
    }
    return result;
  }

  [dispose]() {
    if (!this.closed) this.releaseSync();
  }

  async [asyncDispose]() {
    if (!this.closed) await this.release();
  }
}

function ignoreRefusal(error) {
  if (!(error instanceof FareboxError)) throw error;
}

module.exports = { Hold, asyncDispose, dispose };
