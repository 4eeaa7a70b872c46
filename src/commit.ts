// Group commit (DESIGN 4): whatever queued while the previous batch was being synced is the next batch. Order of entry
// is order on disk; a pico's steps are fenced by (seq, epoch) here, where nothing can come between check and write.

import { strict as assert } from 'node:assert'
import type { PicoError } from './errors.ts'
import { asPicoError } from './errors.ts'
import type { Clock, PicoId, Store, Write } from './ports.ts'

export interface Fence {
  readonly picoId: PicoId
  readonly seq: number
  readonly epoch: number
}

interface Entry {
  readonly writes: readonly Write[]
  /** Called in order of entry: undefined when on disk. */
  readonly done: (fault: PicoError | undefined) => void
}

/** A batch takes entries until it holds this many records or bytes. */
const BATCH_WRITES = 4096
const BATCH_BYTES = 8 << 20
/** How long trailing writes wait for company. */
const TRAIL_MS = 20

export class CommitQueue {
  private readonly store: Store
  private readonly onFailure: (fault: PicoError) => void
  private readonly clock: Clock
  private entries: Entry[] = []
  /** Writes that nobody waits for; they go ahead of the next batch. */
  private trailing: Write[] = []
  private trailTimer: (() => void) | undefined
  private readonly last = new Map<PicoId, { seq: number; epoch: number }>()
  private writing = false
  private scheduled = false
  private idlers: (() => void)[] = []

  /** `onFailure` is called before the entries of a failed batch, and all that queued behind it, hear of it. */
  constructor(store: Store, clock: Clock, onFailure: (fault: PicoError) => void) {
    this.store = store
    this.clock = clock
    this.onFailure = onFailure
  }

  /** Enters one atomic set of writes. A fence out of order is our bug and throws. */
  enter(writes: readonly Write[], fence: Fence | undefined, done: Entry['done']): void {
    if (fence) this.pass(fence)
    this.entries.push({ writes, done })
    this.schedule()
  }

  /** As `enter`, without a fence, as a promise. */
  write(writes: readonly Write[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.enter(writes, undefined, fault => (fault ? reject(fault) : resolve()))
    })
  }

  /** Writes whose loss in a crash is harmless: they go with the next batch, or alone when nothing else comes. */
  trail(writes: readonly Write[]): void {
    this.trailing.push(...writes)
    this.trailTimer ??= this.clock.wake(this.clock.now() + TRAIL_MS, () => this.schedule())
  }

  /** The pico's next step is `seq + 1` of `epoch`. */
  expect(fence: Fence): void {
    this.last.set(fence.picoId, { seq: fence.seq, epoch: fence.epoch })
  }

  forget(picoId: PicoId): void {
    this.last.delete(picoId)
  }

  /** Resolves when nothing is queued and nothing is being written. */
  idle(): Promise<void> {
    if (this.trailing.length > 0) this.schedule()
    if (!this.writing && !this.scheduled) return Promise.resolve()
    return new Promise(resolve => this.idlers.push(resolve))
  }

  private pass(fence: Fence): void {
    const last = this.last.get(fence.picoId)
    assert(last, 'a step of a pico that was not loaded')
    assert(fence.epoch === last.epoch && fence.seq === last.seq + 1, 'a step out of order')
    last.seq = fence.seq
  }

  // In a microtask: all that one slice of steps enters shares a batch.
  private schedule(): void {
    if (this.writing || this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      void this.flush()
    })
  }

  private async flush(): Promise<void> {
    this.writing = true
    while (this.entries.length > 0 || this.trailing.length > 0) {
      const batch = this.take()
      // What trails was entered before: it must not undo what a step of the same batch writes.
      const writes = this.trailing
      this.trailing = []
      this.trailTimer?.()
      this.trailTimer = undefined
      for (const entry of batch) for (const write of entry.writes) writes.push(write)
      try {
        await this.store.write(writes, true)
      } catch (thrown) {
        this.fail(batch, asPicoError(thrown))
        continue
      }
      for (const { done } of batch) done(undefined)
    }
    this.writing = false
    for (const resolve of this.idlers.splice(0)) resolve()
  }

  private take(): Entry[] {
    let writes = 0
    let bytes = 0
    let count = 0
    while (count < this.entries.length && writes < BATCH_WRITES && bytes < BATCH_BYTES) {
      for (const write of (this.entries[count] as Entry).writes) bytes += write.value?.length ?? 0
      writes += (this.entries[count] as Entry).writes.length
      count++
    }
    return this.entries.splice(0, count)
  }

  // Steps behind a failed one ran on a state that never was: they fail with it, and memory is dropped first.
  private fail(batch: Entry[], fault: PicoError): void {
    const failed = batch.concat(this.entries.splice(0))
    this.last.clear()
    this.trailing = []
    this.onFailure(fault)
    for (const { done } of failed) done(fault)
  }
}
