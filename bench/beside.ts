// One after the other beside the ceiling: the very batches that were written, written raw to a store of their own.

import { join } from 'node:path'
import type { Write } from '../src/ports.ts'
import { LevelStore } from '../src/stores/level.ts'
import { inFolder, perSecond } from './core.ts'

/** What is measured: `submit(i)` is awaited before the next. */
export interface Sequence {
  submit(i: number): Promise<unknown>
  stop(): Promise<void>
}

const WARM = 30
const EACH = 50

/** Turn and turn about, so that what else the machine does falls on both; the turn with the median ratio. Both per second. */
export async function besideRaw(
  turns: number,
  begin: (store: LevelStore, folder: string) => Promise<Sequence>,
): Promise<{ ours: number; raw: number }> {
  return inFolder(async folder => {
    const batches: (readonly Write[])[] = []
    const store = new LevelStore(join(folder, 'engine'))
    const write = store.write.bind(store)
    store.write = (writes, sync) => {
      batches.push(writes)
      return write(writes, sync)
    }
    const beside = new LevelStore(join(folder, 'raw'))
    await beside.open()
    const sequence = await begin(store, folder)
    const rates: { ours: number; raw: number }[] = []
    for (let turn = 0; turn < turns + WARM; turn++) {
      batches.length = 0
      const ours = await perSecond(EACH, 1, i => sequence.submit(turn * EACH + i))
      const recorded = [...batches]
      const replayed = await perSecond(recorded.length, 1, i => beside.write(recorded[i] as readonly Write[], true))
      if (turn >= WARM) rates.push({ ours, raw: (replayed * EACH) / recorded.length })
    }
    await sequence.stop()
    await beside.close()
    return rates.sort((a, b) => a.ours / a.raw - b.ours / b.raw)[rates.length >> 1] as { ours: number; raw: number }
  })
}
