// The simulator at length: as many seeds as wanted from a first one. A single round prints its whole trace, so that a
// seed that failed can be read.

import { failureOf, reportOf, runSeeds } from '../sim/report.ts'
import { Simulator } from '../sim/sim.ts'
import type { LongOptions } from './run.ts'

const ROUNDS = 10_000
const TOLD = 500

export async function run({ seed, rounds = ROUNDS }: LongOptions): Promise<boolean> {
  const simulator = await Simulator.make()
  if (rounds === 1) {
    const single = await simulator.run(seed, line => process.stdout.write(line))
    console.log(
      [...failureOf(single), `${single.steps} steps, ${single.crashes} crashes, trace ${single.hash}`].join('\n'),
    )
    return single.failures.length === 0
  }
  let done = 0
  const totals = await runSeeds(simulator, seed, rounds, one => {
    if (one.failures.length > 0) console.log(failureOf(one).join('\n'))
    if (++done % TOLD === 0) console.log(`${done} of ${rounds}`)
  })
  console.log(reportOf(totals, simulator))
  return totals.failed.length === 0
}
