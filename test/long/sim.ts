// The simulator at length: as many seeds as wanted from a first one. A single round prints its whole trace, so that a
// seed that failed can be read.

import { failureOf, reportOf } from '../sim/report.ts'
import { Simulator } from '../sim/sim.ts'
import { runAll } from '../sim/threads.ts'
import type { LongOptions } from './run.ts'

const ROUNDS = 10_000
const TOLD = 500

export async function run({ seed, rounds = ROUNDS }: LongOptions): Promise<boolean> {
  if (rounds === 1) return single(seed)
  let done = 0
  const totals = await runAll(seed, rounds, one => {
    if (one.failures.length > 0) console.log(failureOf(one).join('\n'))
    if (++done % TOLD === 0) console.log(`${done} of ${rounds}`)
  })
  console.log(reportOf(totals))
  return totals.failed.length === 0
}

async function single(seed: number): Promise<boolean> {
  const simulator = await Simulator.make()
  const run = await simulator.run(seed, line => process.stdout.write(line))
  if (run.failures.length > 0) console.log(failureOf(run).join('\n'))
  console.log(`${run.steps} steps, ${run.crashes} crashes, trace ${run.hash}`)
  return run.failures.length === 0
}
