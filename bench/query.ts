// A parent's query over 200 children, each asked for a variable through Wrangler's children() and picoQuery(), as
// `lastTemperatures` of a sensor community does: with all picos in memory, and first thing after a restart.

import { join } from 'node:path'
import type { Json } from '../src/ports.ts'
import { LevelStore } from '../src/stores/level.ts'
import { eciOf, inFolder, newVault, picoIdOf, startCore } from './core.ts'
import { atMost, type Measured, median, type Size } from './figure.ts'

const CHILDREN = 200
const TURNS = 15

const SENSOR = `
ruleset bench.sensor {
  meta { shares lastTemperature }
  global { lastTemperature = function() { ent:last.defaultsTo({"temperature": 20}) } }
  rule heartbeat {
    select when wovyn heartbeat
    fired { ent:last := {"temperature": event:attr("temperature"), "timestamp": time:now()} }
  }
}`

const COMMUNITY = `
ruleset bench.community {
  meta {
    use module io.picolabs.wrangler alias wrangler
    shares lastTemperatures
  }
  global {
    lastTemperatures = function() {
      wrangler:children().map(function(child) {
        {"name": child{"name"}, "last": wrangler:picoQuery(child{"eci"}, "bench.sensor", "lastTemperature", {})}
      })
    }
  }
}`

export async function bench(_: Size): Promise<Measured[]> {
  return inFolder(async folder => {
    const vault = newVault()
    const first = await startCore(new LevelStore(join(folder, 'db')), folder, vault)
    const [sensor, community] = [await first.ruleset(SENSOR), await first.ruleset(COMMUNITY)]
    await first.engine.createPico(first.birth(0, [community, sensor]))
    for (let n = 0; n < CHILDREN; n++) await child(first.engine, n, sensor.url)
    const warm = await times(first.engine, TURNS)
    await first.stop()
    const second = await startCore(new LevelStore(join(folder, 'db')), folder, vault)
    const [cold] = await times(second.engine, 1)
    await second.stop()
    return [
      atMost(`query, over ${CHILDREN} children in memory`, median(warm), 'ms', 200),
      atMost(`query, over ${CHILDREN} children right after a restart`, cold as number, 'ms', 200),
    ]
  })
}

type Engine = Awaited<ReturnType<typeof startCore>>['engine']

async function child(engine: Engine, n: number, url: string): Promise<void> {
  const made = (await engine.submit(
    picoIdOf(0),
    { kind: 'command', name: 'pico.new', args: { name: `sensor ${n}`, rulesets: [url] } },
    'applied',
  )) as { eci?: string }
  if (made.eci === undefined) throw new Error(JSON.stringify(made))
  // The letter that makes the child left with the commit; its channel leads to it once it is born.
  while (engine.lookup(`eci:${made.eci}`) === undefined) await new Promise(resolve => setTimeout(resolve, 1))
  const picoId = engine.lookup(`eci:${made.eci}`) as string
  await engine.submit(
    picoId,
    {
      kind: 'event',
      eci: made.eci,
      outside: false,
      domain: 'wovyn',
      name: 'heartbeat',
      attrs: { temperature: 20 + n },
    },
    'applied',
  )
}

async function times(engine: Engine, turns: number): Promise<number[]> {
  const taken: number[] = []
  for (let turn = 0; turn < turns; turn++) {
    const start = performance.now()
    const answer = await engine.query(picoIdOf(0), {
      eci: eciOf(0),
      outside: true,
      rid: 'bench.community',
      name: 'lastTemperatures',
      args: {},
      depth: 0,
    })
    taken.push(performance.now() - start)
    const value = ('value' in answer ? answer.value : answer) as { last?: { temperature?: Json } }[]
    if (
      !Array.isArray(value) ||
      value.length !== CHILDREN ||
      !value.every((one, n) => one.last?.temperature === 20 + n)
    )
      throw new Error(`the answer is ${JSON.stringify(value).slice(0, 300)}`)
  }
  return taken
}
