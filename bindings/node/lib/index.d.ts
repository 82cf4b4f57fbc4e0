/**
 * Farebox: the payment engine that lives inside an agent runtime.
 *
 * Each verb of an engine has two forms: the plain name gives a promise and works off the event loop, `...Sync` blocks.
 * These types stand alone; they need neither `@types/node` nor a library beyond ES2020.
 */

import type { Operations } from './operations';
import type { StatusName } from './statuses';

export type { Operations } from './operations';
export type { Status, StatusFamily, StatusName } from './statuses';
export { STATUSES } from './statuses';

declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
    readonly asyncDispose: unique symbol;
  }
}

/**
 * An amount of money: decimal text such as `'0.02'`, a number, which counts as the digits that JavaScript prints and
 * never as its binary value, or a BigInt of atomic units.
 */
export type Money = string | number | bigint;

/** A count of a meter: whole, except `units`, which may have six digits after the point. A BigInt is a whole count. */
export type Quantity = number | string | bigint;

/**
 * What a metered call used: as `Usage`, of any number of digits, which are rounded once, when the call ends. `null` and
 * `undefined` are not given. Decimals of other libraries count by their `toJSON`.
 */
export type RecordedUsage =
  | Quantity
  | DecimalLike
  | null
  | undefined
  | { readonly [meter in MeterName]?: Quantity | DecimalLike | null };

/** A decimal of another library. */
export interface DecimalLike {
  /** The number, or its text. */
  toJSON(): string | number;
}

/** The meters that a price may charge for; `value` is an amount of money that a percentage applies to. */
export type MeterName =
  | 'requests'
  | 'units'
  | 'inputTokens'
  | 'outputTokens'
  | 'cacheReadTokens'
  | 'cacheWriteTokens'
  | 'reasoningTokens'
  | 'inputAudioTokens'
  | 'outputAudioTokens'
  | 'images'
  | 'value';

/** What a call used: counts by meter, or a single number of `units`. */
export type Usage = Quantity | { readonly [meter in MeterName]?: Quantity | null };

/** A time: a Date, or whole microseconds since 1970. */
export type Time = Date | number | bigint;

/**
 * When a receipt is returned: `full` after fsync, `normal` after commit, `relaxed` before commit (only where this
 * process holds the ledger alone).
 */
export type Durability = 'full' | 'normal' | 'relaxed';

/** What a capture beyond the hold does: refuse it, take what is left, or charge the excess like a new charge. */
export type OverCapture = 'reject' | 'cap' | 'overflow';

/** How a ledger is opened. */
export interface OpenOptions {
  /** When a receipt is returned; `full`. */
  durability?: Durability;
  /** The same for reserve and release; `normal`, or `relaxed` where `durability` is. */
  holdDurability?: Durability;
  /** This process holds the ledger alone until it closes it; not on a server. */
  exclusive?: boolean;
  /** Fail with `STORE_NOT_FOUND` rather than make a new ledger. */
  existing?: boolean;
  /** Bound on the memory of idempotency keys, in bytes; 64 MiB. */
  keyMemoryBytes?: number;
  /** How long a call waits for another engine, or for a server to come back, in milliseconds; 10,000. */
  busyTimeoutMs?: number;
  /** The asset of amounts that name none; `USD`. */
  defaultAsset?: string;
  /** The account that earns with metered tools that name no owner. */
  defaultOwner?: string;
  /** Where a payer can add credit; part of the `userMessage` of a refusal that credit would lift. */
  paymentUrl?: string | URLLike;
  /**
   * Replaces the system's clock. It runs inside calls and must not call an engine. As it can run nowhere else, the
   * promise forms of this engine then run on the event loop's thread.
   */
  clock?: () => Time;
}

/** One charge: either a tool with its usage, or an amount. */
export interface ChargeRequest {
  /** The tool whose price applies. */
  tool?: string;
  /** Major units of `asset`, or a BigInt of atomic units; with a tool only where its price is dynamic. */
  amount?: Money;
  /** The asset of `amount` and `maxCost`; the tool's, or the engine's default. */
  asset?: string;
  /** Who an explicit amount is credited to; `platform`. */
  payee?: string;
  /** What the call used; one request. */
  usage?: Usage;
  /** The idempotency key: the same key and request again give the first receipt, `replayed`. */
  key?: string;
  /** The run that the call belongs to, for caps of a run. */
  run?: string;
  /** The id of the call. */
  call?: string;
  /** For people. */
  description?: string;
  /** For programs; kept and returned. */
  metadata?: object;
  /** Refuse a higher price, with `OVER_MAX_COST`. */
  maxCost?: Money;
  /** When the receipt is returned; as the engine was opened. */
  durability?: Durability;
}

/** One item of a batch: a charge, and who pays. */
export interface ChargeManyRequest extends ChargeRequest {
  payer: string;
}

/** One reservation. Held is `amount`, or the price of the expected usage; with `maxCost`, exactly that. */
export interface ReserveRequest extends ChargeRequest {
  /** When the hold expires, in milliseconds from now; 900,000. */
  expiresInMs?: number;
  /** What a capture beyond the hold does; `reject`. */
  overCapture?: OverCapture;
}

/** One capture: `amount` of the hold, the price of `usage`, or all that is left. */
export interface CaptureRequest {
  /** Major units of the hold's asset, or a BigInt of atomic units. */
  amount?: Money;
  /** What the call used, at the price of the reservation. */
  usage?: Usage;
  /** False keeps the rest of the hold open; otherwise it returns to the payer at once. */
  final?: boolean;
  /** The idempotency key. */
  key?: string;
  /** The hold's asset, where the hold is a number and its asset is not the default. */
  asset?: string;
  description?: string;
  metadata?: object;
  durability?: Durability;
}

/** What an increase of a hold may say beside its amount. */
export interface IncreaseOptions {
  /** The idempotency key. */
  key?: string;
  /** The hold's asset, where the hold is a number and its asset is not the default. */
  asset?: string;
  description?: string;
  metadata?: object;
  durability?: Durability;
}

/** How a tool is quoted. */
export interface PriceOptions {
  /** What the call would use; one request. */
  usage?: Usage;
  /** The account whose own price applies. */
  customer?: string;
  /** Caps the total. */
  maxCost?: Money;
  /** The time whose prices apply; now. */
  at?: Time;
}

/** How an account is opened. */
export interface AccountOptions {
  /** `own`, or `parent` where the account above pays, the default below another account. */
  wallet?: 'own' | 'parent';
  /** How far below zero the wallet may go. */
  creditLine?: Money;
  /** The asset of `creditLine`; the default asset. */
  asset?: string;
}

/** What a deposit may say beside its amount. */
export interface DepositOptions {
  /** The asset; the default asset. */
  asset?: string;
  /** The idempotency key. */
  key?: string;
  description?: string;
}

/** A skill's manifest as JSON has it: see `docs/skills.md`. */
export type Manifest = object;

/**
 * Proof of a charge, hold, capture or release. `...Units` are atomic units of `asset`; the texts of the same name are
 * exact decimals in major units, without trailing zeros.
 */
export class Receipt {
  private constructor();
  /** The status of this item of a batch; 0 otherwise. */
  readonly status: number;
  /** The bits that `replayed`, `uncommitted`, `final`, `capped`, `unreported` and `released` read. */
  readonly flags: number;
  /** The number of the record; never 0, unique in the ledger. */
  readonly id: bigint;
  /** The number of the hold, or 0. */
  readonly hold: number;
  readonly amountUnits: bigint;
  readonly holdRemainingUnits: bigint;
  readonly balanceUnits: bigint;
  readonly availableUnits: bigint;
  readonly shortfallUnits: bigint;
  /** Microseconds since 1970. */
  readonly time: bigint;
  /** The price that applied; 0 for an explicit amount. */
  readonly priceVersion: bigint;
  readonly asset: string;
  /** Digits of an atomic unit; null where the engine could no longer be asked, and then only the units are there. */
  readonly scale: number | null;
  /** Whether this item of a batch was charged; always true outside of a batch. */
  get ok(): boolean;
  /** The error of a refused item of a batch, not thrown, or null. */
  get error(): FareboxError | null;
  /** Returns the receipt itself, or throws its error. */
  require(): this;
  /** What was charged, held, captured or returned. */
  get amount(): string;
  /** What is left on the hold. */
  get holdRemaining(): string;
  /** The balance of the paying wallet after this. */
  get balance(): string;
  /** Balance less held money plus credit line, after this. */
  get available(): string;
  /** The time of the transfer, to the millisecond. */
  get at(): Date;
  /** Whether the key was used for the same request before: this is that request's receipt. */
  get replayed(): boolean;
  /** Whether the store does not have it yet (relaxed durability). */
  get uncommitted(): boolean;
  /** Whether a capture closed its hold. */
  get final(): boolean;
  /** Whether the amount is less than the usage's price, because maxCost or the hold bound it. */
  get capped(): boolean;
  /** Whether a metered call reported no usage, so that what was held for it was charged. */
  get unreported(): boolean;
  /** Whether a metered call was charged nothing, and `amount` went back to the payer. */
  get released(): boolean;
  /** The part of a metered call's price that the payer could not pay. */
  get shortfall(): string;
  /** The receipt with its decimals and without BigInts. */
  toJSON(): { [name: string]: string | number | boolean };
}

/** One component of a quote: quantity x rate + flat = amount. */
export class QuoteLine {
  private constructor();
  readonly meter: MeterName;
  /** Index of the tier, or null. */
  readonly tier: number | null;
  /** In the meter's own unit. */
  readonly quantity: string;
  /** Major units for one of it; null where it has more digits than a line can carry. */
  readonly rate: string | null;
  readonly amount: string;
  readonly amountUnits: bigint;
  /** The line without BigInts. */
  toJSON(): { [name: string]: unknown };
}

/** A price applied to a usage, explained line by line. */
export class Quote {
  private constructor();
  readonly tool: string;
  readonly asset: string;
  readonly scale: number | null;
  readonly totalUnits: bigint;
  /** Whether maxCost or the price's own maximum bound the total. */
  readonly capped: boolean;
  readonly priceVersion: bigint;
  /** One line for each component of the price that charged for something. */
  readonly lines: readonly QuoteLine[];
  /** What the usage costs. */
  get total(): string;
  /** The quote without BigInts. */
  toJSON(): { [name: string]: unknown };
}

/** The balance of an account's wallet. */
export class Balance {
  private constructor();
  readonly account: string;
  readonly asset: string;
  readonly scale: number;
  readonly balanceUnits: bigint;
  readonly heldUnits: bigint;
  readonly creditLineUnits: bigint;
  readonly availableUnits: bigint;
  /** The sum of all postings. */
  get balance(): string;
  /** What is in open holds. */
  get held(): string;
  /** How far below zero the wallet may go. */
  get creditLine(): string;
  /** Balance less held money plus credit line. */
  get available(): string;
  /** The balance without BigInts. */
  toJSON(): { [name: string]: string };
}

/** What a tick has done. */
export interface TickResult {
  readonly expiredHolds: number;
  /** Relaxed records made durable. */
  readonly committed: number;
  /** Records moved into sealed indexes. */
  readonly sealed: number;
}

/**
 * Money held for work that is about to run. `using` releases what was not captured; `use` captures at the end.
 * The engine decides between two callers that close the same hold.
 */
export class Hold {
  private constructor();
  /** The receipt of the reservation. */
  readonly receipt: Receipt;
  /** The number of the hold. */
  readonly id: number;
  readonly asset: string;
  /** Whether it was captured for good, or released, through this object. */
  readonly closed: boolean;
  /** Adds to the hold, as `Farebox.increase`. */
  increase(amount: Money, options?: IncreaseOptions): Promise<Receipt>;
  /** Adds to the hold, as `Farebox.increaseSync`. */
  increaseSync(amount: Money, options?: IncreaseOptions): Receipt;
  /** What was held, with what was added through this object, in major units of `asset`. */
  get amount(): string;
  /** The same, in atomic units. */
  get amountUnits(): bigint;
  /** Charges the hold, as `Farebox.capture`. */
  capture(request?: CaptureRequest): Promise<Receipt>;
  /** Charges the hold, as `Farebox.captureSync`. */
  captureSync(request?: CaptureRequest): Receipt;
  /** Returns what is left to the payer. */
  release(): Promise<Receipt>;
  /** Returns what is left to the payer. */
  releaseSync(): Receipt;
  /** Moves the expiry to a time from now, in milliseconds. */
  extend(expiresInMs: number): Promise<Receipt>;
  /** Moves the expiry to a time from now, in milliseconds. */
  extendSync(expiresInMs: number): Receipt;
  /**
   * Runs work that the hold pays for. When it ends the hold is captured, unless it was captured in part, in which case
   * the rest is released; when it throws the hold is released.
   */
  use<T>(work: (hold: Hold) => T | PromiseLike<T>): Promise<T>;
  /** The same for work that gives no promise. */
  useSync<T>(work: (hold: Hold) => T): T;
  /** Releases what was not captured. */
  [Symbol.dispose](): void;
  /** Releases what was not captured. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Header names and values: an object such as `request.headers`, a `Headers`, a `Map`, a list of pairs, or
 * `request.rawHeaders`. Names match in any case.
 */
export type WebhookHeaders =
  | { readonly [name: string]: string | readonly string[] | Uint8Array | null | undefined }
  | { entries(): IterableIterator<[string, string]> }
  | ReadonlyArray<readonly [string | Uint8Array, string | Uint8Array]>
  | readonly string[];

/** One secret or several, any of which may match; strings as the sender's dashboard shows them. */
export type Secrets = string | Uint8Array | ReadonlyArray<string | Uint8Array>;

/** How a price list is imported. */
export interface RatesOptions {
  /** The card's name; that of the format where absent. */
  name?: string;
  /** Where the list comes from, for people. */
  source?: string;
  /** Only report what could not be imported. */
  dryRun?: boolean;
}

/** How a webhook is verified. */
export interface WebhookOptions {
  /**
   * Without it the first of webhook-signature or svix-signature, Stripe-Signature and X-Robutler-Signature that is there
   * decides.
   */
  scheme?: 'standard' | 'stripe' | 'robutler';
  /** How old a webhook may be, in seconds; 300. Null switches the check off. */
  tolerance?: number | null;
  /** The time at which the age is told; now. */
  now?: Time;
}

/** How a webhook is verified with the replay guard of a ledger. */
export interface EngineWebhookOptions extends WebhookOptions {
  /** The event's id, where no header carries it (Stripe and Robutler). */
  eventId?: string;
  /**
   * Whose ids are compared, so that two senders may use one id. Without it, the webhooks tried with any of the same
   * secrets are one sender's.
   */
  sender?: string;
}

/** For whom and for what the calls inside `Farebox.paying` are. */
export interface PayingOptions {
  /** The run that the calls belong to. */
  run?: string;
  /** Called with the receipt of each call that was charged, once for each charge. */
  onReceipt?: (receipt: Receipt) => void;
}

/**
 * Who pays for metered calls, in which run; made by `Farebox.paying`. It may be entered any number of times, also while
 * it is entered already, nested in others or side by side with them.
 */
export class Payment {
  private constructor();
  readonly engine: Farebox;
  readonly payer: string;
  readonly run: string | undefined;
  readonly onReceipt: ((receipt: Receipt) => void) | undefined;
  /** The receipts of the last 100 calls that this payment was charged for, the newest last. */
  get receipts(): Receipt[];
  /** The newest of them, or null. */
  get receipt(): Receipt | null;
  /** Runs a function whose metered calls this payment pays for, also those in what it awaits; gives its result. */
  enter<A extends unknown[], T>(work: (...args: A) => T, ...args: A): T;
  /** The payer and the run. */
  toJSON(): { payer: string; run?: string };
}

/**
 * An open ledger.
 *
 * Close it; what was not closed is closed when it is collected and when its thread ends. An engine belongs to the
 * thread that opened it; several workers, and several processes, each open their own on one ledger.
 *
 * Every method may throw, or reject with, `HandleError` once the engine is closed, `RequestError` for a wrong request
 * and `StoreError`; what else is said below.
 */
export class Farebox {
  private constructor();

  /**
   * Opens the ledger at a path or URL: a path, `sqlite:PATH`, a `file:` URL object, `postgresql://...` for a ledger on a
   * server, or `memory:` for one that lives as long as the engine. The default is `farebox.db`. With `existing`, a ledger
   * that can only be read opens for reading.
   */
  static open(url?: string | URLLike, options?: OpenOptions): Promise<Farebox>;
  /** The same, blocking. */
  static openSync(url?: string | URLLike, options?: OpenOptions): Farebox;

  /** The address of the ledger, without a password. */
  readonly url: string;
  /** The asset of amounts that name none. */
  readonly defaultAsset: string;
  /** The account that earns with metered tools that name no owner. */
  readonly defaultOwner: string | null;
  /** Whether it was closed. */
  get closed(): boolean;
  /** Makes a structured clone of an engine an error; open the ledger again in the other thread. */
  readonly uncloneable: symbol;
  /** What may be logged of an engine. */
  toJSON(): { url: string; defaultAsset: string; defaultOwner: string | null; closed: boolean };

  /** Waits for the charges that were issued, commits what is relaxed and closes; closing again does nothing. */
  close(): Promise<void>;
  /** Commits what is relaxed and closes at once; charges that still wait for their batch are refused with `CLOSED`. */
  closeSync(): void;
  /** As `closeSync`. */
  [Symbol.dispose](): void;
  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void>;

  /**
   * Charges a payer at once: price, limits, transfer and split in one atomic step.
   *
   * Charges that are issued in one turn of the event loop, or while others are on their way, share one commit; each
   * stands or falls alone, and they are carried out in the order in which they were issued.
   *
   * Errors: StateError, PaymentRefused, KeyConflict.
   */
  charge(payer: string, request: ChargeRequest): Promise<Receipt>;
  /** The same, blocking; it does not wait for promises of charges that are on their way. */
  chargeSync(payer: string, request: ChargeRequest): Receipt;

  /**
   * Charges many in one commit; each stands or falls alone, and its receipt's `error` says why. A request that cannot be
   * encoded is refused like any other, and the rest is charged.
   *
   * Errors: only those of the batch as a whole, and then nothing was charged.
   */
  chargeMany(requests: Iterable<ChargeManyRequest>): Promise<Receipt[]>;
  /** The same, blocking. */
  chargeManySync(requests: Iterable<ChargeManyRequest>): Receipt[];

  /** Holds money for work that is about to run. Errors: as `charge`. */
  reserve(payer: string, request: ReserveRequest): Promise<Hold>;
  /** The same, blocking. */
  reserveSync(payer: string, request: ReserveRequest): Hold;

  /**
   * Adds to an open hold: all of the amount is held, or nothing more. The receipt's amount is what was added.
   *
   * Errors: HoldError, StateError, PaymentRefused, KeyConflict.
   */
  increase(hold: Hold | number | bigint, amount: Money, options?: IncreaseOptions): Promise<Receipt>;
  /** The same, blocking. */
  increaseSync(hold: Hold | number | bigint, amount: Money, options?: IncreaseOptions): Receipt;

  /**
   * Charges a hold; unless `final` is false the remainder returns to the payer at once.
   *
   * Errors: HoldError, KeyConflict, PaymentRefused (over-capture `overflow` only).
   */
  capture(hold: Hold | number | bigint, request?: CaptureRequest): Promise<Receipt>;
  /** The same, blocking. */
  captureSync(hold: Hold | number | bigint, request?: CaptureRequest): Receipt;

  /** Returns what is left of a hold to the payer. Errors: HoldError. */
  release(hold: Hold | number | bigint): Promise<Receipt>;
  /** The same, blocking. */
  releaseSync(hold: Hold | number | bigint): Receipt;

  /** Moves the expiry of an open hold to a time from now, in milliseconds. Errors: HoldError. */
  extend(hold: Hold | number | bigint, expiresInMs: number): Promise<Receipt>;
  /** The same, blocking. */
  extendSync(hold: Hold | number | bigint, expiresInMs: number): Receipt;

  /** Quotes a tool for a usage, without touching the ledger. Errors: StateError, PaymentRefused `UNPRICEABLE`. */
  priceTool(tool: string, options?: PriceOptions): Promise<Quote>;
  /** The same, blocking: it is answered from memory. */
  priceToolSync(tool: string, options?: PriceOptions): Quote;

  /** Reads the balance of an account's wallet now; the default asset unless another is named. Errors: StateError. */
  balance(account: string, asset?: string): Promise<Balance>;
  /** The same, blocking. */
  balanceSync(account: string, asset?: string): Balance;

  /** Does what is due: expires holds, commits relaxed records, seals indexes. It need never be called. */
  tick(): Promise<TickResult>;
  /** The same, blocking. */
  tickSync(): TickResult;

  /** Opens an account; on the same terms again it changes nothing. Errors: StateError. */
  openAccount(account: string, options?: AccountOptions): Promise<Operations['account.open']['output']>;
  /** The same, blocking. */
  openAccountSync(account: string, options?: AccountOptions): Operations['account.open']['output'];

  /** Puts money from outside into an account. Errors: StateError, KeyConflict. */
  deposit(
    account: string,
    amount: Money,
    options?: DepositOptions,
  ): Promise<Operations['account.deposit']['output']>;
  /** The same, blocking. */
  depositSync(account: string, amount: Money, options?: DepositOptions): Operations['account.deposit']['output'];

  /** Adds up what a run cost: what was charged less what was refunded, and how much each tool took. */
  runCost(run: string, options?: RunCostOptions): Promise<Operations['run.cost']['output']>;
  /** The same, blocking. */
  runCostSync(run: string, options?: RunCostOptions): Operations['run.cost']['output'];

  /**
   * Registers a skill and the prices of its tools, from a manifest or the path of a JSON manifest, whose numbers count
   * as the digits typed. The same manifest again changes nothing. Errors: StateError `SKILL_EXISTS`.
   */
  registerSkill(manifest: Manifest | string | URLLike): Promise<Operations['skill.register']['output']>;
  /** The same, blocking. */
  registerSkillSync(manifest: Manifest | string | URLLike): Operations['skill.register']['output'];

  /**
   * Publishes the rates of another project's price list as a rate card, and returns what could not be imported. `data`
   * is a path, JSON as a Uint8Array, or a value. Errors: RequestError for a list that cannot be read.
   */
  importRates(
    format: 'genai-prices' | 'litellm',
    data: string | URLLike | Uint8Array | object,
    options?: RatesOptions,
  ): Promise<Operations['rate_card.import']['output']>;
  /** The same, blocking. */
  importRatesSync(
    format: 'genai-prices' | 'litellm',
    data: string | URLLike | Uint8Array | object,
    options?: RatesOptions,
  ): Operations['rate_card.import']['output'];

  /**
   * Verifies a webhook as the function `verifyWebhook` does, and refuses one that this ledger has seen before.
   * Errors: WebhookError, `WEBHOOK_REPLAYED` among them.
   */
  verifyWebhook(
    body: Uint8Array,
    headers: WebhookHeaders,
    secrets: Secrets,
    options?: EngineWebhookOptions,
  ): Promise<void>;
  /** The same, blocking. */
  verifyWebhookSync(
    body: Uint8Array,
    headers: WebhookHeaders,
    secrets: Secrets,
    options?: EngineWebhookOptions,
  ): void;

  /**
   * Runs a tool that a plugin offers: quotes, reserves, runs, captures what it used. Where it fails, crashes or passes
   * its deadline the payer pays nothing. A repeat with the same key runs the tool again and charges once.
   *
   * Errors: StateError, PaymentRefused, HoldError, KeyConflict, PluginError; InternalError `UNSUPPORTED` where the
   * library was built without plugins.
   */
  callTool(payer: string | null, tool: string, input?: object, options?: ToolOptions): Promise<ToolResult>;
  /** The same, blocking. */
  callToolSync(payer: string | null, tool: string, input?: object, options?: ToolOptions): ToolResult;

  /**
   * Meters a function of a C library: registers its price, as `pricing` does, and gives a function that quotes,
   * reserves, calls and captures, off the event loop. Nothing can check that a signature is true: a false one ends the
   * process, or worse.
   *
   * Errors: RequestError for what cannot be read and for a library or symbol that there is not; InternalError
   * `UNSUPPORTED` for a signature with a `pointer`, and where the library was built without this.
   */
  meterFunction<A extends CValue[] = CValue[], R = any>(
    options: MeterFunctionOptions<A>,
  ): Promise<Metered<(...args: A) => Promise<R>>>;
  /** The same, blocking, and so is the function that it gives. */
  meterFunctionSync<A extends CValue[] = CValue[], R = any>(
    options: MeterFunctionOptions<A>,
  ): Metered<(...args: A) => R>;

  /**
   * Carries out any operation by name; `describe()` and `docs/operations.md` list them. Names of fields are those of
   * the JSON, as in `max_cost`. Amounts are decimal text both ways, a BigInt is the integer that it is, a Date becomes
   * microseconds since 1970, and an integer of the answer that a number cannot hold exactly is a BigInt.
   *
   * Errors: those of the operation.
   */
  call<K extends keyof Operations>(
    operation: K,
    ...fields: {} extends Operations[K]['input'] ? [Operations[K]['input']?] : [Operations[K]['input']]
  ): Promise<Operations[K]['output']>;
  /** The same, blocking. */
  callSync<K extends keyof Operations>(
    operation: K,
    ...fields: {} extends Operations[K]['input'] ? [Operations[K]['input']?] : [Operations[K]['input']]
  ): Operations[K]['output'];

  /**
   * Runs a function and pays for the metered calls in it, also for those in what it awaits; gives its result. Without a
   * function it gives a payment to enter later, any number of times.
   */
  paying<T>(payer: string, work: () => T): T;
  paying<T>(payer: string, options: PayingOptions | undefined, work: () => T): T;
  paying(payer: string, options?: PayingOptions): Payment;
}

/** Which part of a run is added up. */
export interface RunCostOptions {
  /** Only what this account was charged. */
  payer?: string;
  /** Only the call of this id. */
  call?: string;
  /** Only this asset. */
  asset?: string;
  /** Nothing before this time. */
  from?: Time;
}

/** How a tool of a plugin is called. */
export interface ToolOptions {
  /** The idempotency key. */
  key?: string;
  /** The run that the call belongs to. */
  run?: string;
  /** The id of the call. */
  call?: string;
  /** Hold this, and charge no more. */
  maxCost?: Money;
  /** Give up after this, in milliseconds; the plugin's own deadline. */
  deadlineMs?: number;
  /** When the capture's receipt is returned. */
  durability?: Durability;
  /** Run it at the host's own cost: no payer, no receipt, nothing in the ledger. */
  uncharged?: boolean;
}

/** What a tool of a plugin gave. */
export class ToolResult {
  private constructor();
  /** The bytes, a Buffer. */
  readonly output: Uint8Array;
  /** The receipt of the capture; null where nothing was charged. */
  readonly receipt: Receipt | null;
  /** The output as UTF-8. */
  get text(): string;
  /** The output as JSON. */
  json(): any;
}

/**
 * An argument of a C function: a number or BigInt for an integer, which must fit, a number for a double, a string
 * without NUL, a Uint8Array for `bytes`, which is copied, and for `out` how many bytes may be written.
 */
export type CValue = number | bigint | string | Uint8Array;

/**
 * A C function and what its calls cost. Its result is a number, a BigInt where it has 64 bits, or text; where the
 * signature has an `out` it is `{ result, output }`, whose `output` is what was written.
 */
export interface MeterFunctionOptions<A extends CValue[] = CValue[]>
  extends Pick<
    PricingOptions,
    'currency' | 'per' | 'maxCost' | 'revenueShare' | 'owner' | 'description' | 'category' | 'name' | 'durability'
  > {
  /** A name that the system's loader finds, such as `libz.so.1`, or a path. It stays loaded. */
  library: string;
  symbol: string;
  /** As in `farebox.h`: `u64(u64 crc, bytes:u32 data)`. */
  signature: string;
  /** The price of one `per`; without it the price that a manifest registered under the tool's name. */
  cost?: string | number;
  /** Where the units come from: `bytes:NAME`, the bytes of a parameter; `value:NAME`, its number; else one request. */
  usage?: string;
  /** Which results mean that the call failed, and release the hold: absent, none. */
  failure?: 'negative' | 'nonzero' | 'zero';
  /** Who pays: an account, or a function of the arguments; the context says it otherwise. */
  payer?: string | ((...args: A) => string);
}

/** What plugins a process may load, as `docs/plugins.md` has it. */
export type PluginPolicy = object;

/** A WHATWG URL, as far as it is needed. */
export interface URLLike {
  readonly href: string;
}

/** What `pricing` may say of a tool. `A` are the tool's arguments, `R` is its result, awaited. */
export interface PricingOptions<A extends unknown[] = any[], R = any> {
  /**
   * The price of one `per`; or a function of the tool's arguments that gives the amount of each call; or the prices of
   * several meters, as in `{ input_token: '0.000003', output_token: '0.000015' }`. Without it the price is what a
   * manifest registered under the tool's name, or that of `rates`.
   */
  cost?: string | number | ((...args: A) => Money) | { readonly [meter: string]: string | number };
  /** The asset of every amount here; `USD`. */
  currency?: string;
  /**
   * `request` (the default), `token`, `character`, `unit`, a meter such as `image` or `output_token`, or the name of a
   * unit of your own.
   */
  per?: string;
  /** A rate card: the price is the one that it has for the call's `model`. */
  rates?: string;
  /**
   * Which model a call of a tool with `rates` uses: a field of the tool's first argument, or a function of its
   * arguments. Without it the result says it, as `model` or `modelId`; then give `maxCost`.
   */
  model?: string | ((...args: A) => string);
  /**
   * Estimates the usage before the call: a field of the tool's first argument (a number, also as text, or text or a
   * collection to measure), or a function of its arguments.
   */
  units?: string | ((...args: A) => RecordedUsage);
  /** No call costs more. A price by usage holds exactly this while the tool runs. */
  maxCost?: string | number;
  /** The part of the price that the owner receives, as in `'0.70'`; the rest is the platform's. */
  revenueShare?: string | number;
  /** The account that receives it; the engine's `defaultOwner`. */
  owner?: string;
  description?: string;
  category?: string;
  /** The tool's name; the function's. */
  name?: string;
  /** The skill that the tool belongs to; `node.` and the tool's name. */
  skill?: string;
  /** Who pays: an account, or a function of the tool's arguments; the context says it otherwise. */
  payer?: string | ((...args: A) => string);
  /** The engine, or a function that gives it; the context says it otherwise. */
  engine?: Farebox | (() => Farebox);
  /** What the call really used, told by the result; asked where the tool recorded nothing. */
  measure?: (result: R) => RecordedUsage;
  /** Whether the result is a failure, which costs nothing; `isFailedResult`. */
  failed?: (result: R) => boolean;
  /** When the hold expires, in milliseconds; 900,000. */
  holdMs?: number;
  /** When the charge's receipt is returned; the hold has the engine's `holdDurability`. */
  durability?: Durability;
  /**
   * Runs a tool priced by usage though nothing says before the call what it may cost, and charges afterwards what the
   * payer can pay then.
   */
  chargeAfterwards?: boolean;
  /** A call whose usage is never reported costs nothing, instead of what was held for it. */
  releaseUnreported?: boolean;
}

/** What a metered function says about its price; money is exact decimal text in major units of `currency`. */
export interface ToolPricing {
  readonly tool: string;
  /** The price of one `per`, or of each meter. */
  readonly cost: string | { readonly [meter: string]: string } | null;
  readonly currency: string;
  /** Null where each meter has its own price. */
  readonly per: string | null;
  readonly maxCost: string | null;
  readonly description: string | null;
  readonly category: string | null;
  readonly revenueShare: string | null;
  readonly owner: string | null;
  /** Whether a function gives the price of each call. */
  readonly dynamic: boolean;
}

/** A metered function: the function's own type, and what it says about its price. */
export type Metered<F> = F & { readonly farebox: ToolPricing };

/** The context of a standard decorator, as far as it is needed. */
export interface DecoratorContext {
  readonly kind: string;
  readonly name: string | symbol;
}

type AnyFunction = (this: any, ...args: any[]) => any;

/** What `pricing(options)` gives: it wraps a function, and decorates a method or field, by either kind of decorator. */
export interface PricingDecorator {
  <F extends AnyFunction>(fn: F): Metered<F>;
  <F extends AnyFunction>(method: F, context: DecoratorContext & { readonly kind: 'method' }): F;
  <F extends AnyFunction>(
    field: undefined,
    context: DecoratorContext & { readonly kind: 'field' },
  ): (initial: F) => Metered<F>;
  <F extends AnyFunction>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<F>,
  ): TypedPropertyDescriptor<F>;
}

/**
 * Declares what a tool costs, and meters its calls: the price is held before a call, and charged when it ends.
 *
 * Works on plain and async functions, generators and async generators; kind, name and length stay. Async functions use
 * the promise forms of the engine, all others the blocking ones. A refused call throws PaymentRefused before the
 * function runs, and a call that nobody pays for is an error. The tool is registered on its first call.
 *
 * A call that fails, or whose result says that it failed, costs nothing. A result that is a stream (an iterator, an
 * async iterator, a Readable, a ReadableStream, or a promise of one) is metered to its end: the wrapper delivers the same
 * items. `docs/metered-calls.md` has the table of what each ending costs.
 *
 * Errors: RequestError at once for what cannot be read; RequestError, PaymentRefused, StateError, StoreError at a call.
 */
export function pricing<F extends AnyFunction>(
  fn: F,
  options?: PricingOptions<Parameters<F>, Awaited<ReturnType<F>>>,
): Metered<F>;
export function pricing<F extends AnyFunction>(method: F, context: DecoratorContext & { readonly kind: 'method' }): F;
export function pricing<F extends AnyFunction>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<F>,
): TypedPropertyDescriptor<F>;
export function pricing(options: PricingOptions): PricingDecorator;

/** Meters a tool written by others: the same as `pricing(fn, options)`. */
export function meter<F extends AnyFunction>(
  fn: F,
  options?: PricingOptions<Parameters<F>, Awaited<ReturnType<F>>>,
): Metered<F>;

/** Whether a tool's result says that it failed, as MCP results do with `isError` or `is_error`, also in a Map. */
export function isFailedResult(result: unknown): boolean;

/**
 * Names the tool call inside `work` by the id that the framework or model gave it, and gives the work's result.
 *
 * The idempotency key of a call follows from payer, run, id, tool and arguments: the same call is charged once, however
 * often it is tried. Metered calls inside the named one are told apart by tool, arguments and number. An id may have any
 * length; an empty one is refused.
 */
export function callId<A extends unknown[], T>(id: string, work: (...args: A) => T, ...args: A): T;

/** What `recordUsage` may say beside the usage. */
export interface UsageOptions {
  /** The tool whose price applies; the running one. */
  tool?: string;
  description?: string;
}

/** What `recordAmount` may say beside the amount. */
export interface AmountOptions {
  /** A tool with a dynamic price, whose owner earns the amount. */
  tool?: string;
  /** The account that earns it; `platform`. */
  payee?: string;
  description?: string;
}

/**
 * Records what the running metered call really used, which is charged instead of the estimate. Records add up, and null
 * is not given. With `tool` the usage is charged at the price of another tool, as a line of the same receipt.
 *
 * Usage that cannot be read is refused here. Outside of a metered call the usage is charged to nobody, and the process
 * warns.
 */
export function recordUsage(usage: RecordedUsage, options?: UsageOptions): void;

/** Records an amount that the running metered call costs beside its usage, as a line of its receipt. */
export function recordAmount(amount: Money, options?: AmountOptions): void;

/**
 * Estimates the tokens of a call's input: the bytes of all text in its arguments as UTF-8, over four, rounded up. Text is
 * a string, a typed array or a buffer, at any depth of arrays, sets, maps and objects of any class (by their `toJSON`, or
 * their fields and getters). The names in an object of arguments are not counted. What can be read only once or later,
 * such as a stream or a promise, is refused.
 */
export function estimateTokens(...args: unknown[]): number;

/**
 * Writes an id of another system so that it can be a segment of an account's name: `/` as `%2F`, for example. Slashes,
 * percent signs and control characters are escaped; an id without them needs no escaping, whatever else it holds.
 * Errors: RequestError for an empty id, or one that is too long.
 */
export function escapeAccount(id: string): string;

/**
 * Gives back the id that `escapeAccount` wrote.
 * Errors: RequestError for a text that `escapeAccount` does not write.
 */
export function unescapeAccount(name: string): string;

/**
 * Verifies the signature and age of a webhook; if it returns, the body may be trusted. It does not block for long and
 * has no promise form, so that a forgotten `await` cannot let a forged webhook through.
 *
 * `body` is the raw bytes as received. A Robutler signature carries no time: use `Farebox.verifyWebhook`, which
 * remembers ids.
 *
 * Errors: WebhookError with the reason, RequestError for arguments of a wrong type or size.
 */
export function verifyWebhook(
  body: Uint8Array,
  headers: WebhookHeaders,
  secrets: Secrets,
  options?: WebhookOptions,
): void;

/**
 * Says what plugins this process may load; until it is called nothing is loaded. It may be called again to allow less.
 *
 * Errors: RequestError; PluginError `PLUGIN_POLICY` for what would allow more than before; InternalError `UNSUPPORTED`.
 */
export function setPluginPolicy(policy: PluginPolicy): void;

/** What `describe` tells of a field. */
export interface DescribedField {
  readonly name: string;
  readonly type: 'amount' | 'text' | 'integer' | 'flag' | 'list' | 'object' | 'any';
  readonly required: boolean;
  readonly doc: string;
}

/** What `describe` tells of an operation. */
export interface DescribedOperation {
  readonly name: keyof Operations;
  readonly doc: string;
  readonly input: readonly DescribedField[];
  readonly output: readonly DescribedField[];
  readonly errors: readonly StatusName[];
}

/** What `describe` tells. */
export interface Description {
  readonly version: string;
  readonly statuses: ReadonlyArray<{ code: number; name: StatusName; family: string; retryable: boolean; doc: string }>;
  readonly limits: { readonly [name: string]: number };
  readonly operations: readonly DescribedOperation[];
}

/** Describes the library: version, statuses, limits, and each operation with its fields, errors and a doc line. */
export function describe(): Description;

/** Returns the absolute path of the library that is loaded, loading it on the first call. */
export function libraryPath(): string;

/** What an error of this package may say beside its code and message. */
export interface ErrorOptions {
  field?: string;
  retryable?: boolean;
  details?: { [name: string]: unknown };
  /** Of a refusal, the sentence for a model or an end user; that of its status where it is absent. */
  userMessage?: string;
}

/** A call was not carried out; the subclass says what a caller can do about it. */
export class FareboxError extends Error {
  constructor(code: StatusName, message?: string, options?: ErrorOptions);
  /** The reason, such as `INSUFFICIENT_FUNDS`. It never changes meaning. */
  readonly code: StatusName | 'UNKNOWN';
  /** The number of the reason. */
  readonly number: number;
  /** The path of the input to blame, or `''`. */
  readonly field: string;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** The facts. */
  readonly details: { readonly [name: string]: unknown };
  /**
   * Of a `PaymentRefused`, a sentence that a model or an end user may read: which tool, that it was not run or paid for,
   * and what to do. It has no amounts, account names or ids. `''` of every other error.
   */
  readonly userMessage: string;
}

/** The request is wrong as it stands: change it. */
export class RequestError extends FareboxError {}

/** The engine is closed, or was called back from its own callback. */
export class HandleError extends FareboxError {}

/** The account, asset, tool or transfer named does not exist, or is not in a state that allows this. */
export class StateError extends FareboxError {}

/**
 * An expected "no": a payer, a wallet, a budget, a limit or a price stood against it, and nothing was moved. Give a model
 * its `userMessage` and not its `message`, which has the facts for the operator.
 */
export class PaymentRefused extends FareboxError {
  /**
   * The binding constraint: its kind, limit, what is spent, and what is held and by whom. Amounts are decimal text;
   * empty where the engine gave no facts.
   */
  get constraint(): { readonly [name: string]: unknown };
}

/**
 * The payer is unknown, frozen or closed, or may not use the tool: a refusal. It is also an `instanceof StateError`.
 */
export class PayerRefused extends PaymentRefused {}

/** The hold is captured, released or expired, or the capture is more than is left of it. */
export class HoldError extends FareboxError {}

/** The idempotency key was used for another request; `field` names the first difference. */
export class KeyConflict extends FareboxError {}

/** The webhook must not be trusted. */
export class WebhookError extends FareboxError {}

/**
 * The store could not do it. After `STORE_OUTCOME_UNKNOWN` and `STORE_UNTRUSTED` the call may have happened: repeat it
 * with its key, after the latter on an engine that is opened anew.
 */
export class StoreError extends FareboxError {}

/** A plugin could not be loaded, or its call did not succeed; where a call was made, its payer was charged nothing. */
export class PluginError extends FareboxError {}

/** A fault of the library's own, or of the machine. */
export class InternalError extends FareboxError {}
