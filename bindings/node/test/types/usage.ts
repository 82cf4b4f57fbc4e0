/* What the types allow and what they refuse; compiled by tsc and never run. */

import {
  Farebox,
  FareboxError,
  Hold,
  PaymentRefused,
  Receipt,
  STATUSES,
  StatusName,
  callId,
  describe,
  estimateTokens,
  meter,
  pricing,
  recordAmount,
  recordUsage,
  setPluginPolicy,
  verifyWebhook,
} from 'farebox';

async function engineTypes(): Promise<void> {
  const engine: Farebox = await Farebox.open('farebox.db', { durability: 'normal', busyTimeoutMs: 1500 });
  const clocked = Farebox.openSync('memory:', { clock: () => 1_800_000_000_000_000n });
  const receipt: Receipt = await engine.charge('user:ana', { amount: '0.25', key: 'order-1' });
  const units: bigint = receipt.amountUnits;
  const text: string = receipt.amount;
  const blocked: Receipt = engine.chargeSync('user:ana', { tool: 'search', usage: { inputTokens: 3, units: '1.5' } });
  const hold: Hold = await engine.reserve('user:ana', { amount: 1n, overCapture: 'cap' });
  const done: number = await hold.use(async () => 5);
  const many: Receipt[] = await engine.chargeMany([{ payer: 'user:ana', amount: 1 }]);
  const reason: StatusName | undefined = many[0]?.error?.code === 'UNKNOWN' ? undefined : 'OK';
  const listed = await engine.call('transfer.list', { account: 'user:ana', limit: 10 });
  const transfers: any[] | null | undefined = listed.transfers;
  const info = engine.callSync('ledger.info');
  const inside: string = engine.paying('user:ana', { run: 'run-1' }, () => 'result');
  const paid: Promise<number> = engine.paying('user:ana', async () => 1);
  const result: number = engine.paying('user:ana').enter((a: number) => a, 5);
  verifyWebhook(new Uint8Array(), { 'Stripe-Signature': 't=1' }, ['a', 'b'], { tolerance: null });
  const name: string | undefined = STATUSES[400]?.name;
  const version: string = describe().version;
  void [clocked, units, text, blocked, done, reason, transfers, info, inside, paid, result, name, version];
  setPluginPolicy({ directories: [] });
  const tool = await engine.callTool('user:ana', 'echo.say', { text: 'hello' }, { deadlineMs: 1000 });
  const said: string = tool.text;
  const crc32 = engine.meterFunctionSync<[number, Uint8Array], bigint>({
    library: 'libz.so.1',
    symbol: 'crc32',
    signature: 'u64(u64 crc, bytes:u32 data)',
    cost: '0.000001',
    per: 'unit',
    usage: 'bytes:data',
  });
  const sum: bigint = crc32(0, new Uint8Array(4));
  const later: Promise<any> = (await engine.meterFunction({ library: 'l', symbol: 's', signature: 'void()' }))();
  void [said, sum, later];
  engine[Symbol.dispose]();
  await engine[Symbol.asyncDispose]();

  // @ts-expect-error there is no such durability
  await Farebox.open('x', { durability: 'sometimes' });
  // @ts-expect-error an engine is opened, not made
  new Farebox();
  // @ts-expect-error a payer is text
  await engine.charge(5, { amount: 1 });
  // @ts-expect-error an amount is no object
  await engine.charge('user:ana', { amount: {} });
  // @ts-expect-error there is no such option
  await engine.charge('user:ana', { cost: 1 });
  // @ts-expect-error there is no such meter
  await engine.charge('user:ana', { tool: 't', usage: { wishes: 3 } });
  // @ts-expect-error a batch needs payers
  await engine.chargeMany([{ amount: 1 }]);
  // @ts-expect-error the expiry is needed
  await engine.extend(hold);
  // @ts-expect-error there is no such operation
  await engine.call('no.such', {});
  // @ts-expect-error the operation needs its field
  await engine.call('balance.get');
  // @ts-expect-error the operation has no such field
  await engine.call('balance.get', { account: 'a', colour: 1 });
  // @ts-expect-error atomic units are read only
  receipt.amountUnits = 5n;
  // @ts-expect-error the decimals are text, not numbers
  const wrong: number = receipt.amount;
  // @ts-expect-error a C function has a signature
  await engine.meterFunction({ library: 'l', symbol: 's' });
  // @ts-expect-error C takes no objects
  crc32(0, {});
  // @ts-expect-error a body is bytes
  verifyWebhook('text', {}, 'secret');
  void wrong;
}

function pricingTypes(engine: Farebox): void {
  const search = pricing({ cost: '0.02' })((query: string) => query.length);
  const found: number = search('tides');
  const price: string | { readonly [meter: string]: string } | null = search.farebox.cost;
  const direct = pricing(async (query: string) => query, { cost: (query) => query.length, measure: (r) => r.length });
  const text: Promise<string> = direct('x');
  const stream = pricing({ cost: 1, per: 'unit', units: 'pages' })(function* pages(options: { pages: number }) {
    yield options.pages;
  });
  const generated: Generator<number, void, unknown> = stream({ pages: 3 });
  const foreign = meter((a: number) => ({ isError: a > 1 }), { name: 'foreign', engine, payer: 'user:ana' });
  const answer: boolean = callId('call_1', () => foreign(1)).isError;
  recordUsage({ inputTokens: 812, outputTokens: 93n });
  recordUsage('1.5');
  recordUsage({ inputTokens: null, units: { toJSON: () => '0.5' } }, { tool: 'other' });
  recordUsage(null);
  recordAmount('0.25', { payee: 'dev:eve', description: 'postage' });
  const complete = pricing({
    cost: { input_token: '0.000003', output_token: '0.000015' },
    skill: 'models',
    maxCost: '0.10',
    releaseUnreported: true,
  })(async (prompt: string) => prompt);
  const rated = meter(async (request: { model: string }) => request, {
    name: 'chat',
    rates: 'llm',
    model: (request) => request.model,
    chargeAfterwards: true,
  });
  const payment = engine.paying('user:ana', { run: 'run-1' });
  const last: string | undefined = payment.receipt?.shortfall;
  const all: number = payment.receipts.filter((one) => one.unreported || one.released).length;
  void [complete, rated, last, all];
  const tokens: number = estimateTokens('a', ['b']);
  void [found, price, text, generated, answer, tokens];

  // @ts-expect-error the metered function keeps its arguments
  search(5);
  // @ts-expect-error there is no such option
  pricing({ price: '0.02' });
  // @ts-expect-error only functions are metered
  pricing({ cost: 1 })('text');
  // @ts-expect-error the cost function takes the tool's arguments
  pricing(async (query: string) => query, { cost: (query: number) => query });
  // @ts-expect-error a usage has known meters
  recordUsage({ wishes: 1 });
  // @ts-expect-error a usage is no flag
  recordUsage(true);
  // @ts-expect-error what goes beyond the hold is no choice any more
  pricing({ cost: 1, overCapture: 'cap' });
}

class Skill {
  factor = 2;

  @pricing({ cost: '0.01', name: 'twice' })
  twice(value: number): number {
    return this.factor * value;
  }

  @pricing({ cost: '0.01' })
  async later(value: number): Promise<number> {
    return value;
  }

  @pricing
  listed(): void {}
}

function errorTypes(error: unknown): string {
  if (error instanceof PaymentRefused) return String(error.constraint.limit);
  if (error instanceof FareboxError) {
    const code: StatusName | 'UNKNOWN' = error.code;
    // @ts-expect-error no status has this name
    if (error.code === 'NO_SUCH_STATUS') return code;
    return error.field;
  }
  return '';
}

void [engineTypes, pricingTypes, Skill, errorTypes];
