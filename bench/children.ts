// Children by `wrangler:new_child_request`, 16 in flight, each until the parent knows it as initialised; whether the
// last of many are as fast as the first; and that 5,000 are there.

import { join } from 'node:path'
import { children } from '../src/pico.ts'
import { LevelStore } from '../src/stores/level.ts'
import { eciOf, inFolder, perSecond, picoIdOf, startCore } from './core.ts'
import { atLeast, type Measured, type Size } from './figure.ts'

export async function bench({ short }: Size): Promise<Measured[]> {
  const [total, part] = short ? [1000, 200] : [5000, 500]
  return inFolder(async folder => {
    const core = await startCore(new LevelStore(join(folder, 'db')), folder)
    const { engine } = core
    await engine.createPico(core.birth(0))
    const waiting = new Map<string, () => void>()
    engine.on('committed', ({ picoId, stimulus }) => {
      if (picoId !== picoIdOf(0) || stimulus.kind !== 'event' || stimulus.name !== 'child_initialized') return
      const name = String(stimulus.attrs.name)
      waiting.get(name)?.()
      waiting.delete(name)
    })
    const child = async (i: number) => {
      const name = `child ${i}`
      const ready = new Promise<void>(resolve => waiting.set(name, resolve))
      await engine.submit(
        picoIdOf(0),
        { kind: 'event', eci: eciOf(0), outside: true, domain: 'wrangler', name: 'new_child_request', attrs: { name } },
        'applied',
      )
      await ready
    }
    await perSecond(200, 16, i => child(total + i))
    const start = performance.now()
    const rates: number[] = []
    for (let from = 0; from < total; from += part) rates.push(await perSecond(part, 16, i => child(from + i)))
    const rate = (total * 1000) / (performance.now() - start)
    const ready = (await engine.read(picoIdOf(0), children)).filter(one => one.ready).length
    await core.stop()
    if (ready !== total + 200) throw new Error(`${ready} children are ready`)
    const [first, last] = [rates[0] as number, rates.at(-1) as number]
    return [
      atLeast(`children, ${total} by event, 16 in flight, until initialised`, rate, 'children/s', 500),
      {
        name: `children, the last ${part} of ${total}`,
        value: Math.round(last),
        unit: 'children/s',
        reference: { name: `the first ${part}`, value: Math.round(first) },
        ratio: last / first,
        goal: 0.8,
      },
    ]
  })
}
