// Virtual time: what is to happen lies in one queue, in order of its time, then of its entry; between two happenings all
// that the first one caused in the event loop has run. Nothing waits for the machine's clock.

import { setImmediate } from 'node:timers'

interface Due {
  readonly at: number
  readonly n: number
  fn: (() => void) | undefined
}

const START = Date.UTC(2026, 0, 1)

export class Time {
  now = START
  /** Happenings so far. */
  steps = 0
  private readonly heap: Due[] = []
  private entered = 0

  /** Calls `fn` at `at` ms; gives the way to prevent it. */
  at(at: number, fn: () => void): () => void {
    const due: Due = { at: Math.max(at, this.now), n: this.entered++, fn }
    this.push(due)
    return () => {
      due.fn = undefined
    }
  }

  after(ms: number, fn: () => void): () => void {
    return this.at(this.now + ms, fn)
  }

  sleep(ms: number): Promise<void> {
    return new Promise(resolve => this.after(ms, resolve))
  }

  /** Lets time pass until `done`, or until nothing is left to happen, or `end` ms. */
  async run(done: () => boolean, end: number): Promise<void> {
    await settled()
    while (!done()) {
      const due = this.pop()
      if (due === undefined || due.at > end) return
      if (due.fn === undefined) continue
      this.now = due.at
      this.steps++
      due.fn()
      await settled()
    }
  }

  private push(due: Due): void {
    let at = this.heap.push(due) - 1
    for (let up = (at - 1) >> 1; at > 0 && before(due, this.heap[up] as Due); up = (at - 1) >> 1) {
      this.heap[at] = this.heap[up] as Due
      at = up
    }
    this.heap[at] = due
  }

  private pop(): Due | undefined {
    const first = this.heap[0]
    const last = this.heap.pop()
    if (first === undefined || last === undefined || this.heap.length === 0) return first
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= this.heap.length) break
      if (down + 1 < this.heap.length && before(this.heap[down + 1] as Due, this.heap[down] as Due)) down++
      if (!before(this.heap[down] as Due, last)) break
      this.heap[at] = this.heap[down] as Due
      at = down
    }
    this.heap[at] = last
    return first
  }
}

const before = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.n < b.n)

/** Resolves when every promise that can settle has settled: the event loop runs them all before it turns. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
