// Paths into arrays and maps: `value{["a", 0, "b"]}`, `.get`, `.set`, `.put`, `.delete`, and the engine's entity variable
// paths. Only own entries are seen and every key is an ordinary key (`__proto__` too); values are copied along the
// path and shared elsewhere, never changed.

import { checkDepth, grow, isCollection } from './convert.ts'
import type { Host, KrlMap, Value } from './types.ts'
import { RulesetFault } from './types.ts'
import { emptyMap, isMap, toText } from './values.ts'

type Pay = (count: number) => void

/** How far past its end an array may be filled with null by one assignment. */
const MAX_GAP = 10_000

const free: Pay = () => {}

/** The keys of a path: one value, or an array of them, as text. */
export const pathKeys = (path: Value | undefined): string[] =>
  Array.isArray(path) ? path.map(key => toText(key)) : [toText(path)]

/** The value at `path`; null when there is none. The empty path leads nowhere: null. */
export const getPath = (value: Value | undefined, path: readonly Value[]): Value => {
  if (path.length === 0) return null
  let at: Value | undefined = value
  for (const key of path) at = entry(at, toText(key))
  return at ?? null
}

const entry = (value: Value | undefined, key: string): Value | undefined => {
  if (!isCollection(value) && typeof value !== 'string') return undefined
  const holder = Object(value) as KrlMap
  return Object.hasOwn(holder, key) ? holder[key] : undefined
}

/** Is there an entry at `path`? */
export const hasPath = (value: Value | undefined, path: readonly Value[]): boolean => {
  const last = path.at(-1)
  if (last === undefined) return false
  const holder = path.length === 1 ? value : getPath(value, path.slice(0, -1))
  return entry(holder, toText(last)) !== undefined
}

/**
 * `value` with `newValue` at `path` (`.set`, `ent:x{path} := …`). What is missing on the way becomes an array where the
 * next key is an index, else a map; anything but an array or map at the root is replaced by a map. The empty path changes nothing.
 */
export const putPath = (value: Value | undefined, path: readonly Value[], newValue: Value, pay: Pay = free): Value => {
  const root = isCollection(value) ? value : emptyMap()
  return path.length === 0 ? root : assigned(root, pathKeys([...path]), 0, newValue, 'index makes array', pay)
}

/** `.put` with a path: what is missing becomes a map, and an array that the next key cannot index becomes a map. */
export const layPath = (host: Host, value: Value[] | KrlMap, path: readonly Value[], newValue: Value): Value =>
  assigned(value, pathKeys([...path]), 0, newValue, 'always map', count => grow(host, count))

type Missing = 'index makes array' | 'always map'

const assigned = (at: Value, keys: string[], i: number, last: Value, missing: Missing, pay: Pay): Value => {
  checkDepth(i)
  const key = keys[i]
  if (key === undefined) return last
  const holder = isCollection(at) ? at : missing === 'index makes array' && isIndex(key) ? [] : emptyMap()
  return withEntry(holder, key, i > 0 && missing === 'always map', pay, inner =>
    assigned(inner ?? null, keys, i + 1, last, missing, pay),
  )
}

/** A copy with one entry changed. `dense`: an array takes only an index up to its length, past that it becomes a map. */
const withEntry = (
  holder: Value[] | KrlMap,
  key: string,
  dense: boolean,
  pay: Pay,
  change: (inner: Value | undefined) => Value,
): Value => {
  if (Array.isArray(holder) && isIndex(key) && !(dense && Number(key) > holder.length)) {
    const length = Math.max(holder.length, Number(key) + 1)
    if (length > holder.length + MAX_GAP)
      throw new RulesetFault('ruleset.size', `index ${key} is far past the array's end`)
    pay(length)
    const copy = holder.slice()
    while (copy.length < length) copy.push(null)
    copy[Number(key)] = change(entry(holder, key))
    return copy
  }
  pay(Object.keys(holder).length + 1)
  const copy: KrlMap = Object.assign(emptyMap(), holder)
  copy[key] = change(entry(holder, key))
  return copy
}

const isIndex = (key: string) => /^(0|[1-9]\d{0,8})$/.test(key)

/** `value` without the entry at `path`; an array keeps its length, with null in that place. */
export const deletePath = (value: Value | undefined, path: readonly Value[], pay: Pay = free): Value =>
  hasPath(value, path) ? without(value as Value[] | KrlMap, pathKeys([...path]), 0, pay) : (value ?? null)

const without = (at: Value, keys: string[], i: number, pay: Pay): Value => {
  const key = keys[i]
  if (key === undefined || !isCollection(at)) return at
  checkDepth(i)
  if (Array.isArray(at) && !isIndex(key)) return at
  const isLast = i === keys.length - 1
  if (isMap(at) && isLast) {
    pay(Object.keys(at).length)
    const copy: KrlMap = Object.assign(emptyMap(), at)
    delete copy[key]
    return copy
  }
  return withEntry(at, key, false, pay, inner => (isLast ? null : without(inner ?? null, keys, i + 1, pay)))
}
