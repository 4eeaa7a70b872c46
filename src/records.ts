// The records of one pico in memory: what is on disk, what is applied but not yet synced, and the views on both. Steps
// see the newest; queries see what is synced, and one that waits keeps the state it began with (laws L3, L9).
// Values are sealed and names hashed on the way out, opened on the way in (law L7).

import { strict as assert } from 'node:assert'
import type { Sealer } from '../wallet/vault.ts'
import { PicoError } from './errors.ts'
import { Filter } from './filter.ts'
import { type Json, Need, type RecordChange, type Store, type View, type Write } from './ports.ts'
import { after, endOf, groupStart, recordKey } from './stores/keys.ts'

interface Group {
  readonly start: Uint8Array
  /** Every record is in `leaves`. */
  complete: boolean
  readonly leaves: Map<string, Json>
  /** Leaves known to be absent, the newest of them: peers ask for what never was, such as the thread of each message. */
  readonly absent: Set<string>
  /** Store keys of leaves written before: a keyed hash less. */
  readonly keys: Map<string, Uint8Array>
  rows: (readonly [string, Json])[] | undefined
}

type Unsynced = Map<string, { readonly value: Json | undefined; readonly version: number }>

/** Records of a page while a group is loaded; between pages others run. */
const PAGE = 1000
/** What a new record is taken to need in memory. */
const RECORD = 256
/** From here on a record is counted by its bytes. */
const LARGE = 4096
/** Store keys kept per group. */
const KEYS = 128
/** Absent leaves remembered per group. */
const ABSENT = 512
/** Ids kept of groups that are never loaded whole. */
const RECENT = 512

/** Groups that grow without bound and are only ever asked for one leaf. */
const pointOnly = (group: string): boolean => group.startsWith('seen/')

export class PicoRecords {
  /** What a step sees. */
  readonly newest: View = { get: (g, l) => this.newestValue(g, l), list: g => this.newestRows(g) }
  /** What a query sees. */
  readonly synced: View = { get: (g, l) => this.syncedValue(g, l), list: g => this.syncedRows(g) }
  /** Rough size in memory. */
  bytes = 0

  private readonly store: Store
  private readonly sealer: Pick<Sealer, 'storeName' | 'seal' | 'open'>
  private readonly pico: Uint8Array
  private readonly groups = new Map<string, Group>()
  private readonly unsynced = new Map<string, Unsynced>()
  private readonly loads = new Map<string, Promise<void>>()
  private readonly snapshots = new Set<Snapshot>()
  /** Bytes of large records in memory. */
  private readonly large = new Map<string, number>()
  private readonly recent = new Map<string, Json | undefined>()
  /** Of a pico made with this object: ids that are on disk and not in `recent`. */
  private older: Filter | undefined
  /** Made with this object: what is not in memory is nowhere. */
  private readonly newborn: boolean
  private version = 0

  constructor(store: Store, sealer: Pick<Sealer, 'storeName' | 'seal' | 'open'>, pico: Uint8Array, newborn = false) {
    this.store = store
    this.sealer = sealer
    this.pico = pico
    this.newborn = newborn
  }

  /** Seals changes. Nothing is changed before `lay`; throws what reading the disk throws. */
  prepare(changes: readonly RecordChange[]): Write[] {
    return changes.map(({ group, leaf, value }): Write => {
      // The state before stays at hand until the sync: queries read it, and snapshots keep it.
      if (!pointOnly(group)) this.syncedValue(group, leaf)
      const key = this.key(group, leaf)
      const sealed = value === undefined ? undefined : this.seal(key, group, leaf, value)
      if (!pointOnly(group)) this.weigh(group, leaf, sealed?.length ?? 0)
      return { key, value: sealed }
    })
  }

  // Small records weigh alike; a large one is counted as it is, or memory would fill with what is never evicted.
  private weigh(group: string, leaf: string, size: number): void {
    if (size < LARGE && this.large.size === 0) return
    const name = `${group}\0${leaf}`
    const before = this.large.get(name) ?? 0
    this.bytes += (size < LARGE ? 0 : size) - before
    if (size < LARGE) this.large.delete(name)
    else this.large.set(name, size)
  }

  private weighRead(group: string, leaf: string, size: number): void {
    if (size < LARGE) this.bytes += size
    else this.weigh(group, leaf, size)
  }

  /** Lays prepared changes over the newest state; `merge` with the version returned must follow when they are on disk. */
  lay(changes: readonly RecordChange[]): number {
    const version = ++this.version
    for (const { group, leaf, value } of changes) {
      let own = this.unsynced.get(group)
      if (!own) {
        own = new Map()
        this.unsynced.set(group, own)
      }
      own.set(leaf, { value, version })
    }
    return version
  }

  /** The changes of `version` are on disk. In order of version. */
  merge(changes: readonly RecordChange[], version: number): void {
    for (const { group, leaf, value } of changes) {
      const own = this.unsynced.get(group)
      if (own?.get(leaf)?.version === version) {
        own.delete(leaf)
        if (own.size === 0) this.unsynced.delete(group)
      }
      if (pointOnly(group)) this.remember(group, leaf, value)
      else this.settle(this.group(group), group, leaf, value)
    }
  }

  /** Takes a record out of memory at once; the write that removes it from the disk may trail. */
  discard(group: string, leaf: string): Write {
    if (pointOnly(group)) this.forget(`${group}\0${leaf}`)
    else {
      this.weigh(group, leaf, 0)
      this.settle(this.group(group), group, leaf, undefined)
    }
    return { key: this.key(group, leaf), value: undefined }
  }

  /** Brings a whole group into memory. Records that changed meanwhile are newer than the pages and stay. */
  load(group: string): Promise<void> {
    const running = this.loads.get(group)
    if (running) return running
    const load = this.loadPages(group).finally(() => this.loads.delete(group))
    this.loads.set(group, load)
    return load
  }

  /** Says that a group is known to hold nothing, without looking. */
  assumeEmpty(group: string): void {
    this.group(group).complete = true
  }

  /** A view of the synced state as it is now, for a query that must wait. `release` it. */
  snapshot(): { view: View; release: () => void } {
    const snapshot = new Snapshot(this.synced)
    this.snapshots.add(snapshot)
    return { view: snapshot, release: () => this.snapshots.delete(snapshot) }
  }

  /** Nothing waits to be synced, loads, or is looked at. */
  get quiet(): boolean {
    return this.unsynced.size === 0 && this.loads.size === 0 && this.snapshots.size === 0
  }

  /** Store key of a record. */
  key(name: string, leaf: string): Uint8Array {
    const group = this.group(name)
    const known = group.keys.get(leaf)
    if (known) return known
    const key = recordKey(group.start, this.sealer.storeName(`${name}\0${leaf}`))
    if (group.keys.size < KEYS && !pointOnly(name)) group.keys.set(leaf, key)
    return key
  }

  /** First store key of a group's records. */
  start(group: string): Uint8Array {
    return this.group(group).start
  }

  /** Opens a record as it lies in the store. */
  open(key: Uint8Array, sealed: Uint8Array): readonly [group: string, leaf: string, value: Json] {
    const plain = this.sealer.open(key, sealed)
    if (!plain)
      throw new PicoError('store.corrupt', 'A record of a pico does not open with its key.', { file: 'record' })
    return JSON.parse(Buffer.from(plain.buffer, plain.byteOffset, plain.length).toString('utf8'))
  }

  seal(key: Uint8Array, group: string, leaf: string, value: Json): Uint8Array {
    return this.sealer.seal(key, Buffer.from(JSON.stringify([group, leaf, value]), 'utf8'))
  }

  private group(name: string): Group {
    let group = this.groups.get(name)
    if (!group) {
      const start = groupStart(this.pico, this.sealer.storeName(name))
      group = { start, complete: this.newborn, leaves: new Map(), absent: new Set(), keys: new Map(), rows: undefined }
      this.groups.set(name, group)
    }
    return group
  }

  private newestValue(group: string, leaf: string): Json | undefined {
    const own = this.unsynced.get(group)?.get(leaf)
    return own ? own.value : this.syncedValue(group, leaf)
  }

  private newestRows(group: string): readonly (readonly [string, Json])[] {
    const rows = this.syncedRows(group)
    const own = this.unsynced.get(group)
    return own
      ? overlaid(
          rows,
          [...own].map(([leaf, { value }]) => [leaf, value]),
        )
      : rows
  }

  private syncedValue(name: string, leaf: string): Json | undefined {
    if (pointOnly(name)) return this.recentValue(name, leaf)
    const group = this.group(name)
    const value = group.leaves.get(leaf)
    if (value !== undefined || group.complete || group.absent.has(leaf)) return value
    const found = this.fetch(name, leaf)
    if (found === undefined) this.noteAbsent(group, name, leaf)
    else group.leaves.set(leaf, found)
    return found
  }

  private syncedRows(name: string): readonly (readonly [string, Json])[] {
    assert(!pointOnly(name), 'ids seen are looked up, never listed')
    const group = this.group(name)
    if (!group.complete) throw new Need([{ kind: 'read', groups: [name] }])
    group.rows ??= [...group.leaves]
    return group.rows
  }

  private recentValue(group: string, leaf: string): Json | undefined {
    const name = `${group}\0${leaf}`
    if (this.recent.has(name)) return this.recent.get(name)
    return this.newborn && !this.older?.may(name) ? undefined : this.fetch(group, leaf)
  }

  private remember(group: string, leaf: string, value: Json | undefined): void {
    this.recent.set(`${group}\0${leaf}`, value)
    if (this.recent.size > RECENT) this.forget(this.recent.keys().next().value as string)
  }

  /** From now on the disk says what it is. */
  private forget(name: string): void {
    this.recent.delete(name)
    if (!this.newborn) return
    this.older ??= new Filter()
    this.older.add(name)
  }

  private fetch(group: string, leaf: string): Json | undefined {
    const key = this.key(group, leaf)
    const sealed = this.store.get(key)
    if (!sealed) return undefined
    this.weighRead(group, leaf, sealed.length)
    return this.open(key, sealed)[2]
  }

  private settle(group: Group, name: string, leaf: string, value: Json | undefined): void {
    for (const snapshot of this.snapshots) snapshot.keep(name, leaf, group.leaves.get(leaf))
    if (value !== undefined && !group.leaves.has(leaf)) this.bytes += RECORD
    if (value === undefined) {
      group.leaves.delete(leaf)
      if (!group.complete) this.noteAbsent(group, name, leaf)
    } else {
      group.leaves.set(leaf, value)
      group.absent.delete(leaf)
    }
    group.rows = undefined
  }

  // While pages are read none is forgotten: a page read before may still hold what was deleted since.
  private noteAbsent(group: Group, name: string, leaf: string): void {
    group.absent.add(leaf)
    if (group.absent.size > ABSENT && !this.loads.has(name))
      group.absent.delete(group.absent.values().next().value as string)
  }

  private async loadPages(name: string): Promise<void> {
    const group = this.group(name)
    const end = endOf(group.start)
    for (let from = group.start; !group.complete; ) {
      const page = await this.store.range(from, end, PAGE)
      for (const { key, value } of page) {
        const [, leaf, opened] = this.open(key, value)
        this.weighRead(name, leaf, value.length)
        if (!group.leaves.has(leaf) && !group.absent.has(leaf)) group.leaves.set(leaf, opened)
      }
      const last = page.at(-1)
      if (last && page.length === PAGE) from = after(last.key)
      else group.complete = true
    }
    group.absent.clear()
    group.rows = undefined
  }
}

/** The synced state of one moment: what changes later is looked up in what it was. */
class Snapshot implements View {
  private readonly now: View
  private readonly before = new Map<string, Map<string, Json | undefined>>()

  constructor(now: View) {
    this.now = now
  }

  get(group: string, leaf: string): Json | undefined {
    const kept = this.before.get(group)
    return kept?.has(leaf) ? kept.get(leaf) : this.now.get(group, leaf)
  }

  list(group: string): readonly (readonly [string, Json])[] {
    const kept = this.before.get(group)
    return kept ? overlaid(this.now.list(group), [...kept]) : this.now.list(group)
  }

  keep(group: string, leaf: string, value: Json | undefined): void {
    let kept = this.before.get(group)
    if (!kept) {
      kept = new Map()
      this.before.set(group, kept)
    }
    if (!kept.has(leaf)) kept.set(leaf, value)
  }
}

function overlaid(
  rows: readonly (readonly [string, Json])[],
  over: readonly (readonly [string, Json | undefined])[],
): (readonly [string, Json])[] {
  const own = new Map(over)
  const result = rows.filter(([leaf]) => !own.has(leaf))
  for (const [leaf, value] of own) if (value !== undefined) result.push([leaf, value])
  return result
}
