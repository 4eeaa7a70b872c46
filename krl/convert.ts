// Conversions, equality and metering that the standard library's operators share. Every loop over a value pays into the
// budget (DESIGN law L8); null, NaN and an absent value are one thing.

import type { Host, KrlFunction, Value } from './types.ts'
import { RulesetFault } from './types.ts'
import { isFunction, isMap, isRegExp, krlRegExp, NO_NAMED, toText, typeName } from './values.ts'

export type Operator = (host: Host, args: readonly Value[]) => Value

/** How deep a value may nest where the library walks it. */
const MAX_DEPTH = 256

export const failed = (message: string): RulesetFault => new RulesetFault('ruleset.failed', message)

/** Pays for `count` visits; throws `ruleset.budget` when the steps are used up. */
export const spend = (host: Host, count: number): void => {
  host.budget.steps -= count
  if (!(host.budget.steps >= 0)) throw new RulesetFault('ruleset.budget', 'the step budget is used up')
}

/** Pays for `count` characters or elements about to be built; throws `ruleset.size` when there is no room left. */
export const grow = (host: Host, count: number): void => {
  host.budget.size -= count
  if (!(host.budget.size >= 0)) throw new RulesetFault('ruleset.size', 'the data built here is too large')
}

export const checkDepth = (depth: number): void => {
  if (depth > MAX_DEPTH) throw new RulesetFault('ruleset.depth', `a value nests deeper than ${MAX_DEPTH}`)
}

export const isNull = (value: Value | undefined): value is null | undefined => typeName(value) === 'Null'

export const isCollection = (value: Value | undefined): value is Value[] | { [key: string]: Value } =>
  Array.isArray(value) || isMap(value)

/** Own entries of an array or map, keys as KRL functions see them (numbers for arrays). */
export const entriesOf = (value: Value[] | { [key: string]: Value }): Iterable<[number | string, Value]> =>
  Array.isArray(value) ? value.entries() : Object.entries(value)

export const sizeOf = (value: Value[] | { [key: string]: Value }): number =>
  Array.isArray(value) ? value.length : Object.keys(value).length

/** Number conversion as in `.as("Number")`: collections count their entries; null when there is no number in it. */
export const toNumber = (value: Value | undefined): number | null => {
  if (isNull(value)) return 0
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') {
    const read = Number(value)
    return Number.isFinite(read) ? read : null
  }
  return isCollection(value) ? sizeOf(value) : null
}

/** Two numbers, or a fault that says what could not be done (`left`, `right` come as text). */
export const numbers = (
  left: Value | undefined,
  right: Value | undefined,
  problem: (left: string, right: string) => string,
): [number, number] => {
  const a = toNumber(left)
  const b = toNumber(right)
  if (a === null || b === null) throw failed(problem(toText(left), toText(right)))
  return [a, b]
}

/** -1, 0 or 1; as numbers when both are, else as text. */
export const order = (left: Value | undefined, right: Value | undefined): -1 | 0 | 1 => {
  const a = toNumber(left)
  const b = toNumber(right)
  return a === null || b === null ? compare(toText(left), toText(right)) : compare(a, b)
}

export const compare = <T extends number | string>(a: T, b: T): -1 | 0 | 1 => (a === b ? 0 : a > b ? 1 : -1)

/** What decides a condition: false, null, 0, NaN and "" are not true. */
export const isTrue = (value: Value | undefined): boolean => Boolean(value)

/** A regular expression as it is, or made of the text of anything else. */
export const asPattern = (value: Value | undefined): RegExp => {
  const pattern = isRegExp(value as Value)
    ? (value as { pattern: RegExp }).pattern
    : krlRegExp(toText(value), '').pattern
  pattern.lastIndex = 0
  return pattern
}

/** Calls a KRL function with positional arguments; anything else is a fault. */
export const call = (callee: Value | undefined, positional: readonly Value[]): Value => {
  if (!isFunction(callee)) throw failed(`${toText(callee)} is not a function`)
  return (callee as KrlFunction)({ positional, named: NO_NAMED }) ?? null
}

/** Deep equality: maps in any order, null = NaN = absent, functions by identity, regular expressions by source and flags. */
export const equal = (
  a: Value | undefined,
  b: Value | undefined,
  visit: () => void = unmetered,
  depth = 0,
): boolean => {
  visit()
  if (a === b) return true
  const type = typeName(a)
  if (type !== typeName(b)) return false
  if (type === 'Null') return true
  if (type === 'RegExp') return toText(a) === toText(b)
  if (!isCollection(a) || !isCollection(b)) return false
  checkDepth(depth)
  if (sizeOf(a) !== sizeOf(b)) return false
  for (const [key, value] of entriesOf(a)) {
    if (!Object.hasOwn(b, key) || !equal(value, (b as { [key: string]: Value })[key], visit, depth + 1)) return false
  }
  return true
}

const unmetered = () => {}

/**
 * A set of values by deep equality in linear time: values are told apart by a canonical text with sorted keys.
 * Functions get a number each.
 */
export const valueSet = (host: Host) => {
  const texts = new Set<string>()
  const functions = new Map<Value, number>()
  const numbered = (fn: Value): number => {
    if (!functions.has(fn)) functions.set(fn, functions.size)
    return functions.get(fn) ?? 0
  }
  const canonical = (value: Value | undefined, depth: number): string => {
    spend(host, 1)
    checkDepth(depth)
    if (value === undefined || isNull(value)) return 'null'
    if (typeof value === 'string') return JSON.stringify(value)
    if (typeof value === 'function') return `f${numbered(value)}`
    if (Array.isArray(value)) return `[${value.map(each => canonical(each, depth + 1)).join()}]`
    if (!isMap(value)) return isRegExp(value) ? `r${JSON.stringify(toText(value))}` : String(value)
    const keys = Object.keys(value).sort()
    return `{${keys.map(key => `${JSON.stringify(key)}:${canonical(value[key], depth + 1)}`).join()}}`
  }
  return {
    has: (value: Value) => texts.has(canonical(value, 0)),
    /** Adds the value; false when it was there. */
    add: (value: Value) => texts.size !== texts.add(canonical(value, 0)).size,
    canonical: (value: Value) => canonical(value, 0),
  }
}
