// Events through the whole core in process: one KRL rule that sets one variable, submit(applied), LevelDB with sync.
// Sequential stands beside the very batches of the same run written raw, one synced chained batch after the other.

import { join } from 'node:path'
import type { Json } from '../src/ports.ts'
import { LevelStore } from '../src/stores/level.ts'
import { besideRaw } from './beside.ts'
import { COUNTER, eciOf, inFolder, perSecond, picoIdOf, startCore, tick } from './core.ts'
import { atLeast, type Measured, median, type Size } from './figure.ts'

export async function bench(size: Size): Promise<Measured[]> {
  const { ours, raw } = await besideRaw(size.short ? 20 : 70, async (store, folder) => {
    const core = await startCore(store, folder)
    await core.engine.createPico(core.birth(0, [await core.ruleset(COUNTER)]))
    return { submit: i => core.engine.submit(picoIdOf(0), tick(0, i), 'applied'), stop: core.stop }
  })
  const many = await inFlight(100, size)
  const hot = await inFlight(1, size)
  return [
    {
      name: 'pico, one rule, sequential submit(applied)',
      value: Math.round(ours),
      unit: 'events/s',
      reference: { name: 'raw synced batches of the same keys and bytes', value: Math.round(raw) },
      ratio: ours / raw,
      goal: 0.7,
    },
    atLeast('pico, one rule, 128 in flight over 100 picos', many, 'events/s', 10_000),
    atLeast('pico, one rule, 128 in flight to one pico', hot, 'events/s', 10_000),
  ]
}

/** Events per second with 128 callers over `picos` picos; all counted at the end, the median of three runs. */
async function inFlight(picos: number, { short }: Size): Promise<number> {
  const events = short ? 4000 : 20_000
  return inFolder(async folder => {
    const core = await startCore(new LevelStore(join(folder, 'db')), folder)
    const rulesets = [await core.ruleset(COUNTER)]
    for (let n = 0; n < picos; n++) await core.engine.createPico(core.birth(n, rulesets))
    const run = (from: number, count: number) =>
      perSecond(count, 128, i => core.engine.submit(picoIdOf(i % picos), tick(i % picos, from + i), 'applied'))
    await run(0, events / 4)
    const rates: number[] = []
    for (let turn = 1; turn <= 3; turn++) rates.push(await run(turn * events, events))
    let counted = 0
    for (let n = 0; n < picos; n++) {
      const answer = (await core.engine.query(picoIdOf(n), {
        eci: eciOf(n),
        outside: true,
        rid: 'bench.counter',
        name: 'n',
        args: {},
        depth: 0,
      })) as { value?: Json }
      counted += Number(answer.value)
    }
    await core.stop()
    if (counted !== events / 4 + 3 * events) throw new Error(`${counted} events were applied`)
    return median(rates)
  })
}
