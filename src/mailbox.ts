// Fair queues (law L8): round robin over the picos that have something to do, one step a turn, and after a slice of
// steps the event loop gets its turn, so that sockets are served however much is queued.

/** Steps between two turns of the event loop. */
const SLICE = 32

export class Mailbox<T extends { queued: boolean }> {
  private readonly ready: T[] = []
  private readonly run: (turn: T) => void
  private readonly pause: () => Promise<void>
  private pumping = false
  private stepsSincePause = 0

  /** `run` takes one step and never throws; `pause` lets the event loop turn. */
  constructor(run: (turn: T) => void, pause: () => Promise<void>) {
    this.run = run
    this.pause = pause
  }

  /** Gives `turn` its turn behind the others. */
  add(turn: T): void {
    if (turn.queued) return
    turn.queued = true
    this.ready.push(turn)
    if (this.pumping) return
    this.pumping = true
    queueMicrotask(() => void this.pump())
  }

  private async pump(): Promise<void> {
    for (let turn = this.ready.shift(); turn; turn = this.ready.shift()) {
      turn.queued = false
      this.run(turn)
      if (++this.stepsSincePause < SLICE) continue
      await this.pause()
      this.stepsSincePause = 0
    }
    this.pumping = false
  }
}
