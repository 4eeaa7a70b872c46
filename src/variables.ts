// pure
// How entity variables lie on a pico's records. A variable is one record `{v}` while it is small. A map that outgrows
// INLINE_BYTES is kept entry by entry: the variable's record says `{split: next}`, each entry is `{n, v}` under its key, and
// n keeps the map's order. So one key of a 50,000-entry map is one small write, and a heartbeat of 20 members is one record
// and not 20.

import { GROUP, Records } from './pico.ts'
import type { Json, JsonObject, View } from './ports.ts'

const INLINE_BYTES = 4096

type VariableRecord = { readonly v: Json } | { readonly split: number }
type Entry = { readonly n: number; readonly v: Json }

const isMap = (value: Json | undefined): value is JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

const entriesOf = (view: View, rid: string, name: string): [string, Entry][] =>
  view
    .list(GROUP.entries(rid, name))
    .map(([key, entry]) => [key, entry as unknown as Entry] as [string, Entry])
    .sort((a, b) => a[1].n - b[1].n)

/** Pays for visits to as many entries; a rule's, so that it may stop the walk (law L8). */
type Pay = (entries: number) => void
const free: Pay = () => undefined

/** The whole value; undefined when never set or cleared. */
export function readVariable(view: View, rid: string, name: string, pay = free): Json | undefined {
  const record = view.get(GROUP.variables(rid), name) as VariableRecord | undefined
  if (record === undefined) return undefined
  if ('v' in record) return record.v
  const group = GROUP.entries(rid, name)
  const wholes = view instanceof Records ? view.wholes : undefined
  const known = wholes?.get(group)
  if (known !== undefined) return known
  const map: JsonObject = Object.create(null)
  const entries = entriesOf(view, rid, name)
  pay(entries.length)
  for (const [key, entry] of entries) map[key] = entry.v
  wholes?.set(group, map)
  return map
}

/** One top-level entry of a map variable, without reading the others. `whole` says that the variable is not split. */
export function readEntry(
  view: View,
  rid: string,
  name: string,
  key: string,
): { whole: Json | undefined } | { entry: Json | undefined } {
  const record = view.get(GROUP.variables(rid), name) as VariableRecord | undefined
  if (record === undefined) return { whole: undefined }
  if ('v' in record) return { whole: record.v }
  return { entry: (view.get(GROUP.entries(rid, name), key) as Entry | undefined)?.v }
}

/** Assigns the whole value; of a split map only the changed entries are written. */
export function writeVariable(records: Records, rid: string, name: string, value: Json, pay = free): void {
  const record = records.get(GROUP.variables(rid), name) as VariableRecord | undefined
  const next = record !== undefined && 'split' in record ? record.split : undefined
  if (isMap(value) && (next !== undefined || isLarge(value))) {
    writeSplit(records, rid, name, value, next ?? 1, pay)
    return
  }
  if (next !== undefined) clearEntries(records, rid, name, pay)
  records.put(GROUP.variables(rid), name, { v: value })
}

function isLarge(map: JsonObject): boolean {
  return JSON.stringify(map).length > INLINE_BYTES
}

function writeSplit(records: Records, rid: string, name: string, map: JsonObject, unused: number, pay: Pay): void {
  const group = GROUP.entries(rid, name)
  const before = new Map(entriesOf(records, rid, name))
  pay(before.size)
  const keys = Object.keys(map)
  const kept = [...before.keys()].filter(key => Object.hasOwn(map, key))
  // Entries keep their numbers as long as the old keys come first and in the old order; otherwise all are renumbered.
  const inOrder = kept.every((key, i) => keys[i] === key)
  let next = inOrder ? unused : 1
  for (const key of keys) {
    const old = before.get(key)
    const value = map[key] as Json
    const n = old && inOrder ? old.n : next++
    if (!old || old.n !== n || (old.v !== value && JSON.stringify(old.v) !== JSON.stringify(value)))
      records.put(group, key, { n, v: value })
    before.delete(key)
  }
  for (const key of before.keys()) records.put(group, key, undefined)
  records.put(GROUP.variables(rid), name, { split: next })
}

/** Writes (or with undefined deletes) one entry of a split map. False when the variable is not split. */
export function writeEntry(records: Records, rid: string, name: string, key: string, value: Json | undefined): boolean {
  const record = records.get(GROUP.variables(rid), name) as VariableRecord | undefined
  if (record === undefined || !('split' in record)) return false
  const group = GROUP.entries(rid, name)
  const old = records.get(group, key) as Entry | undefined
  if (value === undefined) {
    if (old) records.put(group, key, undefined)
    return true
  }
  if (old) {
    records.put(group, key, { n: old.n, v: value })
    return true
  }
  records.put(group, key, { n: record.split, v: value })
  records.put(GROUP.variables(rid), name, { split: record.split + 1 })
  return true
}

/** Takes the variable away, with its entries. */
export function clearVariable(records: Records, rid: string, name: string, pay = free): void {
  const record = records.get(GROUP.variables(rid), name) as VariableRecord | undefined
  if (record === undefined) return
  if ('split' in record) clearEntries(records, rid, name, pay)
  records.put(GROUP.variables(rid), name, undefined)
}

function clearEntries(records: Records, rid: string, name: string, pay: Pay): void {
  const group = GROUP.entries(rid, name)
  const rows = records.list(group)
  pay(rows.length)
  for (const [key] of rows) records.put(group, key, undefined)
}

/** Names of the variables of a ruleset, with their values, for the owner's State page. */
export function variables(view: View, rid: string): JsonObject {
  const result: JsonObject = Object.create(null)
  for (const [name] of view.list(GROUP.variables(rid))) result[name] = readVariable(view, rid, name) ?? null
  return result
}
