// Many seeds on all processors. Threads need JavaScript: they run what `npm test` built; where that is older than its
// source, everything runs in this thread.

import { readdirSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ROOT } from './build.ts'
import { runSeeds, type Seeds, type Totals, together } from './report.ts'
import { type Run, Simulator } from './sim.ts'

const BUILT = join(ROOT, 'dist/test/sim')

/** `count` seeds from `from` on; `every` hears of each in the order they end. */
export async function runAll(
  from: number,
  count: number,
  every: (run: Run) => void = () => undefined,
): Promise<Totals> {
  const step = fresh() ? Math.min(availableParallelism(), count) : 1
  if (step === 1) return runSeeds(await Simulator.make(), { from, count, step }, every)
  const parts = Array.from({ length: step }, (_, i) => ({ from: from + i, count: Math.ceil((count - i) / step), step }))
  return together(await Promise.all(parts.map(seeds => inThread(seeds, every))))
}

function inThread(seeds: Seeds, every: (run: Run) => void): Promise<Totals> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(join(BUILT, 'thread.js'), { workerData: seeds })
    worker.on('message', (said: { run: Run } | { totals: Totals }) =>
      'run' in said ? every(said.run) : resolve(said.totals),
    )
    worker.on('error', reject)
    worker.on('exit', code => reject(new Error(`a thread of the simulator ended with ${code}`)))
  })
}

/** Every file of the simulator is older than what was built of it. */
function fresh(): boolean {
  const folder = join(ROOT, 'test/sim')
  const sources = readdirSync(folder).filter(name => name.endsWith('.ts'))
  const time = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return sources.every(name => time(join(BUILT, name.replace(/\.ts$/, '.js'))) >= time(join(folder, name)))
}
