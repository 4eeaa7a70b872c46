// Many runs as one: what they came to in all, and for each that failed what broke and how to see it again.

import type { Run, Simulator } from './sim.ts'

export interface Totals {
  readonly seeds: number
  readonly failed: readonly Run[]
  readonly steps: number
  readonly messages: number
  readonly crashes: number
  readonly moves: number
  /** Of the first seed. */
  readonly hash: string
  readonly seconds: number
}

/** Failures after which going on says nothing new. */
const ENOUGH = 5

/** Runs the seeds `from`, `from + 1`, …; `every` hears of each. */
export async function runSeeds(
  simulator: Simulator,
  from: number,
  count: number,
  every: (run: Run) => void = () => undefined,
): Promise<Totals> {
  const since = performance.now()
  const runs: Run[] = []
  const failed: Run[] = []
  for (let seed = from; seed < from + count && failed.length < ENOUGH; seed++) {
    const run = await simulator.run(seed)
    runs.push(run)
    if (run.failures.length > 0) failed.push(run)
    every(run)
  }
  const sum = (of: (run: Run) => number) => runs.reduce((total, run) => total + of(run), 0)
  return {
    seeds: runs.length,
    failed,
    steps: sum(run => run.steps),
    messages: sum(run => run.messages),
    crashes: sum(run => run.crashes),
    moves: sum(run => run.moves),
    hash: runs[0]?.hash ?? '',
    seconds: (performance.now() - since) / 1000,
  }
}

/** What a reader wants to know of them, in lines. */
export function reportOf(totals: Totals, { passed, died, build }: Simulator): string {
  const { seeds, steps, messages, crashes, moves, hash, seconds } = totals
  return [
    `${seeds} seeds, ${steps} steps, ${messages} messages, ${crashes} crashes, ${moves} with a move, ${seconds.toFixed(1)} s`,
    `crash points: died at ${died.size}, passed ${passed.size}, of ${build.sites.length} awaits known in the shell`,
    `trace of the first seed: ${hash}`,
    ...totals.failed.flatMap(failureOf),
  ].join('\n')
}

export const failureOf = ({ seed, failures }: Run): string[] => [
  `FAILED seed ${seed}: npm run test:long -- sim --seed ${seed} --rounds 1`,
  ...failures.map(failure => `  ${failure}`),
]
