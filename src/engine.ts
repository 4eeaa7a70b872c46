// The embedded driver (DESIGN 4): a queue per pico over one store. It owns mailbox, placement, commit and timers; what a
// stimulus means is the core's. Commit, then acknowledge, then deliver (law L3).

import type { Vault } from '../wallet/vault.ts'
import { Alarms } from './alarms.ts'
import { Backlog } from './backlog.ts'
import { CommitQueue } from './commit.ts'
import { Custody } from './custody.ts'
import { type Backoff, Dispatch } from './dispatch.ts'
import { asPicoError, errorRow, PicoError } from './errors.ts'
import { Letters } from './letters.ts'
import { Marks } from './marks.ts'
import {
  type Answer,
  type Birth,
  type Clock,
  type EngineFacts,
  type Given,
  type Json,
  type MarkFile,
  Need,
  type Outcome,
  type PicoId,
  type Query,
  type Random,
  type RunQuery,
  type Step,
  type Stimulus,
  type Store,
  type View,
  type World,
} from './ports.ts'
import { type QueryLog, Reading } from './reading.ts'
import { PicoRecords } from './records.ts'
import { type Registered, Registry } from './registry.ts'
import { type Head, JOB, type Job, job, OWN, Resident, type Settled } from './resident.ts'
import { DEAD_EVERY, type Purge, purge, purgeDue, thinDead } from './seen.ts'
import { type Committed, type Rejected, Steps, type StepsWorld } from './steps.ts'
import { idBytes, pendingKey } from './stores/keys.ts'
import { Trial, type TrialLimits, type TrialWorld } from './trial.ts'

export interface EngineLimits extends TrialLimits, Backoff, Purge {
  /** Stimuli waiting per pico; one more is refused with `engine.busy`. */
  readonly queue: number
  /** Picos kept in memory when idle, and their rough size. */
  readonly residents: number
  readonly resident_bytes: number
  /** How long a request waits for a frozen pico, ms. */
  readonly frozen_ms: number
}

const standardLimits: EngineLimits = {
  effect_ms: 10_000,
  step_ms: 30_000,
  reruns: 100,
  first_ms: 1000,
  longest_ms: 300_000,
  dedupe_days: 7,
  dedupe_ids: 1_000_000,
  queue: 10_000,
  residents: 2000,
  resident_bytes: 256 << 20,
  frozen_ms: 10_000,
}

/** A queue longer than this answers "accepted" from the inbox record instead of waiting for its turn. */
const SHORT_QUEUE = 64
/** Mail kept for a pico that is moving or has moved and cannot be handed on yet. */
const HELD = 10_000
/** Steps between two turns of the event loop. */
const SLICE = 32
/** After a failed write: when to look for what is pending again, ms. */
const RESUME_MS = 1000
/** How often the size of what is in memory is looked at, in commits. */
const EVICT_EVERY = 4096
/** How long a stop waits for steps in hand, ms. */
const STOP_MS = 3000

export interface EngineOptions {
  readonly store: Store
  readonly vault: Vault
  readonly clock: Clock
  readonly random: Random
  readonly world: World
  readonly step: Step
  readonly runQuery: RunQuery
  /** Names mail that may be kept on disk before its turn: see `Steps.keepEarly`. Without it none is. */
  readonly peersMail?: StepsWorld['peersMail']
  /** Compiled code by hash, if at hand; `loadCode` brings it there or throws `ruleset.missing`. */
  readonly code: Given['code']
  readonly loadCode?: (hash: string) => Promise<void>
  /** Opens mail as it was received: on acceptance, and again after a restart. Must be safe to repeat. */
  readonly toStimulus: (picoId: PicoId, stored: Json) => Promise<Stimulus | Rejected>
  readonly facts: EngineFacts
  /** Where it is noted what runs, for the case that the process dies of it: src/stores/mark-file.ts. Without one such a
   *  record is tried again at every start. */
  readonly mark?: MarkFile
  readonly limits?: Partial<EngineLimits>
  /** Version of what steps mean, kept in every commit. */
  readonly semantics?: string
  /** Lets the event loop turn; setImmediate unless told otherwise. */
  readonly pause?: () => Promise<void>
}

/** How mail is taken, if not by `EngineOptions.toStimulus` and for nobody who waits. */
export interface Accepting {
  /** Opens it, against the pico's committed keys. */
  readonly open?: () => Promise<Stimulus | Rejected>
  /** For how many ms the line that brought it waits for the letters that answer it (`Done.replies`); they come back with
   *  the result then, instead of leaving by the outbox. Undefined: nobody waits for any. */
  readonly replyWithin?: (opened: Stimulus) => number | undefined
}

/** What `on` tells. */
export interface EngineEvents {
  /** A step is on disk (or, without changes, ended): for live views and logs. */
  committed: Committed
  /** A message was refused and nothing written. */
  rejected: { readonly picoId: PicoId; readonly reason: string; readonly from?: string }
  /** An engine fault: our bug, or the disk. */
  fault: { readonly picoId: PicoId | null; readonly fault: PicoError; readonly attempts: number }
  /** Log records of a query. */
  queried: { readonly picoId: PicoId; readonly query: Query; readonly log: QueryLog }
  /** Mail of a retired pico is on disk and waits to be forwarded. */
  held: { readonly picoId: PicoId }
  /** A pico came, went, or changed its status. */
  registry: { readonly picoId: PicoId; readonly status: Registered['status'] | 'gone' }
}
type Listener<K extends keyof EngineEvents> = (event: EngineEvents[K]) => void

export class Engine {
  readonly limits: EngineLimits
  /** Freezing, moving, destroying. */
  readonly custody: Custody
  private readonly options: EngineOptions
  private readonly clock: Clock
  private readonly store: Store
  private readonly pause: () => Promise<void>
  private readonly registry: Registry
  private readonly commit: CommitQueue
  private readonly steps: Steps
  private readonly dispatch: Dispatch
  private readonly alarms: Alarms
  private readonly marks: Marks
  private readonly trials: TrialWorld
  private readonly reading: Reading
  private readonly backlog: Backlog
  private readonly ask: Given['ask'] = effect => this.reading.ask(effect)
  private readonly residents = new Map<PicoId, Resident>()
  /** Picos with something to do, in the order of their turns. */
  private readonly waiting: Resident[] = []
  private pumping = false
  private stepsSincePause = 0
  /** Picos whose flag in the index of what is pending is being taken away. */
  private readonly unflagging = new Set<PicoId>()
  private readonly creating = new Map<PicoId, Promise<Json>>()
  /** Dead letters of a pico since their number was looked at. */
  private readonly deadSince = new WeakMap<Resident, number>()
  private readonly listeners: { [K in keyof EngineEvents]: Set<Listener<K>> } = {
    committed: new Set(),
    rejected: new Set(),
    fault: new Set(),
    queried: new Set(),
    held: new Set(),
    registry: new Set(),
  }
  private state: 'new' | 'running' | 'stopped' = 'new'
  private commits = 0
  private resuming: Promise<void> = Promise.resolve()

  constructor(options: EngineOptions) {
    const { store, clock, vault } = options
    this.options = options
    this.limits = { ...standardLimits, ...options.limits }
    this.clock = clock
    this.store = store
    this.registry = new Registry(store, vault)
    this.commit = new CommitQueue(store, clock, fault => this.dropAll(fault))
    this.alarms = new Alarms(clock, (picoId, found) => this.ring(picoId, found))
    this.marks = new Marks(options.mark ?? NO_MARK, name => vault.engine.storeName(name))
    this.trials = {
      clock,
      limits: this.limits,
      loadCode: options.loadCode ?? (async () => undefined),
      perform: effect => this.reading.perform(effect),
    }
    this.reading = this.makeReading()
    const letters = this.makeLetters()
    this.dispatch = new Dispatch(
      clock,
      this.limits,
      (letter, from, found) => letters.deliver(letter, from, found),
      (from, letter, how) => letters.left(from, letter, how),
    )
    this.steps = this.makeSteps()
    this.pause = options.pause ?? (() => new Promise<void>(resolve => setImmediate(resolve)))
    this.custody = this.makeCustody()
    this.backlog = this.makeBacklog()
  }

  // ---- life --------------------------------------------------------------------------------------------------

  /** Opens the store and begins to serve; letters, mail and alarms left from before are taken up in the background. */
  async start(): Promise<void> {
    await this.store.open()
    this.marks.start()
    this.state = 'running'
    this.dispatch.start()
    this.resuming = this.resume(() => this.alarms.start(this.store))
  }

  /** Ends: steps in hand finish, those that wait for an effect are given up, all is synced, the store is closed. */
  async stop(): Promise<void> {
    if (this.state !== 'running') return
    this.state = 'stopped'
    this.steps.stop()
    this.dispatch.stop()
    this.alarms.stop()
    const stopping = new PicoError('engine.stopping', 'The engine stops; nothing was done. Try again.')
    const calm = [...this.residents.values()].filter(resident => resident.flagged && nothingPending(resident))
    for (const resident of this.residents.values()) {
      this.dispatch.release(resident)
      for (const waiting of resident.queue.splice(0)) if (!waiting.record) waiting.settle(stopping)
      if (resident.waiting && !resident.inHand?.record) resident.inHand?.settle(stopping)
    }
    await this.resuming
    await this.handsDown()
    await this.custody.idle()
    this.unflag(calm)
    await this.commit.idle()
    await this.store.close()
    // Nothing can be read or written any more; the keys need not wait for the memory to be collected.
    for (const { sealer } of this.residents.values()) sealer.wipe()
  }

  // Steps that only wait for the disk get some time to end.
  private async handsDown(): Promise<void> {
    let late = false
    const cancel = this.clock.wake(this.clock.now() + STOP_MS, () => {
      late = true
    })
    const working = () => [...this.residents.values()].some(resident => resident.busy && !resident.waiting)
    while (!late && working()) await this.pause()
    cancel()
  }

  on<K extends keyof EngineEvents>(event: K, listener: Listener<K>): () => void {
    this.listeners[event].add(listener)
    return () => this.listeners[event].delete(listener)
  }

  // ---- stimuli -----------------------------------------------------------------------------------------------

  /** Gives a stimulus to a pico. `applied`: its answer, once on disk with all its effects. `accepted`: the same, or
   *  `{accepted: true}` once it is on disk and will be applied. `{error: …}` in an answer is the core's refusal.
   *  Throws pico.unknown, pico.moved, pico.frozen, engine.busy, engine.stopping, store.unavailable, engine.fault. */
  async submit(picoId: PicoId, stimulus: Stimulus, wait: 'accepted' | 'applied'): Promise<Json> {
    const settled = await this.enter(picoId, { ...JOB, stimulus, early: wait === 'accepted' })
    if (settled.state === 'accepted') return { accepted: true }
    if (settled.state === 'applied') return settled.answer
    return settled.answer ?? { error: { code: settled.reason, message: 'Refused.' } }
  }

  /** Takes mail for a pico: opens and checks it, then applies it, or keeps it as received when that would take long. */
  async accept(picoId: PicoId, stored: Json, { open, replyWithin }: Accepting = {}): Promise<Settled> {
    const { status } = this.resident(picoId)
    if (status === 'retired') return this.enter(picoId, { ...JOB, early: true, stored })
    const opened = await (open === undefined ? this.options.toStimulus(picoId, stored) : open())
    if ('rejected' in opened) {
      this.tell('rejected', { picoId, ...opened.rejected })
      return { state: 'rejected', ...opened.rejected }
    }
    const ms = replyWithin?.(opened)
    if (ms === undefined) return this.enter(picoId, { ...JOB, stimulus: opened, early: true, stored })
    const claiming: Job = { ...JOB, stimulus: opened, claim: true, stored }
    if (ms === Number.POSITIVE_INFINITY) return this.enter(picoId, claiming)
    const cancel = this.clock.wake(this.clock.now() + ms, () => this.keepLate(picoId, claiming))
    return this.enter(picoId, claiming).finally(cancel)
  }

  // Its turn did not come in time, or it waits for an effect: the sender is told that it is kept. What is being committed
  // is answered in a moment.
  private keepLate(picoId: PicoId, late: Job): void {
    const resident = this.residents.get(picoId)
    if (!resident || resident.loading || this.state !== 'running') return
    const inHand = resident.inHand === late && resident.waiting
    if (inHand || resident.queue.includes(late)) this.steps.keepEarly(resident, late)
  }

  private enter(picoId: PicoId, entered: Job): Promise<Settled> {
    return new Promise((resolve, reject) => {
      entered.settle = result => (result instanceof PicoError ? reject(result) : resolve(result))
      const resident = this.resident(picoId)
      // What the driver itself has for a pico (timers, reports of letters) is never refused: it would not come again.
      if (resident.queue.length >= this.limits.queue || resident.held >= HELD)
        throw new PicoError('engine.busy', 'Too much waits for this pico.', { retryAfter_s: 1 })
      this.place(resident, entered)
    })
  }

  /** Puts a job where the pico's status says. */
  private place(resident: Resident, placed: Job): void {
    if (this.state !== 'running') throw new PicoError('engine.stopping', 'The engine is not running.')
    const { status, loading, waiting, queue } = resident
    if (status === 'destroying') throw new PicoError('pico.destroyed', 'The pico is being deleted.')
    if (status === 'inert') throw new PicoError('pico.unknown', 'No such pico here.')
    if (status === 'retired' && placed.stored === undefined && !this.registry.isLeaving(resident.picoId))
      throw this.registry.moved(resident.picoId)
    if (loading || status === 'live') {
      queue.push(placed)
      if (placed.early && !loading && (waiting || queue.length > SHORT_QUEUE)) this.steps.keepEarly(resident, placed)
      this.ready(resident)
    } else if (placed.stored !== undefined) {
      resident.held++
      this.steps.keep(resident, placed, OWN.held, fault => {
        if (!fault && resident.status === 'retired') this.tell('held', { picoId: resident.picoId })
      })
    } else this.placeFrozen(resident, placed)
  }

  private placeFrozen(resident: Resident, placed: Job): void {
    resident.queue.push(placed)
    this.clock.wake(this.clock.now() + this.limits.frozen_ms, () => {
      const at = this.residents.get(resident.picoId)?.queue.indexOf(placed) ?? -1
      const { status } = this.residents.get(resident.picoId) ?? resident
      if (at < 0 || status === 'live') return
      this.residents.get(resident.picoId)?.queue.splice(at, 1)
      placed.settle(new PicoError('pico.frozen', 'The pico is moving; try again.', { retryAfter_s: 1 }))
    })
  }

  /** What leads to a peer that has just been heard is tried at once: letters of that lane need not wait out their pause. */
  nudge(picoId: PicoId, lane: string): void {
    const resident = this.residents.get(picoId)
    if (resident) this.dispatch.nudge(resident, lane)
  }

  // ---- turns -------------------------------------------------------------------------------------------------
  // Fair queues (law L8): round robin over the picos that have something to do, one step a turn, and after a slice of steps
  // the event loop gets its turn, so that sockets are served however much is queued.

  /** Gives a pico its turn behind the others. */
  private ready(resident: Resident): void {
    if (resident.queued) return
    resident.queued = true
    this.waiting.push(resident)
    if (this.pumping) return
    this.pumping = true
    queueMicrotask(() => void this.pump())
  }

  private async pump(): Promise<void> {
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      next.queued = false
      this.turn(next)
      if (++this.stepsSincePause < SLICE) continue
      await this.pause()
      this.stepsSincePause = 0
    }
    this.pumping = false
  }

  private turn(resident: Resident): void {
    const { dropped, busy, loading, status } = resident
    if (dropped || busy || loading || status !== 'live' || this.state !== 'running') return
    const next = resident.queue.shift()
    if (!next) return
    resident.busy = true
    resident.inHand = next
    if (next.stimulus && !next.recovered) this.attempt(resident, next, next.stimulus)
    else void this.steps.recover(resident, next)
  }

  // Need and rerun (DESIGN 4, Effects): a run that lacks something ends, and begins anew with what it lacked.
  private attempt(resident: Resident, running: Job, stimulus: Stimulus): void {
    try {
      const given = running.trial?.given ?? this.given(resident)
      const outcome = this.run(resident, stimulus, given)
      if ('need' in outcome) {
        void this.steps.wait(resident, running, running.trial ?? new Trial(this.trials, given), outcome)
        return
      }
      running.trial = undefined
      this.steps.finish(resident, running, stimulus, outcome)
    } catch (thrown) {
      this.steps.failed(resident, running, thrown)
    }
  }

  private run(resident: Resident, stimulus: Stimulus, given: Given): Outcome {
    try {
      return this.options.step(resident.records.newest, stimulus, given)
    } catch (thrown) {
      if (thrown instanceof Need) return { need: thrown.effects, answers: given.answers }
      throw thrown
    }
  }

  /** Time and chance of a first run. */
  private given({ sealer }: Resident): Given {
    const { random, code, facts } = this.options
    const seed = random.bytes(32)
    const draw = (label: string) => sealer.draw(seed, label)
    return { now: this.clock.now(), seed, answers: [], ask: this.ask, code, draw, engine: facts }
  }

  // ---- reading -----------------------------------------------------------------------------------------------

  /** Answers from one synced state, whatever steps are doing (law L9). Throws pico.unknown, pico.moved, store.*. */
  query(picoId: PicoId, query: Query): Promise<Answer> {
    return this.reading.query(picoId, query)
  }

  /** Reads from one synced state; `fn` may run more than once. */
  async read<T>(picoId: PicoId, fn: (view: View) => T): Promise<T> {
    try {
      return fn(this.resident(picoId).records.synced)
    } catch (thrown) {
      if (!(thrown instanceof Need)) throw thrown
    }
    return this.reading.consistent(picoId, view => ({ value: fn(view) }))
  }

  /** Pico of the first of these recipient keys that leads to one. */
  recipient(names: readonly string[]): PicoId | undefined {
    for (const name of names) {
      const found = this.lookup(`key:${name}`)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Pico of `key:<recipient key>` or `eci:<eci>`, from synced binds. */
  lookup(key: string): PicoId | undefined {
    const { directory } = this.registry
    return directory.has(key) ? directory.get(key) : this.registry.lookup(key)
  }

  /** What who asks for a retired pico is told: where to go, nothing else of what the move left. */
  moved(picoId: PicoId): PicoError {
    return this.registry.moved(picoId)
  }

  /** Undefined when there never was one, or it is gone. */
  registered(picoId: PicoId): Registered | undefined {
    return this.registry.get(picoId)
  }

  /** All picos of this engine in order of creation, moved and arriving ones included: see `status`. */
  picos(): Promise<Registered[]> {
    return this.registry.list()
  }

  /** A named record of the engine itself, sealed under the engine's key. */
  named(name: string): Json | undefined {
    return this.registry.named(name)
  }

  /** Writes a named record; resolves when it is on disk. */
  setNamed(name: string, value: Json | undefined): Promise<void> {
    return this.commit.write([this.registry.namedWrite(name, value)])
  }

  // ---- making ------------------------------------------------------------------------------------------------

  /** Makes a pico: keys, registry, its first step, in one commit. The first step's answer; for one that is here already
   *  `{picoId, existing: true}`, so a repeated letter does no harm. */
  createPico(birth: Birth, id: string = birth.picoId): Promise<Json> {
    const { picoId } = birth
    const running = this.creating.get(picoId)
    if (running) return running
    if (this.registry.get(picoId)) return Promise.resolve({ picoId, existing: true })
    const made = this.create(birth, id).finally(() => this.creating.delete(picoId))
    this.creating.set(picoId, made)
    return made
  }

  private async create(birth: Birth, id: string): Promise<Json> {
    const { picoId } = birth
    const { vault } = this.options
    const wrapped = vault.newKeys(picoId)
    const sealer = vault.pico(picoId, wrapped)
    if (!sealer) throw new PicoError('engine.fault', 'Fresh keys do not open.')
    const { registered, writes } = this.registry.add(picoId, 'live', wrapped, this.clock.now())
    const records = new PicoRecords(this.store, sealer, idBytes(picoId), true)
    const resident = new Resident(picoId, sealer, records, 'live', FIRST)
    this.steps.birth(resident, { registered, writes })
    this.keepResident(resident)
    const answer = await this.submit(picoId, { kind: 'create', id, birth }, 'applied')
    if (this.registry.get(picoId)) this.tell('registry', { picoId, status: 'live' })
    return answer
  }

  // ---- residents ---------------------------------------------------------------------------------------------

  private resident(picoId: PicoId): Resident {
    const found = this.residents.get(picoId)
    if (found) {
      this.residents.delete(picoId)
      this.residents.set(picoId, found)
      return found
    }
    if (this.state !== 'running') throw new PicoError('engine.stopping', 'The engine is not running.')
    const registered = this.registry.get(picoId)
    if (!registered) throw new PicoError('pico.unknown', 'No such pico here.')
    const sealer = this.registry.sealer(picoId)
    const records = new PicoRecords(this.store, sealer, idBytes(picoId))
    const head = (records.synced.get(OWN.head, 'head') as unknown as Head | undefined) ?? FIRST
    const resident = new Resident(picoId, sealer, records, registered.status, head)
    this.keepResident(resident)
    if (!this.unflagging.has(picoId) && this.registry.isPending(picoId)) {
      resident.flagged = true
      resident.loading = true
      void this.backlog.takeUp(resident)
    } else for (const group of [OWN.inbox, OWN.held, OWN.outbox]) records.assumeEmpty(group)
    return resident
  }

  private keepResident(resident: Resident): void {
    const { picoId, head } = resident
    if (this.residents.size >= this.limits.residents) this.evict()
    this.commit.expect({ picoId, seq: head.seq, epoch: head.epoch })
    this.residents.set(picoId, resident)
  }

  // Oldest first, idle ones only. A tenth more than needed, so that it is not done for every pico that comes.
  private evict(): void {
    const full = this.residents.size >= this.limits.residents
    const enough = full ? Math.floor(this.limits.residents * 0.9) : this.limits.residents
    let bytes = 0
    for (const resident of this.residents.values()) bytes += resident.records.bytes
    const calm: Resident[] = []
    for (const resident of this.residents.values()) {
      if (this.residents.size <= enough && bytes <= this.limits.resident_bytes) break
      if (!resident.idle) continue
      bytes -= resident.records.bytes
      if (resident.flagged && nothingPending(resident)) calm.push(resident)
      this.drop(resident)
    }
    this.unflag(calm)
  }

  // The hint that something is pending has outlived its reason: the next start need not look at this pico. Until that is
  // on disk the hint is known to be void, so that what comes meanwhile raises it anew, behind this.
  private unflag(calm: readonly Resident[]): void {
    if (calm.length === 0) return
    for (const { picoId } of calm) this.unflagging.add(picoId)
    const writes = calm.map(({ pico }) => ({ key: pendingKey(pico), value: undefined }))
    this.commit.enter(writes, undefined, () => {
      for (const { picoId } of calm) this.unflagging.delete(picoId)
    })
  }

  private drop(resident: Resident): void {
    resident.dropped = true
    this.dispatch.release(resident)
    this.residents.delete(resident.picoId)
    this.commit.forget(resident.picoId)
  }

  // A batch failed: what is on disk is unknown until the store has read its log again, so nothing in memory counts.
  private dropAll(fault: PicoError): void {
    const dropped = [...this.residents.values()]
    for (const resident of dropped) this.drop(resident)
    this.registry.reset()
    this.tell('fault', { picoId: null, fault, attempts: 0 })
    for (const { picoId, queue, afterSync } of dropped) {
      // These waited for a commit that never was.
      for (const { ended } of afterSync.splice(0)) ended.settle(fault)
      for (const waiting of queue) if (!waiting.record) this.again(picoId, waiting)
    }
    this.clock.wake(this.clock.now() + RESUME_MS, () => {
      if (this.state === 'running') this.resuming = this.resuming.then(() => this.backlog.resume())
    })
  }

  private again(picoId: PicoId, waiting: Job): void {
    try {
      this.place(this.resident(picoId), waiting)
    } catch (thrown) {
      waiting.settle(asPicoError(thrown))
    }
  }

  private async resume(first: () => Promise<void>): Promise<void> {
    await first().catch(thrown => this.tell('fault', { picoId: null, fault: asPicoError(thrown), attempts: 0 }))
    await this.backlog.resume()
  }

  private ring(picoId: PicoId, found: boolean): void {
    try {
      const resident = this.resident(picoId)
      if (resident.timerQueued || resident.status !== 'live') return
      resident.timerQueued = true
      const settle: Job['settle'] = result => {
        resident.timerQueued = false
        // What is on disk still stands; try again.
        if (result instanceof PicoError && this.state === 'running')
          this.alarms.set(picoId, this.clock.now() + RESUME_MS)
      }
      this.place(resident, job({ kind: 'timer' }, { recovered: found, settle }))
    } catch (thrown) {
      const fault = asPicoError(thrown)
      this.tell('fault', { picoId, fault, attempts: 0 })
      if (errorRow(fault.code).retry && this.state === 'running') this.alarms.set(picoId, this.clock.now() + RESUME_MS)
    }
  }

  // ---- parts -------------------------------------------------------------------------------------------------

  private tell<K extends keyof EngineEvents>(event: K, what: EngineEvents[K]): void {
    for (const listener of this.listeners[event])
      try {
        listener(what)
      } catch (thrown) {
        // Who listens must not end what is told: a commit is told of while others wait for theirs.
        if (event !== 'fault') this.tell('fault', { picoId: null, fault: asPicoError(thrown), attempts: 0 })
      }
  }

  private makeSteps(): Steps {
    const { clock, commit, registry, alarms, marks, options } = this
    return new Steps({
      clock,
      commit,
      registry,
      alarms,
      marks,
      semantics: options.semantics ?? '1',
      peersMail: options.peersMail ?? (() => undefined),
      toStimulus: options.toStimulus,
      attempt: (resident, running, stimulus) => this.attempt(resident, running, stimulus),
      ready: resident => this.ready(resident),
      dispatch: () => this.dispatch,
      again: (picoId, waiting) => this.again(picoId, waiting),
      committed: event => {
        this.tell('committed', event)
        this.purgeWhenDue(event.picoId)
        if (event.changes.some(({ group, value }) => group === OWN.dead && value !== undefined))
          this.countDead(event.picoId)
        if (++this.commits % EVICT_EVERY === 0) this.evict()
      },
      rejected: event => this.tell('rejected', event),
      fault: event => this.tell('fault', event),
      destroy: resident => this.custody.leave(resident),
      unborn: resident => this.drop(resident),
    })
  }

  private purgeWhenDue(picoId: PicoId): void {
    const resident = this.residents.get(picoId)
    if (!resident || this.state !== 'running' || !purgeDue(resident, this.clock.now(), this.limits)) return
    purge(resident, this.store, this.commit, this.clock, this.limits).catch(thrown =>
      this.tell('fault', { picoId, fault: asPicoError(thrown), attempts: 0 }),
    )
  }

  // What came to nothing is to be seen, and must not fill the disk.
  private countDead(picoId: PicoId): void {
    const resident = this.residents.get(picoId)
    if (!resident || this.state !== 'running') return
    const since = this.deadSince.get(resident) ?? DEAD_EVERY
    this.deadSince.set(resident, since < DEAD_EVERY ? since + 1 : 1)
    if (since < DEAD_EVERY) return
    thinDead(resident, this.store, this.commit).catch(thrown =>
      this.tell('fault', { picoId, fault: asPicoError(thrown), attempts: 0 }),
    )
  }

  private makeReading(): Reading {
    const { trials, registry, options } = this
    return new Reading({
      trial: trials,
      registry,
      runQuery: options.runQuery,
      facts: options.facts,
      outside: effect => options.world.perform(effect),
      given: resident => this.given(resident),
      resident: picoId => this.resident(picoId),
      queried: event => this.tell('queried', event),
    })
  }

  private makeLetters(): Letters {
    const { clock, commit, registry, options } = this
    return new Letters({
      clock,
      commit,
      registry,
      facts: options.facts,
      outside: (letter, picoId) => options.world.deliver(letter, picoId),
      createPico: (birth, id) => this.createPico(birth, id),
      submit: (picoId, stimulus, wait) => this.submit(picoId, stimulus, wait),
      enqueue: (picoId, stimulus, how) => this.enter(picoId, { ...JOB, stimulus, ...how }),
      again: (picoId, waiting) => this.again(picoId, waiting),
      gaveUp: picoId => this.countDead(picoId),
      erase: resident => this.custody.erase(resident),
    })
  }

  private makeBacklog(): Backlog {
    const { clock, commit, registry, dispatch, custody } = this
    return new Backlog({
      clock,
      commit,
      registry,
      dispatch,
      custody,
      running: () => this.state === 'running',
      pause: this.pause,
      resident: picoId => this.resident(picoId),
      ready: resident => this.ready(resident),
      again: (picoId, waiting) => this.again(picoId, waiting),
      fault: event => this.tell('fault', event),
    })
  }

  private makeCustody(): Custody {
    const { clock, commit, registry, alarms, dispatch, store } = this
    return new Custody({
      clock,
      commit,
      registry,
      alarms,
      dispatch,
      store,
      resident: picoId => this.resident(picoId),
      loaded: picoId => this.residents.get(picoId),
      drop: resident => this.drop(resident),
      again: (picoId, waiting) => this.again(picoId, waiting),
      keep: (resident, waiting, group) => this.steps.keep(resident, waiting, group),
      tell: event => this.tell('registry', event),
      fault: fault => this.tell('fault', { picoId: null, fault, attempts: 0 }),
    })
  }
}

/** All its mail is applied and all its letters left; mail that is held for a move waits outside the queue. */
const nothingPending = (resident: Resident): boolean => resident.idle && resident.status === 'live'

const FIRST: Head = { seq: 0, epoch: 0, stimulus: null, at: 0, semantics: '1', rulesets: null, alarm: null, purged: 0 }

const NO_MARK: MarkFile = { read: () => '', write: () => undefined }
