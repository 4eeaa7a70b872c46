// A record that kills the process must not kill it for ever (DESIGN 4, How a step ends, c): a mark stands outside the
// store while a recovered record runs. Found at two starts in a row, the record is poison. Mark and run are synchronous,
// so a kill at an await leaves no mark. What is marked appears as a keyed hash only (law L7).

import type { MarkFile } from './ports.ts'

const RUNNING = 'running'
const COUNTED = 'counted'

export class Marks {
  private readonly file: MarkFile
  private readonly hash: (name: string) => Uint8Array
  private found: { readonly mark: string; readonly starts: number } | undefined

  constructor(file: MarkFile, hash: (name: string) => Uint8Array) {
    this.file = file
    this.hash = hash
  }

  /** Counts what stood when the engine started. That it was counted is noted: a kill before the record runs again is no
   *  second death of it. */
  start(): void {
    const [mark, starts, running] = this.file.read().split(' ')
    this.found = mark && starts ? { mark, starts: Number(starts) + (running === RUNNING ? 1 : 0) } : undefined
    this.rest()
  }

  poisonous(name: string): boolean {
    return this.found !== undefined && this.found.starts >= 2 && this.found.mark === this.markOf(name)
  }

  /** Runs `run` while the mark of `name` stands. */
  around(name: string, run: () => void): void {
    const mark = this.markOf(name)
    this.file.write(`${mark} ${this.found?.mark === mark ? this.found.starts : 0} ${RUNNING}`)
    try {
      run()
    } finally {
      if (this.found?.mark === mark) this.found = undefined
      this.rest()
    }
  }

  // Between runs the file holds what was found at the start until that has run and lived.
  private rest(): void {
    this.file.write(this.found ? `${this.found.mark} ${this.found.starts} ${COUNTED}` : '')
  }

  private markOf(name: string): string {
    return Buffer.from(this.hash(name)).toString('hex')
  }
}
