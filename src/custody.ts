// Who holds a pico: frozen and thawed, carried to another engine as sealed bytes, retired, activated, destroyed
// (DESIGN 5, a move; 4, Several picos). Every status is one synced write; each can be repeated after a crash.

import type { Alarms } from './alarms.ts'
import type { CommitQueue } from './commit.ts'
import type { Dispatch } from './dispatch.ts'
import { asPicoError, PicoError } from './errors.ts'
import type { Clock, Json, JsonObject, PicoId, RecordChange, Store, Write } from './ports.ts'
import type { PicoStatus, Registered, Registry } from './registry.ts'
import { type Head, type InboxRecord, type Job, OWN, type Resident } from './resident.ts'
import { after, endOf, idBytes, keysKey, PREFIX, pendingKey, picoStart, recordKey, registryKey } from './stores/keys.ts'

/** A record as it lies in the store, opened for hashing. `name` is the store key without the pico: 32 bytes. */
export interface CarriedRecord {
  readonly name: Uint8Array
  readonly sealed: Uint8Array
  readonly group: string
  readonly leaf: string
  readonly value: Json
}

export interface CustodyWorld {
  readonly clock: Clock
  readonly commit: CommitQueue
  readonly registry: Registry
  readonly alarms: Alarms
  readonly dispatch: Dispatch
  readonly store: Store
  resident(picoId: PicoId): Resident
  loaded(picoId: PicoId): Resident | undefined
  drop(resident: Resident): void
  again(picoId: PicoId, waiting: Job): void
  keep(resident: Resident, waiting: Job, group: string): void
  tell(event: { picoId: PicoId; status: PicoStatus | 'gone' }): void
  fault(fault: PicoError): void
}

/** How long a freeze waits for letters on their way, ms, and how often it looks. */
const SENDING_MS = 5000
const LOOK_MS = 5
const PAGE = 1000

export class Custody {
  private readonly world: CustodyWorld
  private readonly running = new Set<Promise<void>>()
  private readonly erasing = new Set<PicoId>()
  private compacting: Promise<void> | undefined
  private compactAgain = false

  constructor(world: CustodyWorld) {
    this.world = world
  }

  // ---- moving ------------------------------------------------------------------------------------------------

  /** Stops steps and letters of a pico: mail queues, queries go on. Resolves when its records stand still; a step that
   *  waits for an effect ends first. */
  async freeze(picoId: PicoId): Promise<{ seq: number; epoch: number }> {
    this.expect(picoId, 'live', 'frozen')
    return this.pinned(picoId, resident => this.freezeResident(resident))
  }

  private async freezeResident(resident: Resident): Promise<{ seq: number; epoch: number }> {
    const { registry, dispatch, commit } = this.world
    const { picoId } = resident
    resident.status = 'frozen'
    await this.until(() => resident.dropped || (!resident.busy && !resident.loading))
    await this.until(() => resident.dropped || !dispatch.sending(resident), SENDING_MS)
    if (resident.dropped) throw new PicoError('store.unavailable', 'The disk failed while the pico was being frozen.')
    dispatch.release(resident)
    await commit.idle()
    await this.write(registry.statusWrites(picoId, 'frozen'))
    this.noteStatus(picoId, 'frozen')
    // A record in the inbox travels; a letter's report and a timer come again from what stands on disk.
    for (const waiting of resident.queue.splice(0)) {
      const kind = waiting.stimulus?.kind
      if (waiting.record || kind === 'letter' || kind === 'timer') continue
      this.world.again(picoId, waiting)
    }
    await commit.idle()
    return { seq: resident.head.seq, epoch: resident.head.epoch }
  }

  /** A frozen pico goes on here: mail that queued is applied in its order. */
  async thaw(picoId: PicoId): Promise<void> {
    this.expect(picoId, 'frozen', 'live')
    await this.write(this.world.registry.statusWrites(picoId, 'live'))
    await this.wakeAs(picoId, 'live')
  }

  /** The records of a pico in key order, a page at a time, mail held for forwarding left out; `next` continues. */
  async export(
    picoId: PicoId,
    from?: Uint8Array,
    limit = PAGE,
  ): Promise<{ records: CarriedRecord[]; next?: Uint8Array }> {
    const { records } = this.world.resident(picoId)
    const start = picoStart(idBytes(picoId))
    const held = Buffer.from(records.start(OWN.held))
    const page = await this.world.store.range(from ?? start, endOf(start), limit)
    const found = page.flatMap(({ key, value: sealed }): CarriedRecord[] => {
      if (held.equals(key.subarray(0, held.length))) return []
      const [group, leaf, value] = records.open(key, sealed)
      return [{ name: key.slice(start.length), sealed, group, leaf, value }]
    })
    const last = page.at(-1)
    return last && page.length === limit ? { records: found, next: after(last.key) } : { records: found }
  }

  /** The pico's keys as this engine's master key wraps them: `Vault.rewrap` makes them another engine's. */
  wrappedKeys(picoId: PicoId): Uint8Array {
    const wrapped = this.world.registry.wrappedKeys(picoId)
    if (!wrapped) throw new PicoError('pico.unknown', 'No such pico here.')
    return wrapped
  }

  /** Does a key or channel of a pico that arrives lead to another pico of this engine? */
  leadsElsewhere(key: string, picoId: PicoId): boolean {
    return this.world.registry.leadsElsewhere(key, picoId)
  }

  /** Begins to receive a pico, inert: nobody finds it, nothing of it runs. `wrapped` by this engine's master key. */
  async receive(picoId: PicoId, wrapped: Uint8Array): Promise<void> {
    const { registry, clock } = this.world
    const there = registry.get(picoId)
    // A retired copy under the same keys makes room when the pico comes back; its tombstone stands until the commit.
    if (there && there.status !== 'inert' && there.status !== 'retired')
      throw new PicoError('pico.exists', 'The pico is here already.', { picoId })
    if (there) return
    const { registered, writes } = registry.add(picoId, 'inert', wrapped, clock.now())
    await this.write([...writes, { key: pendingKey(idBytes(picoId)), value: new Uint8Array(0) }])
    registry.putDone(registered)
    this.world.tell({ picoId, status: 'inert' })
  }

  /** Writes carried records of a pico that does not run here, byte for byte; undefined deletes one that is gone at the
   *  source. */
  async import(
    picoId: PicoId,
    records: readonly { readonly name: Uint8Array; readonly sealed: Uint8Array | undefined }[],
  ): Promise<void> {
    this.expect(picoId, 'inert', 'retired')
    const start = picoStart(idBytes(picoId))
    await this.write(records.map(({ name, sealed }) => ({ key: recordKey(start, name), value: sealed })))
    for (const waiting of await this.dropped(picoId)) this.world.again(picoId, waiting)
  }

  /** The commit of a move arrived here: mail for the pico is found and kept, nothing runs yet. */
  async hold(picoId: PicoId): Promise<void> {
    const { registry } = this.world
    if (this.expect(picoId, 'inert', 'retired', 'frozen') === 'frozen') return
    const { tombstone: _, ...registered } = registry.get(picoId) as Registered
    const held: Registered = { ...registered, status: 'frozen' }
    await this.pinned(picoId, async resident => {
      const binds = await this.bindWrites(resident, true)
      await this.write([...registry.put(held), ...binds])
    })
    registry.putDone(held)
    await this.wakeAs(picoId, 'frozen')
  }

  /** The pico lives here from now on, under `epoch`; `changes` come with it. */
  async activate(picoId: PicoId, epoch: number, changes: readonly RecordChange[] = []): Promise<void> {
    const { registry, alarms } = this.world
    if (this.expect(picoId, 'inert', 'frozen', 'live') === 'live') return
    await this.pinned(picoId, async resident => {
      const binds = await this.bindWrites(resident, true)
      const head: Head = { ...resident.head, epoch }
      const change: RecordChange = { group: OWN.head, leaf: 'head', value: head as unknown as Json }
      await this.write([
        ...registry.statusWrites(picoId, 'live'),
        ...binds,
        ...resident.records.prepare([...changes, change]),
        ...alarms.writes(picoId, null, head.alarm),
      ])
    })
    await this.wakeAs(picoId, 'live')
  }

  /** The commit point of a move at its source: from here on this engine never acts for the pico. */
  async retire(picoId: PicoId, tombstone: JsonObject): Promise<void> {
    const { registry, alarms } = this.world
    if (this.expect(picoId, 'frozen', 'retired') === 'retired') return
    const retired: Registered = { ...(registry.get(picoId) as Registered), status: 'retired', tombstone }
    await this.pinned(picoId, async resident => {
      await this.write([...registry.put(retired), ...alarms.writes(picoId, resident.head.alarm, null)])
      registry.putDone(retired)
      resident.status = 'retired'
      alarms.set(picoId, null)
      this.world.tell({ picoId, status: 'retired' })
      for (const waiting of resident.queue.splice(0)) this.world.again(picoId, waiting)
    })
  }

  /** The target is active: who asks for the pico is sent to `movedTo`, its base URL. */
  async forwardTo(picoId: PicoId, movedTo: string): Promise<void> {
    const { registry } = this.world
    this.expect(picoId, 'retired')
    const registered = registry.get(picoId) as Registered
    if (registered.tombstone?.movedTo === movedTo) return
    const told: Registered = { ...registered, tombstone: { ...registered.tombstone, movedTo } }
    await this.write(registry.put(told))
    registry.putDone(told)
    for (const waiting of this.world.loaded(picoId)?.queue.splice(0) ?? []) this.world.again(picoId, waiting)
  }

  /** Mail that came for a frozen or retired pico, oldest first, as it was received. */
  async held(picoId: PicoId): Promise<{ leaf: string; stored: Json }[]> {
    const records = await this.pinned(picoId, async resident => {
      await resident.records.load(OWN.held)
      return resident.records
    })
    const mail = records.synced.list(OWN.held).map(([leaf, value]) => ({ leaf, ...(value as unknown as InboxRecord) }))
    return mail
      .sort((a, b) => a.n - b.n)
      .flatMap(record => ('stored' in record ? { leaf: record.leaf, stored: record.stored } : []))
  }

  /** A held record was taken by the target. */
  async forwarded(picoId: PicoId, leaf: string): Promise<void> {
    const resident = this.world.resident(picoId)
    resident.held--
    await this.write([resident.records.discard(OWN.held, leaf)])
  }

  /** Removes what this engine has of a pico that is not live here: an aborted arrival, or a tombstone. */
  async forget(picoId: PicoId): Promise<void> {
    if (!this.world.registry.get(picoId)) return
    this.expect(picoId, 'inert', 'retired', 'frozen', 'destroying')
    await this.pinned(picoId, async resident => {
      await this.until(() => resident.dropped || !resident.loading)
      await this.write([
        ...this.world.registry.statusWrites(picoId, 'destroying'),
        { key: pendingKey(resident.pico), value: new Uint8Array(0) },
      ])
      resident.status = 'destroying'
      this.world.dispatch.release(resident)
      await this.track(this.eraseKeys(resident))
    })
  }

  // ---- destroying --------------------------------------------------------------------------------------------

  /** The pico asked to go and that is on disk: its goodbyes leave or expire, then its keys are destroyed. */
  leave(resident: Resident): void {
    const gone = new PicoError('pico.destroyed', 'The pico is being deleted.')
    for (const waiting of resident.queue.splice(0)) waiting.settle(gone)
    this.noteStatus(resident.picoId, 'destroying')
    if (resident.lanes.size === 0) this.erase(resident)
  }

  /** Destroys keys and records of a pico whose last letter left. */
  erase(resident: Resident): void {
    void this.track(this.eraseKeys(resident))
  }

  /** Goes on where a crash interrupted: the keys are gone, records may still lie there. */
  eraseRest(picoId: PicoId): void {
    void this.track(this.eraseRecords(picoId))
  }

  /** Resolves when no destruction and no compaction is under way: then the keys are in no file. */
  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running)
    await this.compacting
  }

  // The keys go first and in one write; without them the rest is noise.
  private async eraseKeys(resident: Resident): Promise<void> {
    const { picoId, head } = resident
    if (this.erasing.has(picoId)) return
    this.erasing.add(picoId)
    resident.pins++
    try {
      const binds = await this.bindWrites(resident, false)
      const alarm = this.world.alarms.writes(picoId, head.alarm, null)
      await this.write([{ key: keysKey(resident.pico), value: undefined }, ...binds, ...alarm])
      this.world.alarms.set(picoId, null)
      this.world.drop(resident)
      await this.eraseRecords(picoId)
    } finally {
      this.erasing.delete(picoId)
    }
  }

  private async eraseRecords(picoId: PicoId): Promise<void> {
    const { store, registry } = this.world
    const pico = idBytes(picoId)
    const start = picoStart(pico)
    for (;;) {
      const page = await store.range(start, endOf(start), PAGE)
      if (page.length > 0) await this.write(page.map(({ key }) => ({ key, value: undefined })))
      if (page.length < PAGE) break
    }
    await this.write([
      { key: registryKey(pico), value: undefined },
      { key: pendingKey(pico), value: undefined },
    ])
    registry.removeDone(picoId)
    this.world.tell({ picoId, status: 'gone' })
    this.compact()
  }

  private compact(): void {
    if (this.compacting) {
      this.compactAgain = true
      return
    }
    const range = [Uint8Array.of(PREFIX.keys), Uint8Array.of(PREFIX.keys + 1)] as const
    this.compacting = this.world.store
      .compact(...range)
      .catch(thrown => this.world.fault(asPicoError(thrown)))
      .then(() => {
        this.compacting = undefined
        if (!this.compactAgain) return
        this.compactAgain = false
        this.compact()
        return this.compacting
      })
  }

  // ---- common ------------------------------------------------------------------------------------------------

  private async bindWrites({ picoId, records }: Resident, bound: boolean): Promise<Write[]> {
    const { registry } = this.world
    await records.load(OWN.bind)
    const binds = records.synced.list(OWN.bind).map(([key]) => ({ key, bound }))
    registry.bindsDone(binds, picoId)
    return registry.bindWrites(binds, picoId)
  }

  private async wakeAs(picoId: PicoId, status: PicoStatus): Promise<void> {
    const { alarms } = this.world
    const waiting = await this.dropped(picoId)
    this.noteStatus(picoId, status)
    const resident = this.world.resident(picoId)
    for (const job of waiting) this.world.again(picoId, job)
    if (status === 'live' && resident.head.alarm !== null) alarms.set(picoId, resident.head.alarm)
  }

  /** The pico stays in memory while `work` is under way. */
  private async pinned<T>(picoId: PicoId, work: (resident: Resident) => Promise<T>): Promise<T> {
    const resident = this.world.resident(picoId)
    resident.pins++
    try {
      return await work(resident)
    } finally {
      resident.pins--
    }
  }

  // Out of memory, once all that memory knew is on disk; what waits is handed back.
  private async dropped(picoId: PicoId): Promise<Job[]> {
    for (;;) {
      const old = this.world.loaded(picoId)
      if (!old) return []
      if (old.unsynced === 0) {
        const waiting = old.queue.splice(0)
        this.world.drop(old)
        return waiting
      }
      await this.world.commit.idle()
    }
  }

  private noteStatus(picoId: PicoId, status: PicoStatus): void {
    const registered = this.world.registry.get(picoId)
    if (registered) this.world.registry.putDone({ ...registered, status })
    this.world.tell({ picoId, status })
  }

  private expect(picoId: PicoId, ...allowed: PicoStatus[]): PicoStatus {
    const status = this.world.registry.get(picoId)?.status
    if (!status) throw new PicoError('pico.unknown', 'No such pico here.')
    if (!allowed.includes(status)) throw new PicoError('pico.state', `The pico is ${status}.`, { picoId, status })
    return status
  }

  private write(writes: readonly Write[]): Promise<void> {
    return this.world.commit.write(writes)
  }

  private async until(settled: () => boolean, limit = Infinity): Promise<void> {
    const { clock } = this.world
    const end = clock.now() + limit
    while (!settled() && clock.now() < end)
      await new Promise<void>(resolve => clock.wake(clock.now() + LOOK_MS, resolve))
  }

  private track(work: Promise<void>): Promise<void> {
    const tracked = work.catch(thrown => this.world.fault(asPicoError(thrown)))
    this.running.add(tracked)
    return tracked.finally(() => this.running.delete(tracked))
  }
}
