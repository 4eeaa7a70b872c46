// pure
// What a pico is: many small records, and how entity variables lie on them. A step never sees store keys or sealing;
// it reads a View and lays its own writes over it. DESIGN 4, Reading.

import type { Bind, Birth, Json, JsonObject, LoadedRuleset, PicoId, RecordChange, View } from './ports.ts'

/** Groups of records. Leaves are named beside each. */
export const GROUP = {
  /** leaf `self`: the pico itself. */
  pico: 'pico',
  /** leaf ECI. */
  channel: 'chan',
  /** leaf child's pico id; `eci` leads to it. */
  child: 'child',
  /** leaf child's ECI → pico id. */
  childEci: 'child-eci',
  /** leaf rid. */
  ruleset: 'rs',
  /** leaf rule name, per rid: progress of event expressions. */
  progress: (rid: string) => `ee/${rid}`,
  /** leaf variable name, per rid. */
  variables: (rid: string) => `var/${rid}`,
  /** leaf map key, per rid and variable that is kept entry by entry. */
  entries: (rid: string, name: string) => `var/${rid}/${name}`,
  /** leaf job id. */
  job: 'job',
  /** leaf kid: a private key as the keyring reads it. */
  key: 'wallet',
  /** leaf recipient key text → what it opens. */
  recipient: 'rcpt',
  /** leaf invitation id. */
  invitation: 'inv',
  /** leaf connection id. */
  connection: 'conn',
  /** leaf DID (short) or base58 key of a peer → connection id. */
  peer: 'peer',
  /** leaf thread id (lower case). */
  thread: 'thread',
  /** leaf running number, zero padded: the bounded message list. */
  message: 'msg',
  /** leaf id, per sender: what applied already (law L4). Never listed by a step. */
  seen: (sender: string) => `seen/${sender}`,
} as const

/** The record `pico/self`. */
export interface Self {
  readonly picoId: PicoId
  readonly name: string
  readonly did: string
  readonly parentId: PicoId | null
  readonly parentEci: string | null
  readonly parentUrl: string | null
  /** The channel the parent uses to reach this pico. */
  readonly eci: string
  readonly createdAt: number
  /** Running number for records whose order matters. */
  readonly ordinal: number
  readonly messages: number
  readonly relocateSerial: number
}

export interface Policy {
  readonly allow: readonly JsonObject[]
  readonly deny: readonly JsonObject[]
}

export interface Channel {
  readonly id: string
  readonly tags: readonly string[]
  readonly eventPolicy: Policy
  readonly queryPolicy: Policy
  readonly familyChannelPicoID: PicoId | null
  readonly n: number
}

export interface Child {
  readonly picoId: PicoId
  readonly name: string
  readonly eci: string
  /** The channel of this pico that the child was given. */
  readonly parentEci: string
  readonly ready: boolean
  readonly did: string | null
  readonly n: number
  readonly movedTo?: string
}

export interface InstalledRuleset {
  readonly rid: string
  readonly url: string
  readonly hash: string
  readonly config: JsonObject
  readonly modules: LoadedRuleset['modules']
  readonly flushedAt: number
  readonly n: number
}

export interface Job {
  readonly id: string
  readonly rid: string
  readonly domain: string
  readonly type: string
  readonly attrs: Json
  readonly at: number
  readonly cron: string | null
  readonly n: number
}

/** A layer of writes over a view; itself a view, so layers stack: a rule fault drops the upper one whole. */
export class Records implements View {
  private readonly groups = new Map<string, Map<string, Json | undefined>>()
  private readonly below: View
  /** Split maps put together in this layer, by the group of their entries, until one of these is written. */
  readonly wholes = new Map<string, JsonObject>()
  readonly binds: Bind[] = []

  constructor(below: View) {
    this.below = below
  }

  get(group: string, leaf: string): Json | undefined {
    const own = this.groups.get(group)
    if (own?.has(leaf)) return own.get(leaf)
    return this.below.get(group, leaf)
  }

  list(group: string): readonly (readonly [string, Json])[] {
    const own = this.groups.get(group)
    const below = this.below.list(group)
    if (!own || own.size === 0) return below
    const result: (readonly [string, Json])[] = below.filter(([leaf]) => !own.has(leaf))
    for (const [leaf, value] of own) if (value !== undefined) result.push([leaf, value])
    return result
  }

  /** `undefined` deletes. */
  put(group: string, leaf: string, value: Json | undefined): void {
    if (this.wholes.size > 0) this.wholes.delete(group)
    let own = this.groups.get(group)
    if (!own) {
      own = new Map()
      this.groups.set(group, own)
    }
    own.set(leaf, value)
  }

  bind(key: string, bound: boolean): void {
    this.binds.push({ key, bound })
  }

  /** Writes this layer into the one below it. */
  mergeInto(target: Records): void {
    for (const [group, own] of this.groups) for (const [leaf, value] of own) target.put(group, leaf, value)
    target.binds.push(...this.binds)
  }

  changes(): RecordChange[] {
    const result: RecordChange[] = []
    for (const [group, own] of this.groups) for (const [leaf, value] of own) result.push({ group, leaf, value })
    return result
  }
}

// ---- typed reads -----------------------------------------------------------------------------------------
// Records were written by this code under these shapes; the casts below are the one place that says so.

const byNumber = (a: { n: number }, b: { n: number }) => a.n - b.n

function all<T extends { n: number }>(view: View, group: string): T[] {
  return view
    .list(group)
    .map(([, value]) => value as unknown as T)
    .sort(byNumber)
}

export const readSelf = (view: View): Self | undefined => view.get(GROUP.pico, 'self') as unknown as Self | undefined
export const writeSelf = (records: Records, self: Self): void =>
  records.put(GROUP.pico, 'self', self as unknown as Json)
export const readChannel = (view: View, eci: string) => view.get(GROUP.channel, eci) as unknown as Channel | undefined
export const readChild = (view: View, picoId: PicoId) => view.get(GROUP.child, picoId) as unknown as Child | undefined
export const readRuleset = (view: View, rid: string) =>
  view.get(GROUP.ruleset, rid) as unknown as InstalledRuleset | undefined
export const channels = (view: View): Channel[] => all<Channel>(view, GROUP.channel)
export const children = (view: View): Child[] => all<Child>(view, GROUP.child)

// Every event asks for the rulesets, in order; a view gives the same rows as long as they are the same.
const ordered = new WeakMap<object, readonly InstalledRuleset[]>()

export function rulesets(view: View): readonly InstalledRuleset[] {
  const rows = view.list(GROUP.ruleset)
  let found = ordered.get(rows)
  if (found === undefined) {
    found = rows.map(([, value]) => value as unknown as InstalledRuleset).sort(byNumber)
    ordered.set(rows, found)
  }
  return found
}
export const jobs = (view: View): Job[] => all<Job>(view, GROUP.job)

/** The next running number of this pico; written back at once. */
export function ordinal(records: Records): number {
  const self = readSelf(records)
  if (!self) return 0
  writeSelf(records, { ...self, ordinal: self.ordinal + 1 })
  return self.ordinal
}

/** The first record of a pico that is being born. */
export function born(birth: Birth, did: string, now: number): Self {
  return {
    picoId: birth.picoId,
    name: birth.name,
    did,
    parentId: birth.parentId,
    parentEci: birth.parentEci,
    parentUrl: birth.parentUrl ?? null,
    eci: birth.eci,
    createdAt: now,
    ordinal: 1,
    messages: 0,
    relocateSerial: 0,
  }
}

// ---- entity variables --------------------------------------------------------------------------------------
// A variable is one record `{v}` while it is small. A map that outgrows INLINE_BYTES is kept entry by entry:
// the variable's record says `{split: next}`, each entry is `{n, v}` under its key, and n keeps the map's order.
// So one key of a 50,000-entry map is one small write, and a heartbeat of 20 members is one record and not 20.

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
