// The pure modules that rulesets use without installing them: math, time, random. Time and randomness come from the
// host, so a step gives the same answers again; hashes come from whoever makes the library.

import { encodings, toBase64, toHex } from './bytes.ts'
import { failed, grow, isCollection, isNull, spend, toNumber } from './convert.ts'
import { addTime, formatTime, parseTime, strftime } from './time.ts'
import type { Host, Value } from './types.ts'
import { isMap, toText } from './values.ts'
import { WORDS } from './words.ts'

/** A function of a module: `params` are the names for named arguments, in order. */
export interface LibraryFunction {
  readonly params: readonly string[]
  readonly run: (host: Host, args: readonly Value[]) => Value
}

export interface LibraryModule {
  readonly properties: Readonly<Record<string, Value>>
  readonly functions: Readonly<Record<string, LibraryFunction>>
}

/** What `math:hash` and `math:hmac` stand on. Undefined: no such algorithm. */
export interface LibraryDeps {
  hash(algorithm: string, data: Uint8Array): Uint8Array | undefined
  hmac(algorithm: string, key: Uint8Array, data: Uint8Array): Uint8Array | undefined
  readonly hashes: readonly string[]
}

/** The modules by domain. */
export const makeLibrary = (deps: LibraryDeps): Readonly<Record<string, LibraryModule>> =>
  table({ math: math(deps), time, random })

const table = <T>(entries: Record<string, T>): Readonly<Record<string, T>> =>
  Object.freeze(Object.assign(Object.create(null), entries))

const defined = (params: string, run: LibraryFunction['run']): LibraryFunction => ({
  params: params === '' ? [] : params.split(' '),
  run,
})

// ---- math ---------------------------------------------------------------------------------------------

const math = (deps: LibraryDeps): LibraryModule => ({
  properties: table<Value>({ hashAlgorithms: [...deps.hashes] }),
  functions: table({
    base64encode: defined('str encoding', (host, [text, name]) => {
      const bytes = encoding(name, 'math:base64encode').encode(paid(host, text))
      grow(host, bytes.length * 2)
      return toBase64(bytes)
    }),
    base64decode: defined('str encoding', (host, [text, name]) => {
      const form = encoding(name, 'math:base64decode')
      return form.decode(encodings.get('base64')!.encode(paid(host, text)))
    }),
    hashFunctions: defined('', () => [...deps.hashes]),
    hash: defined('algorithm str encoding', (host, [name, text, form]) => {
      const algorithm = hashName(deps, name, 'math:hash')
      const data = new TextEncoder().encode(paid(host, text))
      return digest(deps.hash(algorithm, data), algorithm, form, 'math:hash')
    }),
    hmac: defined('algorithm key message encoding', (host, [name, key, text, form]) => {
      if (typeof key !== 'string') throw failed('math:hmac needs a key text')
      const algorithm = hashName(deps, name, 'math:hmac')
      const [secret, data] = [key, paid(host, text)].map(each => new TextEncoder().encode(each))
      return digest(deps.hmac(algorithm, secret!, data!), algorithm, form, 'math:hmac')
    }),
    abs: defined('number', (_host, [number]) => whole(number, Math.abs)),
    ceiling: defined('number precision', (_host, [number, places]) => rounded(number, places, Math.ceil)),
    floor: defined('number precision', (_host, [number, places]) => rounded(number, places, Math.floor)),
    int: defined('number', (_host, [number]) => whole(number, Math.trunc)),
    round: defined('number precision', (_host, [number, places]) => rounded(number, places, Math.round)),
  }),
})

/** The text of a value, its length paid for. */
const paid = (host: Host, value: Value | undefined): string => {
  const text = toText(value)
  spend(host, 1 + (text.length >> 3))
  grow(host, text.length)
  return text
}

const encoding = (name: Value | undefined, caller: string) => {
  const found = encodings.get(isNull(name) ? 'utf8' : toText(name).toLowerCase())
  if (found === undefined) throw failed(`${caller}: unknown encoding ${toText(name)}`)
  return found
}

const hashName = (deps: LibraryDeps, name: Value | undefined, caller: string): string => {
  if (typeof name === 'string' && deps.hashes.includes(name)) return name
  throw failed(`${caller}: ${toText(name)} is not a known hash algorithm`)
}

const digest = (bytes: Uint8Array | undefined, algorithm: string, form: Value | undefined, caller: string): Value => {
  if (bytes === undefined) throw failed(`${caller}: ${algorithm} is not a known hash algorithm`)
  if (!form || form === 'hex') return toHex(bytes)
  if (form === 'base64') return toBase64(bytes)
  throw failed(`${caller}: encoding is "hex" or "base64", not ${toText(form)}`)
}

const whole = (value: Value | undefined, change: (number: number) => number): Value => {
  const number = value === null || isCollection(value) ? null : toNumber(value)
  return number === null ? null : change(number)
}

/** Rounds at `places` after the point (negative: before it), in decimal, so 1.005 at 2 places is exact. */
const rounded = (value: Value | undefined, places: Value | undefined, round: (number: number) => number): Value =>
  whole(value, number => {
    const by = Math.max(-292, Math.min(292, Math.trunc(toNumber(places) ?? 0)))
    return by === 0 ? round(number) : shifted(round(shifted(number, by)), -by)
  })

const shifted = (number: number, by: number): number => {
  const [digits, exponent] = `${number}e`.split('e')
  return Number(`${digits}e${Number(exponent) + by}`)
}

// ---- time ---------------------------------------------------------------------------------------------

const time: LibraryModule = {
  properties: table<Value>({}),
  functions: table({
    now: defined('opts', (host, [opts]) => {
      if (!isNull(opts) && !isMap(opts)) throw failed(`time:now was given ${toText(opts)} instead of a map`)
      return formatTime(host.now())
    }),
    new: defined('date', (host, [date]) => written(typeof date === 'number' ? date : read(host, date, 'time:new'))),
    add: defined('date spec', (host, [date, spec]) => {
      if (isNull(spec)) throw failed('time:add needs a map of what to add')
      const at = read(host, date, 'time:add')
      if (!isMap(spec)) throw failed(`time:add was given ${toText(spec)} instead of a map of what to add`)
      return written(addTime(at, spec))
    }),
    strftime: defined('date fmt', (host, [date, pattern]) => {
      if (isNull(pattern) || pattern === '') throw failed('time:strftime needs a pattern')
      const at = read(host, date, 'time:strftime')
      if (typeof pattern !== 'string') throw failed(`time:strftime was given ${toText(pattern)} instead of a pattern`)
      grow(host, pattern.length * 8)
      spend(host, pattern.length)
      return strftime(at, pattern)
    }),
  }),
}

const read = (host: Host, date: Value | undefined, caller: string): number => {
  if (isNull(date) || date === '') throw failed(`${caller} needs a date`)
  const at = parseTime(toText(date), host.now())
  if (at === null) throw failed(`${caller} was given ${toText(date).slice(0, 64)} instead of an ISO 8601 date`)
  return at
}

const written = (at: number): string => {
  const text = formatTime(at)
  if (text === null) throw failed('a time outside the years that can be written')
  return text
}

// ---- random -------------------------------------------------------------------------------------------

const random: LibraryModule = {
  properties: table<Value>({}),
  functions: table({
    uuid: defined('', host => uuid(host.random(16))),
    word: defined('', host => WORDS[Math.floor(fraction(host) * WORDS.length)] ?? null),
    integer: defined('upper lower', (host, [upper, lower]) => {
      const [low, high] = bounds(upper, lower).map(Math.round)
      return low! + Math.floor(fraction(host) * (high! - low! + 1))
    }),
    number: defined('upper lower', (host, [upper, lower]) => {
      const [low, high] = bounds(upper, lower)
      return low + fraction(host) * (high - low)
    }),
  }),
}

/** A random number from 0 up to 1, 53 bits. */
const fraction = (host: Host): number => {
  const bytes = host.random(8)
  const high = ((bytes[0]! & 0x1f) << 16) | (bytes[1]! << 8) | bytes[2]!
  const low = ((bytes[3]! << 24) | (bytes[4]! << 16) | (bytes[5]! << 8) | bytes[6]!) >>> 0
  return (high * 2 ** 32 + low) / 2 ** 53
}

/** Lower and upper bound in order: an absent upper bound is 1, what is no number is 0. */
const bounds = (upper: Value | undefined, lower: Value | undefined): [number, number] => {
  const high = isNull(upper) ? 1 : (toNumber(upper) ?? 0)
  const low = toNumber(lower) ?? 0
  return low <= high ? [low, high] : [high, low]
}

/** RFC 9562 5.4, version 4. */
const uuid = (bytes: Uint8Array): string => {
  const random = Uint8Array.from(bytes)
  random[6] = (random[6]! & 0x0f) | 0x40
  random[8] = (random[8]! & 0x3f) | 0x80
  return toHex(random).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
