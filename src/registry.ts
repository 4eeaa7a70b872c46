// The engine's own tables: which picos there are and where they stand, their wrapped keys, and the directory that
// leads a recipient key or an ECI to its pico. All sealed under the engine key; nothing is loaded before it is asked
// for, so that start-up does not depend on the number of picos. Writes are handed back for the caller's batch.

import type { Sealer, Vault } from '../wallet/vault.ts'
import { PicoError } from './errors.ts'
import type { Bind, Json, JsonObject, PicoId, Store, Write } from './ports.ts'
import {
  after,
  directoryKey,
  endOf,
  engineKey,
  idBytes,
  keysKey,
  PREFIX,
  pendingKey,
  picoOfKey,
  registryKey,
} from './stores/keys.ts'

/** live: steps run. frozen: mail queues, nothing runs. retired: moved away, mail is forwarded. inert: received, not yet
 *  active. destroying: keys are gone or going. */
export type PicoStatus = 'live' | 'frozen' | 'retired' | 'inert' | 'destroying'

export interface Registered {
  readonly picoId: PicoId
  readonly status: PicoStatus
  /** Order of creation on this engine. */
  readonly ordinal: number
  readonly createdAt: number
  /** Retired: what the move left; `movedTo` in it is the base URL of the target. */
  readonly tombstone?: JsonObject
}

const CACHE = 20_000
const PAGE = 1000

export class Registry {
  private readonly store: Store
  private readonly vault: Vault
  /** What was looked up before, and what was bound since. */
  readonly directory = new Map<string, PicoId | undefined>()
  private readonly known = new Map<PicoId, Registered>()
  /** All picos, once somebody asked for the list. */
  private all: Map<PicoId, Registered> | undefined
  private nextOrdinal: number | undefined

  constructor(store: Store, vault: Vault) {
    this.store = store
    this.vault = vault
  }

  // ---- picos -------------------------------------------------------------------------------------------------

  get(picoId: PicoId): Registered | undefined {
    const cached = this.known.get(picoId)
    if (cached) return cached
    const key = registryKey(idBytes(picoId))
    const sealed = this.store.get(key)
    if (!sealed) return undefined
    const found = this.open(key, sealed) as unknown as Registered
    remember(this.known, picoId, found)
    return found
  }

  /** All picos in order of creation. */
  async list(): Promise<Registered[]> {
    this.all ??= await this.loadAll()
    return [...this.all.values()].sort((a, b) => a.ordinal - b.ordinal)
  }

  /** The record of a pico that is made or received now, with the writes that keep it and its wrapped keys. */
  add(
    picoId: PicoId,
    status: PicoStatus,
    wrapped: Uint8Array,
    now: number,
  ): { registered: Registered; writes: Write[] } {
    const name = engineKey(this.vault.engine.storeName('ordinal'))
    if (this.nextOrdinal === undefined) {
      const sealed = this.store.get(name)
      this.nextOrdinal = sealed ? (this.open(name, sealed) as number) : 0
    }
    const registered: Registered = { picoId, status, ordinal: this.nextOrdinal++, createdAt: now }
    const writes: Write[] = [
      ...this.put(registered),
      { key: keysKey(idBytes(picoId)), value: wrapped },
      { key: name, value: this.seal(name, this.nextOrdinal) },
    ]
    return { registered, writes }
  }

  put(registered: Registered): Write[] {
    const key = registryKey(idBytes(registered.picoId))
    return [{ key, value: this.seal(key, registered as unknown as Json) }]
  }

  statusWrites(picoId: PicoId, status: PicoStatus): Write[] {
    const registered = this.get(picoId)
    return registered ? this.put({ ...registered, status }) : []
  }

  /** The record is on disk. */
  putDone(registered: Registered): void {
    remember(this.known, registered.picoId, registered)
    this.all?.set(registered.picoId, registered)
  }

  removeDone(picoId: PicoId): void {
    this.known.delete(picoId)
    this.all?.delete(picoId)
  }

  wrappedKeys(picoId: PicoId): Uint8Array | undefined {
    return this.store.get(keysKey(idBytes(picoId)))
  }

  /** The pico's keys at work. Throws `store.corrupt` when they do not open. */
  sealer(picoId: PicoId): Sealer {
    const wrapped = this.wrappedKeys(picoId)
    const sealer = wrapped && this.vault.pico(picoId, wrapped)
    if (!sealer) throw new PicoError('store.corrupt', 'The keys of a pico do not open.', { picoId, file: 'keys' })
    return sealer
  }

  /** Retired, and the target has not yet said that it is active: whoever asks waits as for a frozen pico. */
  isLeaving(picoId: PicoId): boolean {
    const registered = this.get(picoId)
    return registered?.status === 'retired' && registered.tombstone?.movedTo === undefined
  }

  /** What who asks for a retired pico is told: where to go, nothing else of what the move left. */
  moved(picoId: PicoId): PicoError {
    const movedTo = this.get(picoId)?.tombstone?.movedTo
    if (movedTo === undefined)
      return new PicoError('pico.frozen', 'The pico is moving; try again.', { retryAfter_s: 1 })
    return new PicoError('pico.moved', 'The pico lives on another engine now.', { movedTo })
  }

  // ---- directory ---------------------------------------------------------------------------------------------

  /** Pico of `key:…` or `eci:…`; synced binds only. */
  lookup(key: string): PicoId | undefined {
    if (this.directory.has(key)) return this.directory.get(key)
    const at = directoryKey(this.vault.engine.storeName(key))
    const sealed = this.store.get(at)
    const found = sealed && (this.open(at, sealed) as PicoId)
    remember(this.directory, key, found)
    return found
  }

  /** The pico that an ECI leads to; none when it has moved away. */
  atHome(eci: string): PicoId | undefined {
    const picoId = this.lookup(`eci:${eci}`)
    const status = picoId && this.get(picoId)?.status
    return status === 'live' || status === 'frozen' ? picoId : undefined
  }

  /** Does this name lead to another pico of this engine? */
  leadsElsewhere(key: string, picoId: PicoId): boolean {
    const there = this.lookup(key)
    return there !== undefined && there !== picoId && this.get(there) !== undefined
  }

  // What leads to one pico no other takes over or takes away: of a pico that moved in, every record is the word of the
  // engine it came from.
  private allowed(binds: readonly Bind[], picoId: PicoId): readonly Bind[] {
    return binds.filter(({ key }) => !this.leadsElsewhere(key, picoId))
  }

  bindWrites(binds: readonly Bind[], picoId: PicoId): Write[] {
    return this.allowed(binds, picoId).map(({ key, bound }) => {
      const at = directoryKey(this.vault.engine.storeName(key))
      return { key: at, value: bound ? this.seal(at, picoId) : undefined }
    })
  }

  bindsDone(binds: readonly Bind[], picoId: PicoId): void {
    for (const { key, bound } of this.allowed(binds, picoId)) remember(this.directory, key, bound ? picoId : undefined)
  }

  // ---- the engine's named records, and the index of picos with something pending ------------------------------

  named(name: string): Json | undefined {
    const key = engineKey(this.vault.engine.storeName(name))
    const sealed = this.store.get(key)
    return sealed && this.open(key, sealed)
  }

  namedWrite(name: string, value: Json | undefined): Write {
    const key = engineKey(this.vault.engine.storeName(name))
    return { key, value: value === undefined ? undefined : this.seal(key, value) }
  }

  isPending(picoId: PicoId): boolean {
    return this.store.get(pendingKey(idBytes(picoId))) !== undefined
  }

  /** Pages through the picos that may have letters or mail. */
  async *pending(): AsyncGenerator<PicoId> {
    const end = endOf(Uint8Array.of(PREFIX.pending))
    for (let from: Uint8Array = Uint8Array.of(PREFIX.pending); ; ) {
      const page = await this.store.range(from, end, PAGE)
      for (const { key } of page) yield picoOfKey(key)
      const last = page.at(-1)
      if (!last || page.length < PAGE) return
      from = after(last.key)
    }
  }

  /** Drops all that was remembered; the store says what is true. */
  reset(): void {
    this.directory.clear()
    this.known.clear()
    this.all = undefined
    this.nextOrdinal = undefined
  }

  private async loadAll(): Promise<Map<PicoId, Registered>> {
    const found = new Map<PicoId, Registered>()
    const end = endOf(Uint8Array.of(PREFIX.registry))
    for (let from: Uint8Array = Uint8Array.of(PREFIX.registry); ; ) {
      const page = await this.store.range(from, end, PAGE)
      for (const { key, value } of page) found.set(picoOfKey(key), this.open(key, value) as unknown as Registered)
      const last = page.at(-1)
      if (!last || page.length < PAGE) break
      from = after(last.key)
    }
    for (const [picoId, registered] of this.known) found.set(picoId, registered)
    return found
  }

  private open(key: Uint8Array, sealed: Uint8Array): Json {
    const plain = this.vault.engine.open(key, sealed)
    if (!plain)
      throw new PicoError('store.corrupt', "A record of the engine's tables does not open.", { file: 'record' })
    return JSON.parse(Buffer.from(plain.buffer, plain.byteOffset, plain.length).toString('utf8'))
  }

  private seal(key: Uint8Array, value: Json): Uint8Array {
    return this.vault.engine.seal(key, Buffer.from(JSON.stringify(value), 'utf8'))
  }
}

function remember<K, V>(cache: Map<K, V>, key: K, value: V): void {
  if (cache.size >= CACHE && !cache.has(key)) cache.delete(cache.keys().next().value as K)
  cache.set(key, value)
}
