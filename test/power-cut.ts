// A store that can lose its power: what no finished sync covers is gone or there, in order, and the record being
// written is torn, which recovery drops whole. The model of LevelDB's own fault injection test.

import { PicoError } from '../src/errors.ts'
import type { Store, Write } from '../src/ports.ts'
import { MemoryStore } from '../src/stores/memory.ts'

export interface PowerCutOptions {
  /** Says "synced" though nothing is: the build that must be caught. */
  readonly liesAboutSync?: boolean
  /** Ends the write before the disk has it, and lets it happen later. */
  readonly acknowledgesEarly?: boolean
  /** A failed write is found in the log when the store is opened anew, which the next write does and fails too: LevelDB. */
  readonly ghosts?: boolean
}

export class PowerCutStore implements Store {
  private readonly options: PowerCutOptions
  private disk: MemoryStore
  private memory = new MemoryStore()
  /** Writes since the last finished sync, in order. */
  private unsynced: (readonly Write[])[] = []
  private turn: Promise<void> = Promise.resolve()
  private generation = 0
  private ghost: readonly Write[] | undefined
  /** The next so many synced writes fail. */
  failures = 0
  /** Finished synced writes. */
  syncs = 0
  /** Called before each write reaches the disk; a test holds it to look at what is not yet synced. */
  gate: () => Promise<void> = async () => undefined

  constructor(options: PowerCutOptions = {}, disk = new MemoryStore()) {
    this.options = options
    this.disk = disk
  }

  async open(): Promise<void> {
    await this.disk.open()
    await this.memory.open()
    const { writes } = await everything(this.disk)
    await this.memory.write(writes, true)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.memory.get(key)
  }

  range(gte: Uint8Array, lt: Uint8Array, limit?: number): Promise<{ key: Uint8Array; value: Uint8Array }[]> {
    return this.memory.range(gte, lt, limit)
  }

  async write(writes: readonly Write[], sync: boolean): Promise<void> {
    const { generation } = this
    const copy = writes.map(({ key, value }) => ({ key: Uint8Array.from(key), value: value && Uint8Array.from(value) }))
    const mine = this.turn.then(async () => {
      await this.gate()
      if (generation !== this.generation) return new Promise<void>(() => undefined)
      if (this.ghost) {
        const found = this.ghost
        this.ghost = undefined
        await this.memory.write(found, true)
        this.unsynced.push(found)
        throw new PicoError('store.unavailable', 'The store was opened anew.')
      }
      if (sync && this.failures > 0) {
        this.failures--
        if (this.options.ghosts) this.ghost = copy
        throw new PicoError('store.unavailable', 'The disk failed.')
      }
      await this.memory.write(copy, sync)
      this.unsynced.push(copy)
      if (!sync) return
      if (!this.options.liesAboutSync) await this.flush()
      this.syncs++
    })
    this.turn = mine.catch(() => undefined)
    if (this.options.acknowledgesEarly) return
    return mine
  }

  async compact(): Promise<void> {}

  async close(): Promise<void> {
    await this.turn
    await this.memory.close()
  }

  /** Cuts the power: the first `keep` writes that no sync covers got to the disk, the next was torn. What comes back. */
  async cut(keep = 0): Promise<PowerCutStore> {
    this.generation++
    for (const writes of this.unsynced.slice(0, keep)) await this.disk.write(writes, true)
    await this.memory.close()
    return new PowerCutStore(this.options, this.disk)
  }

  /** The process dies but the machine does not: every write that was made is there. */
  async kill(): Promise<PowerCutStore> {
    return this.cut(this.unsynced.length)
  }

  private async flush(): Promise<void> {
    for (const writes of this.unsynced.splice(0)) await this.disk.write(writes, true)
  }
}

async function everything(store: MemoryStore): Promise<{ writes: Write[] }> {
  return { writes: await store.range(Uint8Array.of(0), Uint8Array.of(0xff, 0xff)) }
}
