// What lay on disk when a pico came into memory: mail taken and not yet applied, letters that did not leave. After a start
// the index of what is pending says whose (G13: recovers by restart alone).

import type { CommitQueue } from './commit.ts'
import type { Custody } from './custody.ts'
import type { Dispatch } from './dispatch.ts'
import { asPicoError, type PicoError } from './errors.ts'
import type { Clock, Letter, PicoId } from './ports.ts'
import type { Registry } from './registry.ts'
import { type InboxRecord, type Job, job, OWN, type Resident } from './resident.ts'
import { pendingKey } from './stores/keys.ts'

export interface BacklogWorld {
  readonly clock: Clock
  readonly commit: CommitQueue
  readonly registry: Registry
  readonly dispatch: Dispatch
  readonly custody: Custody
  running(): boolean
  pause(): Promise<void>
  resident(picoId: PicoId): Resident
  ready(resident: Resident): void
  again(picoId: PicoId, waiting: Job): void
  fault(event: { picoId: PicoId | null; fault: PicoError; attempts: number }): void
}

/** After a read that failed: when it is tried again, ms. */
const RETRY_MS = 1000

/** What waits on one engine's disk. */
export class Backlog {
  private readonly world: BacklogWorld

  constructor(world: BacklogWorld) {
    this.world = world
  }

  /** Reads the mail and the letters of a pico that may have some, and gives them their turn before anything new. */
  async takeUp(resident: Resident): Promise<void> {
    const { records, picoId } = resident
    try {
      await Promise.all([OWN.inbox, OWN.held, OWN.outbox].map(group => records.load(group)))
      if (!resident.dropped && this.world.running()) this.takeUpLoaded(resident)
    } catch (thrown) {
      this.world.fault({ picoId, fault: asPicoError(thrown), attempts: 0 })
      this.world.clock.wake(this.world.clock.now() + RETRY_MS, () => {
        if (!resident.dropped && this.world.running()) void this.takeUp(resident)
      })
    }
  }

  // Mail and letters that lay on disk, in their order, before anything new.
  private takeUpLoaded(resident: Resident): void {
    const { records, picoId } = resident
    const held = this.mailOf(resident, OWN.held)
    const mail = [...this.mailOf(resident, OWN.inbox), ...held]
    const letters = records.synced
      .list(OWN.outbox)
      .map(([, value]) => value as unknown as { n: number; letter: Letter })
    resident.held = resident.status === 'live' ? 0 : held.length
    resident.nextInbox = nextNumber(mail)
    resident.nextLetter = nextNumber(letters)
    resident.loading = false
    if (mail.length === 0 && letters.length === 0 && resident.status === 'live') {
      // The hint outlived its reason. What is flagged from now on is entered behind this.
      resident.flagged = false
      this.world.commit.trail([{ key: pendingKey(resident.pico), value: undefined }])
    }
    const arrived = resident.queue.splice(0)
    if (resident.status === 'live') {
      for (const { found } of mail) resident.queue.push(found)
      this.world.ready(resident)
    }
    if (resident.status === 'live' || resident.status === 'destroying')
      for (const { letter } of letters.sort((a, b) => a.n - b.n)) this.world.dispatch.add(resident, letter, true)
    for (const waiting of arrived) this.world.again(picoId, waiting)
    if (resident.status === 'destroying' && resident.lanes.size === 0) this.world.custody.erase(resident)
  }

  private mailOf(resident: Resident, group: string): { n: number; found: Job }[] {
    const mail = resident.records.synced.list(group).map(([leaf, value]) => {
      const record = value as unknown as InboxRecord
      const opened = 'stimulus' in record ? record.stimulus : undefined
      const stored = 'stored' in record ? record.stored : undefined
      return { n: record.n, found: job(opened, { stored, record: { group, leaf }, recovered: true }) }
    })
    return mail.sort((a, b) => a.n - b.n)
  }

  /** Takes up every pico of the index of what is pending, one after the other. */
  async resume(): Promise<void> {
    try {
      for await (const picoId of this.world.registry.pending()) {
        if (!this.world.running()) return
        if (!this.world.registry.wrappedKeys(picoId)) this.world.custody.eraseRest(picoId)
        else this.world.resident(picoId)
        await this.world.pause()
      }
    } catch (thrown) {
      this.world.fault({ picoId: null, fault: asPicoError(thrown), attempts: 0 })
    }
  }
}

const nextNumber = (numbered: readonly { readonly n: number }[]): number =>
  1 + numbered.reduce((last, { n }) => Math.max(last, n), -1)
