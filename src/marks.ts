// A record that kills the process must not kill it for ever (DESIGN 4, How a step ends, c): a mark stands on disk while
// a recovered record runs, without sync, for it need only survive the process. Found at two starts in a row, the record
// is poison. One record runs under the mark at a time; waiting for the world is not covered.

import type { Json, Store, Write } from './ports.ts'

type Mark = { readonly name: string; readonly starts: number }

export class Marks {
  private readonly store: Store
  private readonly write: (name: string, value: Json | undefined) => Write
  private found: Mark | undefined
  private turn: Promise<void> = Promise.resolve()

  /** `write` makes the write of a record of the engine's tables. */
  constructor(store: Store, write: (name: string, value: Json | undefined) => Write) {
    this.store = store
    this.write = write
  }

  /** What stood when the engine started, and that it was found once more. */
  async start(found: Json | undefined): Promise<void> {
    const mark = found as Mark | undefined
    this.found = mark && { name: mark.name, starts: mark.starts + 1 }
    if (this.found) await this.set(this.found)
  }

  poisonous(name: string): boolean {
    return this.found?.name === name && this.found.starts >= 2
  }

  /** Runs `run` while the mark of `name` stands. Never throws for the mark's sake: a disk that fails fails the commit. */
  around(name: string, run: () => void): Promise<void> {
    const mine = this.turn.then(async () => {
      const starts = this.found?.name === name ? this.found.starts : 0
      await this.set({ name, starts }).catch(() => undefined)
      try {
        run()
      } finally {
        await this.set(undefined).catch(() => undefined)
      }
    })
    this.turn = mine.catch(() => undefined)
    return mine
  }

  private set(mark: Mark | undefined): Promise<void> {
    return this.store.write([this.write('mark', mark as unknown as Json | undefined)], false)
  }
}
