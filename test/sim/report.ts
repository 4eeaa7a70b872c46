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
  /** Sites that processes passed, those they died at, and how many there are. */
  readonly passed: readonly number[]
  readonly died: readonly number[]
  readonly known: number
}

/** Which seeds: `count` of them, from the first on, every `step`-th. */
export interface Seeds {
  readonly from: number
  readonly count: number
  readonly step: number
}

/** Failures after which going on says nothing new. */
const ENOUGH = 5

export async function runSeeds(
  simulator: Simulator,
  { from, count, step }: Seeds,
  every: (run: Run) => void = () => undefined,
): Promise<Totals> {
  const since = performance.now()
  const runs: Run[] = []
  const failed: Run[] = []
  for (let n = 0; n < count && failed.length < ENOUGH; n++) {
    const run = await simulator.run(from + n * step)
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
    passed: [...simulator.passed],
    died: [...simulator.died],
    known: simulator.build.sites.length,
  }
}

/** What ran side by side, as one; the first part began with the first seed. */
export function together(parts: readonly Totals[]): Totals {
  const sum = (of: (part: Totals) => number) => parts.reduce((total, part) => total + of(part), 0)
  return {
    seeds: sum(part => part.seeds),
    failed: parts.flatMap(part => part.failed),
    steps: sum(part => part.steps),
    messages: sum(part => part.messages),
    crashes: sum(part => part.crashes),
    moves: sum(part => part.moves),
    hash: parts[0]?.hash ?? '',
    seconds: Math.max(...parts.map(part => part.seconds)),
    passed: [...new Set(parts.flatMap(part => part.passed))],
    died: [...new Set(parts.flatMap(part => part.died))],
    known: parts[0]?.known ?? 0,
  }
}

/** What a reader wants to know of them, in lines. */
export function reportOf(totals: Totals): string {
  const { seeds, steps, messages, crashes, moves, hash, seconds, passed, died, known } = totals
  return [
    `${seeds} seeds, ${steps} steps, ${messages} messages, ${crashes} crashes, ${moves} with a move, ${seconds.toFixed(1)} s`,
    `crash points: died at ${died.length}, passed ${passed.length}, of ${known} awaits known in the shell`,
    `trace of the first seed: ${hash}`,
    ...totals.failed.flatMap(failureOf),
  ].join('\n')
}

export const failureOf = ({ seed, failures }: Run): string[] => [
  `FAILED seed ${seed}: npm run test:long -- sim --seed ${seed} --rounds 1`,
  ...failures.map(failure => `  ${failure}`),
]
