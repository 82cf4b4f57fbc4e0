'use strict';

/* Metered C functions: what `Farebox.meterFunction` gives.
 *
 * The library meters the pointer; here arguments become C values and results become JavaScript's. A signature is that of
 * farebox.h; `pointer` is left out, for a wrong address would end the process. */

const { canonical } = require('./canonical');
const { Payment, ordinalOf, storage } = require('./context');
const { refuse } = require('./errors');
const { Meter, missingPayer } = require('./metering');
const { durabilityOf, givenFlags, optionsOf } = require('./requests');
const { toUnits } = require('./money');

const PRICE = ['cost', 'currency', 'per', 'maxCost', 'revenueShare', 'owner', 'description', 'category', 'name'];
const OPTIONS = new Set([...PRICE, 'library', 'symbol', 'signature', 'usage', 'failure', 'payer', 'durability']);
const KINDS = { number: 0, string: 1, bytes: 2, out: 3 };
const INTEGERS = { i8: 8, i16: 16, i32: 32, i64: 64, u8: 8, u16: 16, u32: 32, u64: 64 };
const SIGNATURE = /^\s*(\w+)\s*\((.*)\)\s*$/s;
const HEAD_SIZE = 2;
const ARGUMENT_SIZE = 3;

const wrong = (message, field = 'arguments') => refuse('INVALID_ARGUMENT', message, field);

/** Reads a signature as far as values must be told apart; the engine reads it in full. */
function signatureOf(text) {
  const parts = typeof text === 'string' ? SIGNATURE.exec(text) : null;
  if (parts === null) throw wrong("A signature is such as 'u64(u64 crc, bytes:u32 data)'.", 'signature');
  const [, result, list] = parts;
  const parameters = list.trim() === '' ? [] : list.split(',').map((one) => /^\s*(\w*)/.exec(one)[1]);
  if ([result, ...parameters].includes('pointer')) {
    throw refuse('UNSUPPORTED', 'A pointer has no safe form in JavaScript.', 'signature');
  }
  return { result, parameters };
}

/** Writes one argument as its kind, its integer and the bits of its double; a text goes to `texts`. */
function writeArgument(type, value, at, numbers, doubles, texts) {
  if (type === 'bytes') {
    if (!(value instanceof Uint8Array)) throw wrong('Bytes are a Uint8Array.');
    numbers[at] = BigInt(KINDS.bytes);
    texts.push(value);
  } else if (type === 'string') {
    if (typeof value !== 'string' || value.includes('\0')) throw wrong('A string is one without NUL.');
    numbers[at] = BigInt(KINDS.string);
    texts.push(value);
  } else if (type === 'out') {
    if (!Number.isSafeInteger(value) || value < 0) throw wrong('For what is written, give how many bytes may be.');
    numbers[at] = BigInt(KINDS.out);
    numbers[at + 1] = BigInt(value);
  } else if (type === 'double') {
    if (typeof value !== 'number') throw wrong('A double is a number.');
    doubles[at + 2] = value;
  } else {
    numbers[at + 1] = integerOf(type, value);
  }
}

/** Reads an integer of a C type; what does not fit is refused and never cut. */
function integerOf(type, value) {
  const bits = INTEGERS[type];
  const number = Number.isSafeInteger(value) ? BigInt(value) : value;
  if (bits === undefined || typeof number !== 'bigint') throw wrong('An integer is a whole number or a BigInt.');
  const fits = type.startsWith('i') ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number);
  if (fits !== number) throw wrong(`The number does not fit into ${type}.`);
  return BigInt.asIntN(64, number);
}

/** The value of a result: a number, a BigInt where it has 64 bits, text, or nothing. */
function resultOf(type, { integer, number, text }) {
  if (type === 'void') return undefined;
  if (type === 'double') return number;
  if (type === 'string') return text ?? null;
  if (INTEGERS[type] === 64) return type === 'u64' ? BigInt.asUintN(64, integer) : integer;
  return Number(integer);
}

/** Makes what turns arguments into a call of a metered function, and what turns its answer into a result. */
function converters(engine, tool, signature, payer) {
  const { result, parameters } = signature;
  const call = (args) => {
    if (args.length !== parameters.length) throw wrong(`The function takes ${parameters.length} arguments.`);
    const scope = storage.getStore();
    // Another ledger's account pays for nothing here.
    const payment = scope?.payment?.engine === engine ? scope.payment : undefined;
    const paying = typeof payer === 'function' ? payer(...args) : (payer ?? payment?.payer);
    if (paying == null) throw missingPayer();
    const [id, parent] = [scope?.call ?? '', scope?.parent ?? ''];
    const isNamed = id !== '' || parent !== '';
    const numbers = new BigInt64Array(HEAD_SIZE + ARGUMENT_SIZE * args.length);
    const doubles = new Float64Array(numbers.buffer);
    const texts = [paying, payment?.run ?? '', id, parent];
    numbers[0] = BigInt(args.length);
    args.forEach((value, i) => writeArgument(parameters[i], value, HEAD_SIZE + ARGUMENT_SIZE * i, numbers, doubles, texts));
    // Last, so that a call that cannot be made is not counted.
    if (isNamed) numbers[1] = BigInt(ordinalOf(scope, tool, canonical(args)));
    return { numbers, texts, payment };
  };
  const answer = ({ value, receipt }, payment) => {
    if (receipt !== null && payment !== undefined) Payment.keep(payment, receipt);
    const returned = resultOf(result, value);
    return value.output === undefined ? returned : { result: returned, output: value.output };
  };
  return { call, answer };
}

function named(fn, { parameters }, pricing) {
  return Object.defineProperties(fn, {
    name: { value: pricing.tool, configurable: true },
    length: { value: parameters.length, configurable: true },
    farebox: { value: pricing },
  });
}

/** Reads the options: the price, the signature, and the plan of the metered pointer. */
function read(engine, given) {
  const options = optionsOf(given, OPTIONS);
  const signature = signatureOf(options.signature);
  const stated = Object.fromEntries(PRICE.map((name) => [name, options[name]]));
  const meter = new Meter(() => undefined, { ...stated, name: options.name ?? options.symbol });
  const { payer, usage, failure } = options;
  if (payer != null && typeof payer !== 'string' && typeof payer !== 'function') {
    throw wrong('A payer is an account, or a function of the arguments.', 'payer');
  }
  if (meter.costOf !== undefined) throw wrong('The price of a C function is no function.', 'cost');
  const { tool, maxCost } = meter.pricing;
  const planOf = (core, registered) => ({
    library: options.library,
    symbol: options.symbol,
    signature: options.signature,
    tool: registered,
    usage: usage ?? undefined,
    failure: failure ?? undefined,
    flags: givenFlags(undefined, maxCost),
    amount: 0n,
    maxCost: maxCost === null ? 0n : toUnits(maxCost, meter.scale(core), 'maxCost'),
    durability: durabilityOf(options.durability),
  });
  return { meter, planOf, signature, ...converters(engine, tool, signature, payer) };
}

/** Meters a C function: registers its price, and gives a function whose calls are charged, off the event loop. */
async function meterFunction(engine, given) {
  const { core } = engine;
  const { meter, planOf, signature, call, answer } = read(engine, given);
  const identity = meter.identify(engine);
  await meter.register(engine, identity);
  const handle = await core.meter(await core.plan(() => planOf(core, identity.tool)));
  const metered = async (...args) => {
    const { numbers, texts, payment } = call(args);
    return answer(await core.invoke(handle, numbers, texts), payment);
  };
  return named(metered, signature, meter.pricing);
}

/** The same, blocking, and so is the function that it gives. */
function meterFunctionSync(engine, given) {
  const { core } = engine;
  const { meter, planOf, signature, call, answer } = read(engine, given);
  const identity = meter.identify(engine);
  meter.registerSync(engine, identity);
  const handle = core.meterSync(planOf(core, identity.tool));
  const metered = (...args) => {
    const { numbers, texts, payment } = call(args);
    return answer(core.invokeSync(handle, numbers, texts), payment);
  };
  return named(metered, signature, meter.pricing);
}

module.exports = { meterFunction, meterFunctionSync };
