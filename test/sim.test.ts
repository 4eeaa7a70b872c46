// Whole engines from one seed (DESIGN 1 and 7): whatever is lost, late, doubled or dies, the promises hold; the same seed
// gives the same run; and builds that break a law are caught. At length: `npm run test:long -- sim`.

import { describe, expect, test } from '@jest/globals'
import { BROKEN } from './sim/broken.ts'
import { reportOf } from './sim/report.ts'
import { Simulator } from './sim/sim.ts'
import { runAll } from './sim/threads.ts'

const SEEDS = 1_000
const MOVES = 200
/** Distinct awaits of the shell that some process died at. */
const DEATHS = 130
/** A broken build must be caught within so many seeds. */
const PATIENCE = 100

const say = (text: string) => process.stdout.write(`${text}\n`)

describe('simulation', () => {
  test(`${SEEDS} seeds hold every promise`, async () => {
    const totals = await runAll(1, SEEDS)
    say(`simulator: ${reportOf(totals)}`)
    expect(totals.failed).toEqual([])
    expect(totals.moves).toBeGreaterThanOrEqual(MOVES)
    expect(totals.died.length).toBeGreaterThanOrEqual(DEATHS)
  }, 300_000)

  test('the same seed gives the same trace in a fresh program', async () => {
    const hashes = async () => {
      const simulator = await Simulator.make()
      const runs = []
      for (let seed = 1; seed <= 12; seed++) runs.push((await simulator.run(seed)).hash)
      return runs
    }
    const first = await hashes()
    expect(await hashes()).toEqual(first)
    expect(new Set(first).size).toBe(first.length)
  }, 60_000)

  test.each(BROKEN)(
    'a build with this fault is caught: $name',
    async ({ name, replacements }) => {
      const simulator = await Simulator.make(replacements)
      let caught: number | undefined
      let why: string | undefined
      for (let seed = 1; seed <= PATIENCE && caught === undefined; seed++) {
        const [failure] = (await simulator.run(seed)).failures
        if (failure === undefined) continue
        caught = seed
        why = failure.split('\n')[0]
      }
      say(`simulator: ${name}: caught by seed ${caught}: ${why}`)
      expect(caught).toBeDefined()
    },
    120_000,
  )
})
