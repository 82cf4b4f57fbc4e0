'use strict';

/* Charges of many promises in one commit.
 *
 * A work item of the thread pool costs more than a charge does. So the charges that are issued in one turn of the event
 * loop, and those that arrive while a batch is on its way, go to the library together, in the order in which they were
 * issued. One batch of an engine is on its way at a time; all its charges have one durability. */

const BATCH_MAX = 8190;

class ChargeQueue {
  constructor(core) {
    this.core = core;
    this.waiting = [];
    this.running = null;
    this.scheduled = false;
  }

  /** Charges a plan with the next batch. */
  add(plan) {
    return new Promise((resolve, reject) => {
      let last = this.waiting.at(-1);
      if (last === undefined || last.durability !== plan.durability || last.batch.count === BATCH_MAX) {
        last = { durability: plan.durability, batch: this.core.batch([]), callers: [] };
        this.waiting.push(last);
      }
      last.batch.add(plan);
      last.callers.push(resolve, reject);
      if (this.running === null && !this.scheduled) {
        this.scheduled = true;
        queueMicrotask(() => this.start());
      }
    });
  }

  start() {
    this.scheduled = false;
    if (this.running === null && this.waiting.length > 0) {
      this.running = this.run();
    }
  }

  async run() {
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      await this.send(next);
    }
    this.running = null;
  }

  async send({ batch, callers }) {
    let results;
    try {
      results = await this.core.chargeEach(batch);
    } catch (error) {
      for (let i = 1; i < callers.length; i += 2) callers[i](error);
      return;
    }
    results.forEach((result, i) => (result instanceof Error ? callers[2 * i + 1](result) : callers[2 * i](result)));
  }

  /** Waits until everything that was added is done. */
  async drained() {
    this.start();
    while (this.running !== null) await this.running;
  }
}

module.exports = { ChargeQueue };
