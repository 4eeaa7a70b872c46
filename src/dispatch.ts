// Letters leave after their commit (law L3): per lane in order, one in flight; a failing one holds later ones until it
// is delivered or given up (DESIGN 4, Outbox). Attempts are counted in memory; a restart begins them anew.

import { asPicoError } from './errors.ts'
import type { Clock, Delivery, Json, Letter } from './ports.ts'
import type { Claim, Resident } from './resident.ts'

export interface Backoff {
  /** Pause after the first failure, ms; doubled after each further one. */
  readonly first_ms: number
  readonly longest_ms: number
}

export interface Leaving {
  readonly outcome: 'delivered' | 'undeliverable'
  readonly attempts: number
  readonly reason?: string
  readonly answer?: Json
}

interface Posting {
  readonly letter: Letter
  attempts: number
  /** A caller carries it on its own line. */
  claimed: boolean
  /** Lay on disk at start. */
  readonly found: boolean
}

export interface Lane {
  readonly postings: Posting[]
  /** A delivery is under way, or the pause after one. */
  busy: boolean
  sending: boolean
  cancel: (() => void) | undefined
}

export class Dispatch {
  private readonly clock: Clock
  private readonly backoff: Backoff
  private readonly deliver: (letter: Letter, resident: Resident, found: boolean) => Promise<Delivery>
  private readonly left: (resident: Resident, letter: Letter, how: Leaving) => void
  private running = false

  /** `left` hears once of every letter that was taken or given up. */
  constructor(
    clock: Clock,
    backoff: Backoff,
    deliver: (letter: Letter, resident: Resident, found: boolean) => Promise<Delivery>,
    left: (resident: Resident, letter: Letter, how: Leaving) => void,
  ) {
    this.clock = clock
    this.backoff = backoff
    this.deliver = deliver
    this.left = left
  }

  start(): void {
    this.running = true
  }

  stop(): void {
    this.running = false
  }

  /** A committed letter; they come in the order they were written. `found`: it lay on disk at start. */
  add(resident: Resident, letter: Letter, found = false): void {
    let lane = resident.lanes.get(letter.lane)
    if (!lane) {
      lane = { postings: [], busy: false, sending: false, cancel: undefined }
      resident.lanes.set(letter.lane, lane)
    }
    lane.postings.push({ letter, attempts: 0, claimed: false, found })
    if (!lane.busy) void this.run(resident, lane)
  }

  /** As `add`, but the caller carries the letter, unless earlier ones of its lane wait: then undefined. */
  addClaimed(resident: Resident, letter: Letter): Claim | undefined {
    if (resident.lanes.has(letter.lane)) {
      this.add(resident, letter)
      return undefined
    }
    const posting: Posting = { letter, attempts: 1, claimed: true, found: false }
    const lane: Lane = { postings: [posting], busy: false, sending: false, cancel: undefined }
    resident.lanes.set(letter.lane, lane)
    const once = (act: () => void) => () => {
      if (!posting.claimed || resident.dropped) return
      posting.claimed = false
      act()
    }
    return {
      letter,
      taken: once(() => {
        this.remove(resident, lane, posting, { outcome: 'delivered', attempts: 1 })
        void this.run(resident, lane)
      }),
      release: once(() => void this.run(resident, lane)),
    }
  }

  /** Ends a lane's pause. */
  nudge(resident: Resident, name: string): void {
    const lane = resident.lanes.get(name)
    if (lane?.cancel === undefined) return
    lane.cancel()
    lane.cancel = undefined
    void this.run(resident, lane)
  }

  /** Forgets the letters of a pico whose memory is dropped, or that is frozen; what is under way is let go. */
  release(resident: Resident): void {
    for (const lane of resident.lanes.values()) lane.cancel?.()
    resident.lanes.clear()
  }

  /** Is a letter on its way at this moment? */
  sending(resident: Resident): boolean {
    return [...resident.lanes.values()].some(lane => lane.sending)
  }

  private async run(resident: Resident, lane: Lane): Promise<void> {
    lane.busy = true
    for (let posting = lane.postings[0]; posting && !posting.claimed; posting = lane.postings[0]) {
      if (!this.may(resident, lane)) return
      const how = await this.attempt(resident, lane, posting)
      if (!this.running || resident.dropped || resident.lanes.get(posting.letter.lane) !== lane) return
      if (!how) return this.pause(resident, lane, posting)
      this.remove(resident, lane, posting, how)
    }
    lane.busy = false
  }

  private may(resident: Resident, lane: Lane): boolean {
    const current = resident.lanes.get(lane.postings[0]?.letter.lane ?? '') === lane
    const leaving = resident.status === 'live' || resident.status === 'destroying'
    return this.running && current && !resident.dropped && leaving
  }

  /** Undefined: try again later. */
  private async attempt(resident: Resident, lane: Lane, posting: Posting): Promise<Leaving | undefined> {
    const { letter } = posting
    if (this.clock.now() >= letter.expires && posting.attempts > 0)
      return { outcome: 'undeliverable', attempts: posting.attempts, reason: 'letter.expired' }
    posting.attempts++
    lane.sending = true
    const delivery = await this.deliver(letter, resident, posting.found).catch(
      (thrown): Delivery => ({ retry: asPicoError(thrown).code }),
    )
    lane.sending = false
    const { attempts } = posting
    if ('taken' in delivery)
      return { outcome: 'delivered', attempts, ...(delivery.answer === undefined ? {} : { answer: delivery.answer }) }
    if ('refused' in delivery) return { outcome: 'undeliverable', attempts, reason: delivery.refused }
    return this.clock.now() >= letter.expires
      ? { outcome: 'undeliverable', attempts, reason: delivery.retry }
      : undefined
  }

  private pause(resident: Resident, lane: Lane, posting: Posting): void {
    const { first_ms, longest_ms } = this.backoff
    const pause = Math.min(longest_ms, first_ms * 2 ** (posting.attempts - 1))
    const at = Math.min(this.clock.now() + pause, Math.max(posting.letter.expires, this.clock.now() + first_ms))
    lane.cancel = this.clock.wake(at, () => {
      lane.cancel = undefined
      void this.run(resident, lane)
    })
  }

  private remove(resident: Resident, lane: Lane, posting: Posting, how: Leaving): void {
    lane.postings.shift()
    if (lane.postings.length === 0) resident.lanes.delete(posting.letter.lane)
    this.left(resident, posting.letter, how)
  }
}
