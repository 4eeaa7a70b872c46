// The driver by itself: a core that costs next to nothing, five sealed records an event, LevelDB on this disk.
// Sequential stands beside the same sealed bytes written raw, one synced chained batch after the other.

import { Engine } from '../src/engine.ts'
import type { Done, Json, JsonObject, Letter, RunQuery, Step, Stimulus, Store } from '../src/ports.ts'
import { LevelStore } from '../src/stores/level.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import type { Vault } from '../wallet/vault.ts'
import { besideRaw } from './beside.ts'
import { clock, inFolder, newVault, picoIdOf } from './core.ts'
import { atLeast, atMost, type Measured, type Size } from './figure.ts'

/** The figures of the driver. */
export async function bench({ short }: Size): Promise<Measured[]> {
  const { ours, raw } = await besideRaw(short ? 20 : 50, async store => {
    const engine = engineOver(store, newVault())
    await engine.start()
    await create(engine, 1)
    return { submit: i => engine.submit(picoIdOf(0), event(0, i), 'applied'), stop: () => engine.stop() }
  })
  const grouped = await inFlight(128, 100, short ? 8000 : 40_000)
  const spawn = await spawnToReady(short ? 500 : 5000)
  return [
    {
      name: 'driver, sequential submit(applied)',
      value: Math.round(ours),
      unit: 'events/s',
      reference: { name: 'raw synced batches of the same bytes', value: Math.round(raw) },
      ratio: ours / raw,
      goal: 0.7,
    },
    atLeast('driver, 128 in flight over 100 picos', grouped, 'events/s', 10_000),
    atMost(
      `driver, ${short ? 500 : '5,000'} picos each with a letter pending: start to first answer`,
      spawn,
      'ms',
      1000,
    ),
  ]
}

// Five records an event: two variables, a log entry, the id seen, and the driver's head.
const step: Step = (view, stimulus): Done => {
  const nothing = { binds: [], outbox: [], log: [] }
  if (stimulus.kind === 'create') {
    const self = [{ group: 'pico', leaf: 'self', value: {} }]
    return {
      ...nothing,
      changes: self,
      outbox: stimulus.birth.attrs.letter ? [letterOf(stimulus.id)] : [],
      answer: null,
    }
  }
  if (stimulus.kind !== 'event') return { ...nothing, changes: [], answer: null }
  const { id, eci, attrs } = stimulus
  const seen = `seen/${eci}`
  if (view.get(seen, id as string) !== undefined) return { ...nothing, changes: [], answer: { replayed: true } }
  const count = ((view.get('var/bench', 'count') as number | undefined) ?? 0) + 1
  const changes = [
    { group: 'var/bench', leaf: 'count', value: count },
    { group: 'var/bench', leaf: 'last', value: attrs as Json },
    { group: 'msg', leaf: String(count % 100), value: { n: count, ...attrs } as Json },
    { group: seen, leaf: id as string, value: { t: 0 } },
  ]
  return { ...nothing, changes, answer: count }
}
const letterOf = (id: string): Letter => ({
  id,
  lane: 'far',
  created: 0,
  expires: Number.MAX_SAFE_INTEGER,
  body: { kind: 'event', eci: 'far', host: 'http://far', domain: 'bench', name: 'hello', attrs: {} },
  report: false,
})
const runQuery: RunQuery = () => ({ answer: { value: null }, log: [] })

const event = (n: number, i: number): Stimulus => ({
  kind: 'event',
  id: `event-${n}-${i}`,
  eci: `eci-${n}`,
  outside: true,
  domain: 'bench',
  name: 'reading',
  attrs: { temperature: 20 + (i % 10), at: '2024-01-01T00:00:00.000Z', sensor: `sensor-${n}`, sequence: i },
})

function engineOver(store: Store, vault: Vault): Engine {
  return new Engine({
    store,
    vault,
    clock,
    random: { bytes: length => cryptoNode.randomBytes(length) },
    world: { perform: async () => ({ value: null }), deliver: async () => ({ retry: 'transport.refused' }) },
    step,
    runQuery,
    code: new Map(),
    toStimulus: async (_, stored) => stored as unknown as Stimulus,
    facts: { baseUrl: 'http://localhost', engineDid: 'did:key:bench', version: '0' },
  })
}

async function create(engine: Engine, count: number, attrs: JsonObject = {}): Promise<void> {
  const births = Array.from({ length: count }, (_, n) => ({
    picoId: picoIdOf(n),
    name: `pico ${n}`,
    parentId: null,
    parentEci: null,
    eci: `eci-${n}`,
    rulesets: [],
    attrs,
  }))
  for (let n = 0; n < count; n += 100)
    await Promise.all(births.slice(n, n + 100).map(birth => engine.createPico(birth)))
}

/** Events per second with `flight` callers over `picos` picos. */
async function inFlight(flight: number, picos: number, events: number): Promise<number> {
  return inFolder(async folder => {
    const engine = engineOver(new LevelStore(folder), newVault())
    await engine.start()
    await create(engine, picos)
    const run = async (from: number, count: number) => {
      let next = from
      const caller = async () => {
        for (let i = next++; i < from + count; i = next++)
          await engine.submit(picoIdOf(i % picos), event(i % picos, i), 'applied')
      }
      await Promise.all(Array.from({ length: flight }, caller))
    }
    await run(0, events / 8)
    const start = performance.now()
    await run(events, events)
    const took = performance.now() - start
    await engine.stop()
    return (events / took) * 1000
  })
}

/** Milliseconds from `start` to an answered event, with `picos` picos in the store, each with a letter that does not leave. */
async function spawnToReady(picos: number): Promise<number> {
  return inFolder(async folder => {
    const vault = newVault()
    const first = engineOver(new LevelStore(folder), vault)
    await first.start()
    await create(first, picos, { letter: true })
    await first.stop()
    const second = engineOver(new LevelStore(folder), vault)
    const start = performance.now()
    await second.start()
    await second.submit(picoIdOf(picos - 1), event(picos - 1, 0), 'applied')
    const took = performance.now() - start
    await second.stop()
    return took
  })
}
