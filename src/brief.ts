// pure
// What a log keeps of a value. The log is kept by number of records, so each must be small whatever a peer sends; the
// attributes of ordinary events stay whole, and what is cut says so.

import type { Json, JsonObject } from './ports.ts'

/** What is kept whole: a value of so many nodes, with so many characters in it. */
export const WHOLE = { nodes: 100, characters: 4_000 } as const
/** Of one text, when all do not fit: a long DID in every message of a peer is no reason to shorten. */
const TEXT = 200

/** At most `length` characters of a text, with `…` after them when there were more. */
export function cut(text: string, length: number): string {
  // A slice keeps the whole text behind it in memory; what is parsed anew keeps nothing.
  return text.length <= length ? text : (JSON.parse(JSON.stringify(`${text.slice(0, length)}…`)) as string)
}

/** A map that is too large, by its first entries, and in place of the others how many they are. */
export function brief(map: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(shortened(map, { ...WHOLE }))) as JsonObject
}

/** What a walk over a value may still take. */
interface Room {
  nodes: number
  characters: number
}

function shortened(value: Json, left: Room): Json {
  left.nodes--
  if (typeof value === 'string') return shortText(value, left)
  if (value === null || typeof value !== 'object') return value
  return Array.isArray(value) ? shortList(value, left) : shortMap(value, left)
}

function shortText(text: string, left: Room): string {
  const kept = cut(text, Math.max(0, Math.min(TEXT, left.characters)))
  left.characters -= kept.length
  return kept
}

const full = (left: Room) => left.nodes <= 0 || left.characters <= 0
const others = (count: number) => `${count} more`

function shortList(list: readonly Json[], left: Room): Json[] {
  const kept: Json[] = []
  for (let i = 0; i < list.length && !full(left); i++) kept.push(shortened(list[i] as Json, left))
  return kept.length < list.length ? [...kept, others(list.length - kept.length)] : kept
}

function shortMap(map: JsonObject, left: Room): JsonObject {
  const kept: JsonObject = Object.create(null)
  const keys = Object.keys(map)
  let count = 0
  for (; count < keys.length && !full(left); count++) {
    const key = keys[count] as string
    kept[shortText(key, left)] = shortened(map[key] as Json, left)
  }
  if (count < keys.length) kept['…'] = others(keys.length - count)
  return kept
}
