// The standard library's operators on arrays and maps. Results are new values that share what did not change; every
// element visited costs a step, every element kept costs size.

import {
  call,
  compare,
  entriesOf,
  equal,
  failed,
  grow,
  isCollection,
  isNull,
  isTrue,
  type Operator,
  order,
  sizeOf,
  spend,
  toNumber,
  valueSet,
} from './convert.ts'
import { deletePath, getPath, layPath, pathKeys, putPath } from './paths.ts'
import type { Host, KrlMap, Value } from './types.ts'
import { emptyMap, isFunction, isMap, toText } from './values.ts'

/** A code point counts once, however it is written. */
const characters = (text: string): number => {
  let count = 0
  for (const _ of text) count++
  return count
}

type Collection = Value[] | KrlMap

const collection = (value: Value | undefined, operator: string): Collection => {
  if (isCollection(value)) return value
  throw failed(`.${operator}() works on arrays and maps, not on ${toText(value)}`)
}

const array = (value: Value | undefined, operator: string): Value[] => {
  if (Array.isArray(value)) return value
  throw failed(`.${operator}() works on arrays, not on ${toText(value)}`)
}

const listed = (value: Value | undefined): Value[] => (Array.isArray(value) ? value : [value ?? null])

/** Pays for a copy of `values`. */
const kept = (host: Host, values: Value[]): Value[] => {
  spend(host, values.length)
  grow(host, values.length)
  return values
}

/** Does the function hold for some entry (`wanted` true), or fail for some (`wanted` false)? */
const some = (operator: string, wanted: boolean, found: boolean): Operator => {
  return (host, [value, test]) => {
    const whole = collection(value, operator)
    for (const [key, each] of entriesOf(whole)) {
      spend(host, 1)
      if (isTrue(call(test, [each, key, whole])) === wanted) return found
    }
    return !found
  }
}

const identity = (test: Value | undefined, each: Value, key: number | string, whole: Collection): Value =>
  isNull(test) ? each : call(test, [each, key, whole])

const map: Operator = (host, [value, change]) => {
  const whole = collection(value, 'map')
  const made: Collection = Array.isArray(whole) ? [] : emptyMap()
  for (const [key, each] of entriesOf(whole)) put(host, made, key, identity(change, each, key, whole))
  return made
}

const filter: Operator = (host, [value, test]) => {
  const whole = collection(value, 'filter')
  const made: Collection = Array.isArray(whole) ? [] : emptyMap()
  for (const [key, each] of entriesOf(whole)) {
    spend(host, 1)
    if (isTrue(identity(test, each, key, whole))) put(host, made, key, each)
  }
  return made
}

const put = (host: Host, made: Collection, key: number | string, value: Value): void => {
  spend(host, 1)
  grow(host, 1)
  if (Array.isArray(made)) made.push(value)
  else made[key] = value
}

const collect: Operator = (host, [value, keyOf]) => {
  const whole = collection(value, 'collect')
  const groups = emptyMap()
  for (const [key, each] of entriesOf(whole)) {
    spend(host, 1)
    grow(host, 1)
    const group = groupName(identity(keyOf, each, key, whole))
    if (!Object.hasOwn(groups, group)) groups[group] = []
    ;(groups[group] as Value[]).push(each)
  }
  return groups
}

const groupName = (value: Value): string => (Array.isArray(value) ? value.map(toText).join() : toText(value))

const append: Operator = (host, args) => {
  const made: Value[] = []
  for (const each of args) for (const item of listed(each)) put(host, made, made.length, item)
  return made
}

const join: Operator = (host, [value, by]) => {
  if (!Array.isArray(value)) return toText(value)
  const parts = value.map(each => toText(each))
  const glue = isNull(by) ? ',' : toText(by)
  spend(host, parts.length)
  grow(
    host,
    parts.reduce((total, part) => total + part.length + glue.length, 0),
  )
  return parts.join(glue)
}

/** Calls the function with the first of every array, then the second, and so on; shorter ones give null. */
const pairwise: Operator = (host, [value, combine]) => {
  const columns = array(value, 'pairwise').map(listed)
  if (columns.length < 2) throw failed('.pairwise() needs an array of two or more')
  if (!isFunction(combine)) throw failed(`.pairwise() cannot use ${toText(combine)} as a function`)
  const made: Value[] = []
  const length = columns.reduce((longest, column) => Math.max(longest, column.length), 0)
  for (let i = 0; i < length; i++) {
    spend(host, columns.length)
    put(
      host,
      made,
      i,
      call(
        combine,
        columns.map(column => column[i] ?? null),
      ),
    )
  }
  return made
}

const reduce: Operator = (host, args) => {
  const [value, combine, initial] = args
  const whole = array(value, 'reduce')
  const hasInitial = args.length > 2
  const [first] = whole
  if (first === undefined) return hasInitial ? (initial ?? null) : 0
  if (!isFunction(combine) && (!hasInitial || whole.length > 1)) {
    throw failed(`.reduce() cannot use ${toText(combine)} as a function`)
  }
  let total = hasInitial ? (initial ?? null) : first
  for (let i = hasInitial ? 0 : 1; i < whole.length; i++) {
    spend(host, 1)
    total = call(combine, [total, whole[i] ?? null, i, whole])
  }
  return total
}

/** `slice(last)` is the first elements up to and with index `last`; `slice(a, b)` both ends included, [] when out of range. */
const slice: Operator = (host, args) => {
  const whole = array(args[0], 'slice')
  if (whole.length === 0 || args.length === 1) return whole
  const first = index(args[1], 'slice')
  if (args.length === 2) return first > whole.length ? [] : kept(host, whole.slice(0, first + 1))
  const second = index(args[2], 'slice')
  const [low, high] = first > second ? [second, first] : [first, second]
  return low >= 0 && high < whole.length ? kept(host, whole.slice(low, high + 1)) : []
}

const index = (value: Value | undefined, operator: string): number => {
  const number = toNumber(value)
  if (number === null) throw failed(`.${operator}() cannot use ${toText(value)} as an index or a number of elements`)
  return number
}

/** Takes `count` elements out at `start` (negative or too many: all that follow) and puts `value` there. */
const splice: Operator = (host, args) => {
  const whole = array(args[0], 'splice')
  if (whole.length === 0) return []
  const start = Math.min(Math.max(index(args[1], 'splice'), 0), whole.length - 1)
  const asked = index(args[2], 'splice')
  const count = asked < 0 || start + asked > whole.length ? whole.length - start : asked
  const middle = args.length < 4 ? [] : listed(args[3])
  return kept(host, [...whole.slice(0, start), ...middle, ...whole.slice(start + count)])
}

const reverse: Operator = (host, [value]) => kept(host, [...array(value, 'reverse')].reverse())

const sorters: Readonly<Record<string, (a: Value, b: Value) => number>> = {
  default: (a, b) => compare(toText(a), toText(b)),
  reverse: (a, b) => compare(toText(b), toText(a)),
  numeric: (a, b) => order(a, b),
  ciremun: (a, b) => order(b, a),
}

const sort: Operator = (host, [value, by]) => {
  if (!Array.isArray(value)) return value ?? null
  const named = typeof by === 'string' && Object.hasOwn(sorters, by) ? sorters[by] : sorters.default
  const comparing = isFunction(by) ? (a: Value, b: Value) => Number(toNumber(call(by, [a, b]))) : named
  grow(host, value.length)
  return merged(host, value, comparing ?? order)
}

/** Stable merge sort that asks only "is left after right": a function that answers true or false sorts too. */
const merged = (host: Host, values: readonly Value[], compared: (a: Value, b: Value) => number): Value[] => {
  if (values.length < 2) return [...values]
  const half = values.length >> 1
  const left = merged(host, values.slice(0, half), compared)
  const right = merged(host, values.slice(half), compared)
  const made: Value[] = []
  let i = 0
  let j = 0
  while (i < left.length && j < right.length) {
    spend(host, 1)
    made.push((compared(left[i]!, right[j]!) <= 0 ? left[i++] : right[j++])!)
  }
  return made.concat(left.slice(i), right.slice(j))
}

const inner = (value: Value, path: Value | undefined): Value | undefined =>
  isTrue(path) ? getPath(value, pathKeys(path)) : value

const keys: Operator = (host, [value, path]) => {
  const at = isCollection(value) ? inner(value, path) : undefined
  return isCollection(at) ? kept(host, Object.keys(at)) : []
}

const values: Operator = (host, [value, path]) => {
  const at = isCollection(value) ? inner(value, path) : undefined
  return isCollection(at) ? kept(host, Object.values(at)) : []
}

const unique: Operator = (host, [value]) => {
  if (!Array.isArray(value)) return value ?? null
  const seen = valueSet(host)
  return kept(
    host,
    value.filter(each => seen.add(each)),
  )
}

const intersection: Operator = (host, args) => {
  if (args.length < 2) return []
  const other = valueSet(host)
  for (const each of listed(args[1])) other.add(each)
  const seen = valueSet(host)
  return kept(
    host,
    listed(args[0]).filter(each => other.has(each) && seen.add(each)),
  )
}

const union: Operator = (host, args) =>
  args.length < 2 ? (args[0] ?? null) : unique(host, [[...listed(args[0]), ...listed(args[1])]])

const difference: Operator = (host, args) => {
  if (args.length < 2) return args[0] ?? null
  const other = valueSet(host)
  for (const each of listed(args[1])) other.add(each)
  return kept(
    host,
    listed(args[0]).filter(each => !other.has(each)),
  )
}

const has: Operator = (host, [value, other]) =>
  (difference(host, [other ?? null, listed(value)]) as Value[]).length === 0

/** The elements that occur once, or more than once. Scalars count as the same when their text is the same; whole numbers come first. */
const occurring = (host: Host, value: readonly Value[], wanted: (count: number) => boolean): Value[] => {
  const { canonical } = valueSet(host)
  const groups = emptyMap()
  for (const each of value) {
    const name = isCollection(each) ? `collection ${canonical(each)}` : toText(each)
    spend(host, 1)
    if (!Object.hasOwn(groups, name)) groups[name] = []
    ;(groups[name] as Value[]).push(each)
  }
  const chosen = Object.values(groups).filter(group => wanted((group as Value[]).length))
  return kept(
    host,
    chosen.map(group => (group as Value[])[0] ?? null),
  )
}

/** `put(map)` lays a map over a map (an array over an array); `put(path, value)` sets one entry. */
const putOperator: Operator = (host, args) => {
  const [value, path, toSet] = args
  if (!isCollection(value) || args.length < 2) return value ?? null
  spend(host, 1)
  const pathless = args.length < 3 ? path : Array.isArray(path) && path.length === 0 ? toSet : undefined
  if (pathless === undefined && args.length > 2) return layPath(host, value, pathKeys(path), toSet ?? null)
  return laidOver(host, value, pathless ?? null)
}

const laidOver = (host: Host, value: Collection, over: Value): Value => {
  if (Array.isArray(value) && Array.isArray(over)) return kept(host, [...over, ...value.slice(over.length)])
  if (!isMap(value as Value) || !isMap(over)) return over
  grow(host, sizeOf(value) + sizeOf(over))
  return Object.assign(emptyMap(), value, over)
}

const paying = (host: Host) => (count: number) => {
  spend(host, 1)
  grow(host, count)
}

export const collectionOperators: Readonly<Record<string, Operator>> = {
  all: some('all', false, false),
  notall: some('notall', false, true),
  any: some('any', true, true),
  none: some('none', true, false),
  append,
  collect,
  filter,
  map,
  head: (_host, [value]) => (Array.isArray(value) ? (value[0] ?? null) : (value ?? null)),
  tail: (host, [value]) => (Array.isArray(value) ? kept(host, value.slice(1)) : []),
  index: (host, [value, element]) =>
    array(value, 'index').findIndex(each => equal(each, element, () => spend(host, 1))),
  join,
  length: (_host, [value]) => (typeof value === 'string' ? characters(value) : isCollection(value) ? sizeOf(value) : 0),
  isEmpty: (_host, [value]) => (typeof value === 'string' ? value === '' : !isCollection(value) || sizeOf(value) === 0),
  pairwise,
  reduce,
  reverse,
  slice,
  splice,
  delete: (host, [value, path]) => deletePath(value, pathKeys(path), paying(host)),
  keys,
  values,
  intersection,
  union,
  difference,
  has,
  once: (host, [value]) => (Array.isArray(value) ? occurring(host, value, count => count === 1) : (value ?? null)),
  duplicates: (host, [value]) => (Array.isArray(value) ? occurring(host, value, count => count > 1) : []),
  unique,
  put: putOperator,
  sort,
  get: (_host, [value, path]) => (isCollection(value) ? getPath(value, pathKeys(path)) : null),
  set: (host, [value, path, newValue]) => putPath(value, pathKeys(path), newValue ?? null, paying(host)),
}
