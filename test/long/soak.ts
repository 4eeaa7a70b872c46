// The same work again and again on two engines: everything is applied once, nothing fails, and what it takes of memory
// and time at the end is what it took when it was warm.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EngineProcess, ROOT, until } from '../../examples/engine-process.ts'
import { type Connection, connect } from '../../examples/sensor-community/setup.ts'
import type { JsonObject } from '../../src/ports.ts'
import type { LongOptions } from './run.ts'

/** Turns of the work; one takes about a third of a second. */
const ROUNDS = 400
const EVENTS = 60
const MESSAGES = 10
const CHILDREN = 2
/** Of what was measured when warm: memory, and time of the middle event. */
const MEMORY = 1.3
const SLOWER = 2
const DRAIN_MS = 30_000
const SOAK = pathToFileURL(join(ROOT, 'test', 'long', 'soak.krl')).href

interface Field {
  readonly engines: readonly [EngineProcess, EngineProcess]
  readonly sides: readonly [Connection, Connection]
  readonly eci: string
}

interface Turn {
  /** Resident set of the first engine, MB. */
  readonly memory: number
  /** The middle one of the turn's events, ms. */
  readonly event: number
}

interface Counts {
  readonly events: number
  readonly messages: number
  readonly births: number
}

export async function run({ rounds = ROUNDS }: LongOptions): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'picomesh-soak-'))
  const field = await begin(folder)
  try {
    const turns: Turn[] = []
    for (let n = 0; n < rounds; n++) {
      turns.push(await work(field, n))
      if ((n + 1) % Math.ceil(rounds / 8) === 0)
        console.log(
          `  turn ${n + 1}: ${turns.at(-1)?.memory.toFixed(0)} MB, event ${turns.at(-1)?.event.toFixed(2)} ms`,
        )
    }
    const complete = await counted(field, rounds)
    return steady(turns) && complete
  } finally {
    await Promise.all(field.engines.map(engine => engine.kill()))
    rmSync(folder, { recursive: true, force: true })
  }
}

async function begin(folder: string): Promise<Field> {
  const start = (name: string) => EngineProcess.start({ home: join(folder, name), port: 0, log: 'json' })
  const engines = [await start('a'), await start('b')] as const
  for (const engine of engines) await engine.verb('pico.new', { name: 'soak', rulesets: [SOAK] })
  const { eci } = await engines[0].verb<{ eci: string }>('channel.new', {
    pico: 'soak',
    tags: ['load'],
    events: 'soak:*',
  })
  const side = { pico: 'soak', events: 'soak:event', queries: '' }
  return { engines, sides: await connect({ engine: engines[0], ...side }, { engine: engines[1], ...side }), eci }
}

async function work({ engines: [a, b], sides, eci }: Field, turn: number): Promise<Turn> {
  const times: number[] = []
  const post = async (name: string, body: object, key: string) => {
    const since = performance.now()
    const answer = await fetch(`${a.url}/c/${eci}/event-wait/soak/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    })
    await answer.text()
    times.push(performance.now() - since)
    return answer.status
  }
  for (let n = 0; n < EVENTS; n += 4)
    await Promise.all([0, 1, 2, 3].map(i => post('event', { text: 'x'.repeat(200) }, `e${turn}-${n + i}`)))
  const failed = await post('failure_wanted', {}, `f${turn}`)
  if (failed !== 500) console.log(`  a rule that fails is answered ${failed}`)
  for (let n = 0; n < CHILDREN; n++) await post('child_wanted', { name: `child ${turn} ${n}` }, `c${turn}-${n}`)
  for (const [engine, { connectionId: connection }] of [
    [a, sides[0]],
    [b, sides[1]],
  ] as const)
    for (let n = 0; n < MESSAGES; n++)
      await engine.verb('msg.send', { pico: 'soak', connection, text: `message ${turn} ${n}` })
  times.sort((x, y) => x - y)
  return { memory: residentMegabytes(a.file.pid), event: times[times.length >> 1] as number }
}

/** Everything was applied once, the children are gone again, and no engine had a fault of its own. */
async function counted({ engines }: Field, rounds: number): Promise<boolean> {
  const [a, b] = engines
  const wanted = [
    { events: rounds * EVENTS, messages: rounds * MESSAGES, births: rounds * CHILDREN },
    { events: 0, messages: rounds * MESSAGES, births: 0 },
  ]
  const counts = async () => Promise.all([a, b].map(engine => engine.query<Counts>('soak', 'test.soak', 'counts')))
  const same = async () => JSON.stringify(await counts()) === JSON.stringify(wanted)
  const all = await until('everything to be applied', DRAIN_MS, same).catch(() => false)
  const gone = await until('the children to go', DRAIN_MS, async () => {
    const { children } = await a.verb<{ children: unknown[] }>('pico.show', { pico: 'soak' })
    return children.length === 0
  }).catch(() => false)
  const faults = engines.flatMap(engine => engine.output.split('\n').filter(line => line.includes('"engine.fault"')))
  const letters = await Promise.all(engines.map(engine => engine.verb<JsonObject[]>('dead.ls', { pico: 'soak' })))
  const dead = letters.reduce((sum, { length }) => sum + length, 0)
  console.log(`  applied ${JSON.stringify(await counts())}, faults ${faults.length}, dead letters ${dead}`)
  for (const line of faults.slice(0, 5)) console.log(`    ${line.slice(0, 300)}`)
  return all && gone && faults.length === 0 && dead === 0
}

/** The last quarter beside the second: the first warms up. */
function steady(turns: readonly Turn[]): boolean {
  const quarter = Math.floor(turns.length / 4)
  const [warm, last] = [turns.slice(quarter, 2 * quarter), turns.slice(-quarter)]
  const middle = (some: readonly Turn[], of: keyof Turn) =>
    some.map(turn => turn[of]).sort((x, y) => x - y)[some.length >> 1] as number
  const memory = [middle(warm, 'memory'), middle(last, 'memory')] as const
  const event = [middle(warm, 'event'), middle(last, 'event')] as const
  console.log(`  memory ${memory.map(mb => mb.toFixed(0)).join(' → ')} MB, limit × ${MEMORY}`)
  console.log(`  event ${event.map(ms => ms.toFixed(2)).join(' → ')} ms, limit × ${SLOWER}`)
  return memory[1] <= memory[0] * MEMORY && event[1] <= event[0] * SLOWER
}

function residentMegabytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
}
