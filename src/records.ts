// The records of one pico between memory (pico.ts) and the store: read when they are asked for, laid over, merged when they
// are on disk; a query that waits keeps the state it began with (law L9). Values are sealed and names hashed on the way
// out, opened on the way in (law L7).

import type { Sealer } from '../wallet/vault.ts'
import { PicoError } from './errors.ts'
import { Filter } from './filter.ts'
import { type Group, Memory, overlaid, pointOnly } from './pico.ts'
import type { Json, RecordChange, Store, View, Write } from './ports.ts'
import { after, endOf, groupStart, recordKey } from './stores/keys.ts'

/** What the store calls a group's records. */
interface Named {
  readonly start: Uint8Array
  /** Store keys of leaves written before: a keyed hash less. */
  readonly keys: Map<string, Uint8Array>
}

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

export class PicoRecords extends Memory {
  /** Rough size in memory. */
  bytes = 0

  private readonly store: Store
  private readonly sealer: Pick<Sealer, 'storeName' | 'seal' | 'open'>
  private readonly pico: Uint8Array
  private readonly names = new Map<string, Named>()
  private readonly loads = new Map<string, Promise<void>>()
  private readonly snapshots = new Set<Snapshot>()
  /** Bytes of large records in memory. */
  private readonly large = new Map<string, number>()
  private version = 0

  constructor(store: Store, sealer: Pick<Sealer, 'storeName' | 'seal' | 'open'>, pico: Uint8Array, newborn = false) {
    super(newborn)
    this.store = store
    this.sealer = sealer
    this.pico = pico
  }

  /** Seals changes. Nothing is changed before `lay`; throws what reading the disk throws. */
  prepare(changes: readonly RecordChange[]): Write[] {
    return changes.map(({ group, leaf, value }): Write => {
      // The state before stays at hand until the sync: queries read it, and snapshots keep it.
      if (!pointOnly(group)) this.synced.get(group, leaf)
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
    const { start, keys } = this.named(name)
    const known = keys.get(leaf)
    if (known) return known
    const key = recordKey(start, this.sealer.storeName(`${name}\0${leaf}`))
    if (keys.size < KEYS && !pointOnly(name)) keys.set(leaf, key)
    return key
  }

  /** First store key of a group's records. */
  start(group: string): Uint8Array {
    return this.named(group).start
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

  private named(name: string): Named {
    let named = this.names.get(name)
    if (!named) {
      named = { start: groupStart(this.pico, this.sealer.storeName(name)), keys: new Map() }
      this.names.set(name, named)
    }
    return named
  }

  private group(name: string): Group {
    let group = this.groups.get(name)
    if (!group) {
      group = { complete: this.newborn, leaves: new Map(), absent: new Set(), rows: undefined }
      this.groups.set(name, group)
    }
    return group
  }

  protected read(name: string, leaf: string): Json | undefined {
    const found = this.fetch(name, leaf)
    if (pointOnly(name)) return found
    const group = this.group(name)
    if (found === undefined) this.noteAbsent(group, name, leaf)
    else group.leaves.set(leaf, found)
    return found
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
    const { start } = this.named(name)
    const end = endOf(start)
    for (let from = start; !group.complete; ) {
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
