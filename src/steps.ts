// A job from its run to its end: what it lacks is brought, what it did is one atomic batch, then the answer, then the
// letters (laws L2, L3), and the three ways a step ends (DESIGN 4): done, rule fault (the core's business), engine fault
// (tried five times).

import type { Alarms } from './alarms.ts'
import type { CommitQueue } from './commit.ts'
import type { Dispatch } from './dispatch.ts'
import { asPicoError, errorRow, PicoError } from './errors.ts'
import type { Marks } from './marks.ts'
import {
  type Clock,
  type Done,
  type Json,
  type LogRecord,
  Need,
  type Outcome,
  type PicoId,
  type RecordChange,
  type Stimulus,
  type View,
  type Write,
} from './ports.ts'
import type { Registered, Registry } from './registry.ts'
import { type Claim, type Head, type InboxRecord, type Job, job, OWN, type Resident, type Settled } from './resident.ts'
import { pendingKey } from './stores/keys.ts'
import { errorValue, Trial } from './trial.ts'

/** What a commit was, for the console's stream; sent when it is on disk. */
export interface Committed {
  readonly picoId: PicoId
  readonly seq: number
  readonly at: number
  readonly stimulus: Stimulus
  /** Of the core; the driver's own are left out. */
  readonly changes: readonly RecordChange[]
  readonly log: readonly LogRecord[]
}

export interface Rejected {
  readonly rejected: { readonly reason: string; readonly from?: string }
}

/** What steps need of the engine around them. */
export interface StepsWorld {
  readonly clock: Clock
  readonly commit: CommitQueue
  readonly registry: Registry
  readonly alarms: Alarms
  readonly semantics: string
  readonly toStimulus: (picoId: PicoId, stored: Json) => Promise<Stimulus | Rejected>
  readonly marks: Marks
  /** A name for mail of a known peer that was not applied before; undefined for any other. */
  readonly peersMail: (view: View, stimulus: Stimulus, now: number) => string | undefined
  /** Runs a job once. */
  attempt(resident: Resident, running: Job, stimulus: Stimulus): void
  /** The pico has something to do. */
  ready(resident: Resident): void
  dispatch(): Dispatch
  /** Queues a job again after its pico's memory was dropped. */
  again(picoId: PicoId, job: Job): void
  committed(event: Committed): void
  rejected(event: { picoId: PicoId; reason: string; from?: string }): void
  fault(event: { picoId: PicoId; fault: PicoError; attempts: number }): void
  /** The pico asked to be destroyed and that is on disk. */
  destroy(resident: Resident): void
  /** No pico of that id was made after all. */
  unborn(resident: Resident): void
}

type Lacking = Extract<Outcome, { need: unknown }>

const MAX_ATTEMPTS = 5
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 30_000

export class Steps {
  private readonly world: StepsWorld
  /** Registry writes of picos whose first commit is still to come. */
  private readonly births = new Map<Resident, { registered: Registered; writes: Write[] }>()
  private stopping = false

  constructor(world: StepsWorld) {
    this.world = world
  }

  /** From now on a step that waits is given up: its client hears `engine.stopping`, its record runs at the next start. */
  stop(): void {
    this.stopping = true
  }

  /** The first commit of this pico carries these writes. */
  birth(resident: Resident, made: { registered: Registered; writes: Write[] }): void {
    this.births.set(resident, made)
  }

  private kept(resident: Resident, kept: Job): Promise<void> {
    return new Promise((resolve, reject) =>
      this.keep(resident, kept, OWN.inbox, fault => (fault ? reject(fault) : resolve())),
    )
  }

  /** Keeps a job that would wait for long. Mail only of a known peer and once: whatever else it is, an answer waits until
   *  its turn has shown that it is worth a write. */
  keepEarly(resident: Resident, early: Job): void {
    if (early.record) return
    if (early.stored !== undefined) {
      const name = this.mailName(resident, early)
      if (name === undefined || resident.kept.has(name)) return
      early.mail = name
      resident.kept.add(name)
    }
    this.keep(resident, early)
  }

  private mailName(resident: Resident, { stimulus }: Job): string | undefined {
    const { peersMail, clock } = this.world
    try {
      return stimulus && peersMail(resident.records.newest, stimulus, clock.now())
    } catch (thrown) {
      // What it reads is not in memory: its own turn will bring it there.
      if (thrown instanceof Need) return undefined
      throw thrown
    }
  }

  /** Writes a queued job's record, so that it may be answered before its turn. `group`: inbox, or held when frozen. */
  keep(
    resident: Resident,
    kept: Job,
    group: string = OWN.inbox,
    done: (fault: PicoError | undefined) => void = () => undefined,
  ): void {
    if (kept.record) return
    const n = resident.nextInbox++
    const leaf = String(n)
    kept.record = { group, leaf }
    const content = kept.stored === undefined ? { stimulus: kept.stimulus as Stimulus } : { stored: kept.stored }
    const value = { n, at: this.world.clock.now(), ...content } as InboxRecord as unknown as Json
    const changes: RecordChange[] = [{ group, leaf, value }]
    this.enter(resident, changes, flagWrites(resident), fault => {
      kept.settle(fault ?? { state: 'accepted' })
      done(fault)
    })
    resident.flagged = true
  }

  // A change of the driver's own records, outside of any step.
  private enter(
    resident: Resident,
    changes: readonly RecordChange[],
    more: readonly Write[],
    done: (fault: PicoError | undefined) => void = () => undefined,
  ): void {
    const writes = [...resident.records.prepare(changes), ...more]
    let version = 0
    this.world.commit.enter(writes, undefined, fault => {
      if (fault) return done(fault)
      resident.unsynced--
      resident.records.merge(changes, version)
      done(undefined)
      this.afterSync(resident)
    })
    version = resident.records.lay(changes)
    resident.unsynced++
  }

  // ---- running ---------------------------------------------------------------------------------------------

  // After a restart: the record is opened again, and a mark stands on disk while it runs, so that a record that kills
  // the process is known at the next start.
  async recover(resident: Resident, found: Job): Promise<void> {
    try {
      if (!found.record && found.early) await this.kept(resident, found)
      if (!found.stimulus) {
        const opened = await this.world.toStimulus(resident.picoId, found.stored ?? null)
        if (this.lost(resident, found)) return
        if ('rejected' in opened) return this.reject(resident, found, opened.rejected, undefined)
        found.stimulus = opened
      }
    } catch (thrown) {
      if (!this.lost(resident, found)) this.failed(resident, found, thrown)
      return
    }
    if (!this.lost(resident, found)) this.attemptMarked(resident, found, found.stimulus)
  }

  private attemptMarked(resident: Resident, running: Job, stimulus: Stimulus): void {
    const { marks } = this.world
    // By its id where it has one: a letter that is delivered again is the same poison under another number.
    const name = `${resident.picoId}/${stimulusId(stimulus) ?? running.record?.leaf ?? stimulus.kind}`
    if (marks.poisonous(name))
      this.bury(resident, running, new PicoError('engine.fault', 'The engine died of this twice.'))
    else marks.around(name, () => this.world.attempt(resident, running, stimulus))
  }

  /** A run lacked something: brings it, and the job runs again. */
  async wait(resident: Resident, running: Job, trial: Trial, lacking: Lacking): Promise<void> {
    running.trial = trial
    const awaits = Trial.awaits(lacking.need)
    if (awaits) {
      if (this.stopping) return this.release(resident, running)
      resident.waiting = true
      for (const queued of [running, ...resident.queue]) if (queued.early) this.keepEarly(resident, queued)
    }
    try {
      await trial.answer(lacking.need, lacking.answers, resident.records)
    } catch (thrown) {
      resident.waiting = false
      if (!this.lost(resident, running)) this.failed(resident, running, thrown)
      return
    }
    resident.waiting = false
    if (this.lost(resident, running)) return
    if (this.stopping && awaits) return this.release(resident, running)
    if (running.recovered) this.attemptMarked(resident, running, running.stimulus as Stimulus)
    else this.world.attempt(resident, running, running.stimulus as Stimulus)
  }

  // The pico's memory was dropped meanwhile: a job with a record is found again on disk, any other is queued anew.
  private lost(resident: Resident, running: Job): boolean {
    if (!resident.dropped) return false
    running.trial = undefined
    if (!running.record) this.world.again(resident.picoId, running)
    return true
  }

  private release(resident: Resident, running: Job): void {
    running.settle(new PicoError('engine.stopping', 'The engine stops; nothing was done. Try again.'))
    resident.busy = false
    resident.inHand = undefined
  }

  private next(resident: Resident): void {
    const { inHand, kept, queue } = resident
    // What failed is back in the queue, and still kept.
    if (inHand?.mail !== undefined && !queue.includes(inHand)) kept.delete(inHand.mail)
    resident.busy = false
    resident.inHand = undefined
    if (queue.length > 0) this.world.ready(resident)
  }

  // ---- ends ------------------------------------------------------------------------------------------------

  finish(resident: Resident, ended: Job, stimulus: Stimulus, done: Done): void {
    if (done.rejected) {
      this.reject(resident, ended, done.rejected, done.answer)
      return
    }
    const birth = this.births.get(resident)
    if (birth && done.changes.length === 0) {
      this.births.delete(resident)
      this.world.unborn(resident)
      ended.settle({ state: 'applied', answer: done.answer, replies: [] })
      for (const waiting of resident.queue.splice(0))
        waiting.settle(new PicoError('pico.unknown', 'No such pico here.'))
      return
    }
    if (writesNothing(ended, done) && stimulus.kind !== 'timer') {
      this.whenSynced(resident, ended, { state: 'applied', answer: done.answer, replies: [] })
      if (done.log.length > 0) this.tell(resident, stimulus, done, resident.head)
    } else this.commit(resident, ended, stimulus, done)
    this.next(resident)
  }

  private reject(resident: Resident, ended: Job, why: Rejected['rejected'], answer: Json | undefined): void {
    this.world.rejected({ picoId: resident.picoId, ...why })
    if (ended.record) this.enter(resident, [{ ...ended.record, value: undefined }], [])
    // What was refused may be known from a step that is not yet on disk: say nothing before it is.
    const settled: Settled = { state: 'rejected', ...why, ...(answer === undefined ? {} : { answer }) }
    this.whenSynced(resident, ended, settled)
    this.next(resident)
  }

  private whenSynced(resident: Resident, ended: Job, settled: Settled): void {
    if (resident.unsynced === 0) ended.settle(settled)
    else resident.afterSync.push({ ended, settled })
  }

  private afterSync(resident: Resident): void {
    if (resident.unsynced === 0 && resident.afterSync.length > 0)
      for (const { ended, settled } of resident.afterSync.splice(0)) ended.settle(settled)
  }

  failed(resident: Resident, broken: Job, thrown: unknown): void {
    const fault = asPicoError(thrown)
    const disk = errorRow(fault.code).retry && fault.code.startsWith('store.')
    if (!disk) broken.attempts++
    this.world.fault({ picoId: resident.picoId, fault, attempts: broken.attempts })
    broken.trial = undefined
    if (disk && !broken.record) {
      broken.settle(fault)
      this.next(resident)
      return
    }
    if (broken.attempts >= MAX_ATTEMPTS && !resident.dropped) {
      this.bury(resident, broken, fault)
      return
    }
    if (broken.attempts > MAX_ATTEMPTS) {
      broken.settle(fault)
      return
    }
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** broken.attempts)
    resident.waiting = true
    this.world.clock.wake(this.world.clock.now() + pause, () => {
      resident.waiting = false
      if (this.lost(resident, broken)) return
      if (this.stopping) return this.release(resident, broken)
      resident.queue.unshift(broken)
      this.next(resident)
    })
  }

  /** A record that killed the process twice, or failed five times, goes to the pico's dead letters (law L12). */
  bury(resident: Resident, broken: Job, fault: PicoError): void {
    const at = this.world.clock.now()
    const stimulus = broken.stimulus ?? { kind: 'notice', domain: 'engine', name: 'unopened', attrs: {} }
    const failed: Done = { changes: [], binds: [], outbox: [], answer: { error: errorValue(fault) }, log: [] }
    const isLetterOfUs = stimulus.kind === 'notice' && stimulus.domain === 'engine' && stimulus.name === 'dead_letter'
    const unheard = stimulus.kind === 'command' || stimulus.kind === 'create'
    if (this.births.delete(resident)) this.world.unborn(resident)
    if (unheard && !broken.record) {
      broken.settle(fault)
      this.next(resident)
      return
    }
    const id = `${at.toString(36)}-${resident.head.seq + 1}`
    const content = broken.stored === undefined ? { stimulus: stimulus as unknown as Json } : { stored: broken.stored }
    const value: Json = { id, kind: stimulus.kind, at, attempts: broken.attempts, ...errorValue(fault), ...content }
    const attrs = { id, kind: stimulus.kind, attempts: broken.attempts, ...errorValue(fault) }
    const log: LogRecord = { level: 'error', code: fault.code, message: fault.message, deadLetter: id }
    const done: Done = {
      ...failed,
      changes: [{ group: OWN.dead, leaf: id, value }, ...this.asSeen(resident, broken, at)],
      log: [log],
      ...(isLetterOfUs ? {} : { next: { kind: 'notice', domain: 'engine', name: 'dead_letter', attrs } }),
    }
    try {
      this.commit(resident, broken, stimulus, done)
    } catch (thrown) {
      broken.settle(asPicoError(thrown))
    }
    this.next(resident)
  }

  // Mail of a peer that came to nothing has come all the same: whoever repeats it must not stall the pico again.
  private asSeen(resident: Resident, broken: Job, t: number): RecordChange[] {
    let name: string | undefined
    try {
      name = broken.mail ?? this.mailName(resident, broken)
    } catch {
      // What failed may be the reading of the mail itself: then nothing names it.
    }
    if (name === undefined) return []
    const slash = name.indexOf('/')
    return [{ group: `seen/${name.slice(0, slash)}`, leaf: name.slice(slash + 1), value: { t } }]
  }

  // ---- the commit ------------------------------------------------------------------------------------------

  private commit(resident: Resident, ended: Job, stimulus: Stimulus, done: Done): void {
    const { commit, alarms, registry, clock } = this.world
    const { picoId } = resident
    const birth = this.births.get(resident)
    const alarm = nextAlarm(resident, stimulus, done)
    const at = clock.now()
    const head = this.headAfter(resident, stimulus, done, alarm, at)
    const notice = done.next && job(done.next, { record: { group: OWN.inbox, leaf: String(resident.nextInbox) } })
    const changes = this.allChanges(resident, ended, done, head, at, notice)
    const writes = resident.records.prepare(changes)
    writes.push(...registry.bindWrites(done.binds, picoId))
    if (alarm !== resident.head.alarm) writes.push(...alarms.writes(picoId, resident.head.alarm, alarm))
    if (birth) writes.push(...birth.writes)
    if (done.destroy) writes.push(...registry.statusWrites(picoId, 'destroying'))
    const pending = done.outbox.length > 0 || notice !== undefined || done.destroy === true
    if (pending) writes.push(...flagWrites(resident))
    let version = 0
    commit.enter(writes, { picoId, seq: head.seq, epoch: head.epoch }, fault => {
      if (fault) return ended.settle(fault)
      resident.unsynced--
      resident.records.merge(changes, version)
      if (birth) registry.putDone(birth.registered)
      registry.bindsDone(done.binds, picoId)
      if (alarm !== null || done.alarm !== undefined || stimulus.kind === 'timer') alarms.set(picoId, alarm)
      const replies = this.post(resident, ended, done)
      ended.settle({ state: 'applied', answer: done.answer, replies })
      this.afterSync(resident)
      this.tell(resident, stimulus, done, head)
      if (done.destroy) this.world.destroy(resident)
    })
    // Nothing above changed memory: a fault up to here leaves the pico as it was.
    version = resident.records.lay(changes)
    resident.head = head
    resident.unsynced++
    resident.flagged ||= pending
    this.births.delete(resident)
    if (notice) resident.queue.unshift(notice)
    if (done.destroy) resident.status = 'destroying'
  }

  private headAfter(resident: Resident, stimulus: Stimulus, done: Done, alarm: number | null, at: number): Head {
    const hash = done.changes.find(change => change.group === 'pico' && change.leaf === 'rulesetsHash')
    const { seq, epoch, rulesets, purged } = resident.head
    return {
      seq: seq + 1,
      epoch,
      stimulus: stimulusId(stimulus),
      at,
      semantics: this.world.semantics,
      rulesets: hash ? (hash.value ?? null) : rulesets,
      alarm,
      purged,
    }
  }

  private allChanges(
    resident: Resident,
    ended: Job,
    done: Done,
    head: Head,
    at: number,
    notice: Job | undefined,
  ): RecordChange[] {
    const changes: RecordChange[] = [...done.changes, ...ended.also]
    for (const { key, bound } of done.binds)
      changes.push({ group: OWN.bind, leaf: key, value: bound ? true : undefined })
    for (const letter of done.outbox) {
      const value = { n: resident.nextLetter++, letter } as unknown as Json
      changes.push({ group: OWN.outbox, leaf: letter.id, value })
    }
    if (ended.record) changes.push({ ...ended.record, value: undefined })
    if (notice) {
      const value = { n: resident.nextInbox++, at, stimulus: notice.stimulus } as unknown as Json
      changes.push({ group: OWN.inbox, leaf: notice.record?.leaf as string, value })
    }
    this.noteSenders(resident, done.changes, changes)
    changes.push({ group: OWN.head, leaf: 'head', value: head as unknown as Json })
    return changes
  }

  // Ids seen are never listed, so who has any is kept beside them for the purge.
  private noteSenders(resident: Resident, from: readonly RecordChange[], to: RecordChange[]): void {
    for (const { group, value } of from) {
      if (!group.startsWith('seen/') || value === undefined) continue
      resident.seenSincePurge++
      const sender = group.slice('seen/'.length)
      if (resident.records.newest.get(OWN.senders, sender) === undefined)
        to.push({ group: OWN.senders, leaf: sender, value: true })
    }
  }

  private post(resident: Resident, ended: Job, done: Done): Claim[] {
    const claims: Claim[] = []
    for (const letter of done.outbox) {
      // Whoever was told that it is kept listens no more.
      const reply = ended.claim && !ended.record && done.replies?.includes(letter.id)
      const claim = reply
        ? this.world.dispatch().addClaimed(resident, letter)
        : this.world.dispatch().add(resident, letter)
      if (claim) claims.push(claim)
    }
    return claims
  }

  private tell(resident: Resident, stimulus: Stimulus, done: Done, { seq, at }: Head): void {
    this.world.committed({ picoId: resident.picoId, seq, at, stimulus, changes: done.changes, log: done.log })
  }
}

const flagWrites = (resident: Resident): Write[] =>
  resident.flagged ? [] : [{ key: pendingKey(resident.pico), value: new Uint8Array(0) }]

function writesNothing(ended: Job, done: Done): boolean {
  const { changes, binds, outbox } = done
  const own = ended.record !== undefined || ended.also.length > 0 || done.next || done.destroy
  return changes.length === 0 && binds.length === 0 && outbox.length === 0 && done.alarm === undefined && !own
}

// A timer step that says nothing of the alarm has used it up.
function nextAlarm(resident: Resident, stimulus: Stimulus, done: Done): number | null {
  if (done.alarm !== undefined) return done.alarm
  return stimulus.kind === 'timer' ? null : resident.head.alarm
}

function stimulusId(stimulus: Stimulus): string | null {
  if (stimulus.kind === 'letter') return stimulus.letterId
  if (stimulus.kind !== 'message') return 'id' in stimulus ? (stimulus.id ?? null) : null
  const { id } = stimulus.opened.plaintext as { id?: Json; '@id'?: Json }
  return String(id ?? (stimulus.opened.plaintext as { '@id'?: Json })['@id'] ?? '') || null
}
