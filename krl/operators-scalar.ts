// The standard library's operators on single values: infix operators, type tests, numbers and bits. A text that reads
// as a number is one where a number is asked for; division and modulo by zero are 0.

import {
  asPattern,
  compare,
  equal,
  failed,
  grow,
  isNull,
  numbers,
  type Operator,
  order,
  spend,
  toNumber,
} from './convert.ts'
import { hasPath } from './paths.ts'
import type { Host, Value } from './types.ts'
import { isMap, krlRegExp, toText, typeName } from './values.ts'

const isNumber = (value: Value | undefined): value is number => typeof value === 'number' && Number.isFinite(value)

/** A number as a KRL value: NaN is null. */
const value = (result: number): Value => (Number.isNaN(result) ? null : result)

const equalIn = (host: Host, a: Value | undefined, b: Value | undefined) => equal(a, b, () => spend(host, 1))

const plus: Operator = (host, args) => {
  const [left, right] = args
  if (args.length < 2) return left ?? null
  if (isNumber(left) && isNumber(right)) return value(left + right)
  const text = [toText(left), toText(right)]
  grow(host, text[0]!.length + text[1]!.length)
  return text.join('')
}

const minus: Operator = (_host, args) => {
  const [left, right] = args
  if (args.length >= 2) {
    const [a, b] = numbers(left, right, (l, r) => `${r} cannot be subtracted from ${l}`)
    return value(a - b)
  }
  const number = toNumber(left)
  if (number === null) throw failed(`${toText(left)} cannot be negated`)
  return -number
}

const divide: Operator = (host, [left, right]) => {
  const [a, b] = numbers(left, right, (l, r) => `${l} cannot be divided by ${r}`)
  if (b !== 0) return value(a / b)
  host.log('debug', `[DIVISION BY ZERO] ${a} / 0`)
  return 0
}

const modulo: Operator = (_host, [left, right]) => {
  const [a, b] = numbers(left, right, (l, r) => `${l} modulo ${r} cannot be calculated`)
  return b === 0 ? 0 : value(a % b)
}

/** `a >< b`: is b an element of the array, or a key of the map as written (an array: a path)? */
const membership: Operator = (host, [left, right]) => {
  if (Array.isArray(left)) return left.some(each => equalIn(host, each, right))
  if (!isMap(left as Value)) return false
  return Array.isArray(right) ? hasPath(left, right) : Object.hasOwn(left as object, toText(right))
}

const like: Operator = (host, [left, right]) => {
  const text = toText(left)
  spend(host, text.length)
  return asPattern(right).test(text)
}

/** KRL's name of the type; a text such as "0x1F" is Hex. */
const typeOf = (of: Value | undefined): string =>
  typeof of === 'string' && /^0x[A-F0-9]+$/i.test(of) ? 'Hex' : typeName(of)

const as: Operator = (_host, args) => {
  const [from, type] = args
  const is = typeOf(from)
  if (args.length < 2 || is === type) return from ?? null
  if (type === 'Boolean') return from === 'false' ? false : Boolean(from)
  if (type === 'String') return toText(from)
  if (type === 'Number') return toNumber(from)
  if (type === 'Hex') return is === 'Number' ? (from as number).toString(16) : hexText(from)
  if (type !== 'RegExp') throw failed(`.as(${toText(type)}) is not possible for ${toText(from)}, which is a ${is}`)
  const source = toText(from)
  return krlRegExp(typeof from === 'string' ? source : source.replace(/^\[([a-z]+)\]$/i, '\\[$1\\]'), '')
}

const hexText = (from: Value | undefined): Value =>
  typeof from === 'string' || typeof from === 'boolean' ? toText(from) : null

const bits =
  (combine: (a: number, b: number) => number): Operator =>
  (_host, [left, right]) =>
    combine(...numbers(left, right, (l, r) => `bits of ${l} and ${r} cannot be combined`))

const bnot: Operator = (_host, [left]) => {
  const number = toNumber(left)
  if (number === null) throw failed(`bits of ${toText(left)} cannot be inverted`)
  return ~number
}

const chr: Operator = (_host, [code]) => {
  const number = toNumber(code)
  return number === null ? null : String.fromCharCode(number)
}

/** From the first number to the second, both included where a whole number of ones leads there. */
const range: Operator = (host, [from, to]) => {
  const first = toNumber(from)
  const last = to === undefined ? null : toNumber(to)
  if (first === null || last === null) return []
  const step = first < last ? 1 : -1
  const length = Math.ceil(Math.abs(last + step - first))
  grow(host, length)
  spend(host, length)
  return Array.from({ length }, (_, i) => first + i * step)
}

const defaultsTo: Operator = (host, [given, fallback, message]) => {
  if (!isNull(given)) return given as Value
  if (!isNull(message)) host.log('debug', `[DEFAULTSTO] ${toText(message)}`)
  return fallback ?? null
}

const klog: Operator = (host, [given, label]) => {
  if (isNull(label)) host.log('klog', given ?? null)
  else host.log('klog', given ?? null, toText(label))
  return given ?? null
}

export const scalarOperators: Readonly<Record<string, Operator>> = {
  '+': plus,
  '-': minus,
  '*': (_host, [left, right]) => {
    const [a, b] = numbers(left, right, (l, r) => `${l} cannot be multiplied by ${r}`)
    return value(a * b)
  },
  '/': divide,
  '%': modulo,
  '==': (host, [left, right]) => equalIn(host, left, right),
  '!=': (host, [left, right]) => !equalIn(host, left, right),
  '<=>': (_host, [left, right]) => order(left, right),
  '<': (_host, [left, right]) => order(left, right) < 0,
  '>': (_host, [left, right]) => order(left, right) > 0,
  '<=': (_host, [left, right]) => order(left, right) <= 0,
  '>=': (_host, [left, right]) => order(left, right) >= 0,
  '><': membership,
  like,
  cmp: (_host, [left, right]) => compare(toText(left), toText(right)),
  as,
  isnull: (_host, [of]) => isNull(of),
  typeof: (_host, [of]) => typeOf(of),
  klog,
  defaultsTo,
  shiftRight: bits((a, b) => a >> b),
  shiftLeft: bits((a, b) => a << b),
  band: bits((a, b) => a & b),
  bor: bits((a, b) => a | b),
  bxor: bits((a, b) => a ^ b),
  bnot,
  chr,
  range,
}
