// `npm run demo`: a sensor community across two engines, offline, in half a minute. Every figure is counted, not
// claimed: the exit code is 0 only when each is what the README promises.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EngineProcess, freePort, until } from './engine-process.ts'
import { Recorder } from './recorder.ts'
import { type Emitter, emit, postUntilAcknowledged } from './sensor-community/emitter.ts'
import { type Connection, connect, makeCommunity, makeWatcher, POLICY, RID } from './sensor-community/setup.ts'
import { randomFrom, type Tally, tally } from './tally.ts'

const EVENTS = 100
const KILLS = 5
const REPLAYS = 50
const TALK = 25
const HOT = 95
const DRAIN_MS = 15_000
const FLOW_MS = 1_500
const PACE_MS = 20

type Counts = Record<string, number>

interface Row {
  readonly what: string
  readonly figure: string
  readonly promised: string
  readonly held: boolean
}

const seed = Number(process.argv[process.argv.indexOf('--seed') + 1]) || Date.now() % 1_000_000
const random = randomFrom(seed)
const folder = mkdtempSync(join(tmpdir(), 'picomesh-demo-'))
const begun = performance.now()
const rows: Row[] = []

/** What a step needs of those before it. */
interface Stage {
  a: EngineProcess
  readonly b: EngineProcess
  readonly recorder: Recorder
  readonly emitters: Emitter[]
  /** Channel of the watcher by which remarks are wished. */
  readonly remarks: string
  /** Records of the two connections: at the host's side, and at the watcher's. */
  readonly community: readonly [Connection, Connection]
  readonly sensor: readonly [Connection, Connection]
  sequence: number
}

async function main(): Promise<void> {
  console.log(`Picomesh demonstration, seed ${seed}`)
  const stage = await tick('two engines with fresh encrypted wallets, a community of three sensors, a watcher', begin)
  await tick(`${EVENTS} events each way`, () => eachWay(stage))
  await tick(`kill -9 of one engine, ${KILLS} times under load`, () => kills(stage))
  await tick(`${REPLAYS} captured envelopes replayed, before and after a restart`, () => replays(stage))
  await tick('a sensor moves to a third engine while it talks; its old engine is stopped', () => moves(stage))
  await stage.b.stop()
  if (table()) console.log('next: npm start')
  else process.exitCode = 1
}

// ---- steps -------------------------------------------------------------------------------------------------

async function begin(): Promise<Stage> {
  const port = await freePort()
  const recorder = await Recorder.start(`http://127.0.0.1:${port}`)
  const [a, b] = await Promise.all([
    EngineProcess.start({ home: join(folder, 'a'), port, baseUrl: recorder.url }),
    EngineProcess.start({ home: join(folder, 'b'), port: 0 }),
  ])
  const emitters = await makeCommunity(a, 'community', ['kitchen', 'attic', 'greenhouse'])
  const remarks = await makeWatcher(b, 'watcher')
  const watcher = { engine: b, pico: 'watcher', ...POLICY.watcher }
  const community = await connect({ engine: a, pico: 'community', ...POLICY.community }, watcher)
  const sensor = await connect({ engine: a, pico: 'greenhouse', ...POLICY.sensor }, watcher)
  row('connections made by an invitation URL', '2', '2', true)
  return { a, b, recorder, emitters, remarks, community, sensor, sequence: 0 }
}

/** Heartbeats above the threshold, each a violation that the watcher must count once; remarks the other way. */
async function eachWay(stage: Stage): Promise<void> {
  const heartbeats: string[] = []
  const remarks: string[] = []
  await Promise.all([
    ...Array.from({ length: EVENTS }, (_, i) =>
      beat(stage, stage.emitters[i % stage.emitters.length] as Emitter).then(key => heartbeats.push(key)),
    ),
    ...Array.from({ length: EVENTS }, () => remark(stage, stage.community[1]).then(key => remarks.push(key))),
  ])
  count('events there: acknowledged and applied', EVENTS, await settled(heartbeats, () => violations(stage)))
  count('events back: acknowledged and applied', EVENTS, await settled(remarks, () => remarksHeard(stage)))
  const answer = await until('the temperatures asked back', 5_000, async () => {
    const all = await stage.b.query<Record<string, object>>('watcher', RID.watcher, 'temperatures')
    return Object.keys(all).length === stage.emitters.length ? all : undefined
  })
  row('sensors in the answer to the query back', String(Object.keys(answer).length), '3', true)
}

async function kills(stage: Stage): Promise<void> {
  const heartbeats: string[] = []
  const remarks: string[] = []
  let over = false
  const load = [
    ...stage.emitters.map(async emitter => {
      for (; !over; await sleep(PACE_MS)) heartbeats.push(await beat(stage, emitter))
    }),
    (async () => {
      for (; !over; await sleep(PACE_MS)) remarks.push(await remark(stage, stage.community[1]))
    })(),
  ]
  for (let n = 0; n < KILLS; n++) {
    await flowing(stage, heartbeats)
    await sleep(random() * 300)
    await stage.a.kill()
    stage.a = await stage.a.restart()
  }
  over = true
  await Promise.all(load)
  const there = await settled(heartbeats, () => violations(stage))
  const back = await settled(remarks, () => remarksHeard(stage))
  const applied = await Promise.all(
    stage.emitters.map(async ({ name }) => {
      const counts = await stage.a.query<Counts>(name, RID.sensor, 'applied')
      return Object.fromEntries(Object.entries(counts).map(([sequence, n]) => [`${name} ${sequence}`, n]))
    }),
  )
  whole('heartbeats acknowledged under kill -9', tally(heartbeats, Object.assign({}, ...applied)))
  whole('their violations at the other engine', there)
  whole('events back under kill -9', back)
}

/** Load both ways before the next kill; the way back may still wait for its next attempt. */
async function flowing(stage: Stage, heartbeats: readonly string[]): Promise<void> {
  const [sent, heard] = [heartbeats.length, Object.keys(await remarksHeard(stage)).length]
  await until('heartbeats to be acknowledged', DRAIN_MS, async () => heartbeats.length > sent)
  const back = async () => Object.keys(await remarksHeard(stage)).length > heard
  await until('remarks to arrive', FLOW_MS, back).catch(() => undefined)
}

/** What was captured on the wire is posted again, to the engine as it is and to the engine after a restart. */
async function replays(stage: Stage): Promise<void> {
  const state = async () =>
    JSON.stringify([
      await remarksHeard(stage),
      await stage.a.query('greenhouse', RID.sensor, 'remarks'),
      await stage.a.query('community', RID.community, 'violations'),
    ])
  const captured = [...stage.recorder.captured]
  const chosen = Array.from({ length: REPLAYS }, () => captured[Math.floor(random() * captured.length)])
  const before = await state()
  let refused = 0
  for (const again of [false, true]) {
    if (again) {
      await stage.a.kill()
      stage.a = await stage.a.restart()
    }
    const earlier = await refusals(stage)
    for (const envelope of chosen) {
      if (envelope === undefined) continue
      const headers = { 'content-type': envelope.contentType }
      await fetch(`${stage.a.url}/didcomm`, { method: 'POST', headers, body: new Uint8Array(envelope.body) })
    }
    refused += (await refusals(stage)) - earlier
  }
  const changed = (await state()) === before ? 0 : 1
  row('captured envelopes replayed: accepted', String(2 * REPLAYS - refused), '0', refused === 2 * REPLAYS)
  row('state changed by them', String(changed), '0', changed === 0)
}

async function moves(stage: Stage): Promise<void> {
  const { b, emitters, sensor } = stage
  const greenhouse = emitters.at(-1) as Emitter
  const c = await EngineProcess.start({ home: join(folder, 'c'), port: 0 })
  const heartbeats: string[] = []
  const remarks: string[] = []
  const talk = async (rounds: number) => {
    for (let n = 0; n < rounds; n++) {
      heartbeats.push(await beat(stage, greenhouse))
      remarks.push(await remark(stage, sensor[1]))
      await sleep(10)
    }
  }
  const talking = talk(2 * TALK)
  await sleep(100)
  const { ticket } = await c.verb<{ ticket: string }>('move.ticket')
  const moved = await stage.a.verb<{ moveId: string; state: string }>('move.run', { pico: 'greenhouse', ticket })
  await talking
  await until('everyone to know the new address', DRAIN_MS, async () => {
    const { state } = await stage.a.verb<{ state: string }>('move.show', { move: moved.moveId })
    return state === 'done'
  })
  await stage.a.stop()
  await stage.recorder.stop()
  greenhouse.url = c.url
  await talk(TALK)
  whole(
    'readings from the moved sensor',
    await settled(heartbeats, () => b.query<Counts>('watcher', RID.watcher, 'readings')),
  )
  whole('remarks to it', await settled(remarks, () => c.query<Counts>('greenhouse', RID.sensor, 'remarks')))
  const after = [await connectionOf(c, 'greenhouse', sensor[0]), await connectionOf(b, 'watcher', sensor[1])]
  const same = after.filter((now, i) => now?.myDid === sensor[i]?.myDid && now?.theirDid === sensor[i]?.theirDid)
  row('ends of its connection with the same id and DIDs', String(same.length), '2', same.length === 2)
  await c.stop()
}

// ---- what the steps do and count -------------------------------------------------------------------------------

/** One heartbeat, acknowledged; its key at every receiver. */
async function beat(stage: Stage, emitter: Emitter): Promise<string> {
  const sequence = ++stage.sequence
  await emit(emitter, sequence, HOT)
  return `${emitter.name} ${sequence}`
}

/** One remark of the watcher over a connection, acknowledged. */
async function remark(stage: Stage, { connectionId }: Connection): Promise<string> {
  const sequence = String(++stage.sequence)
  const url = () => `${stage.b.url}/c/${stage.remarks}/event/watcher/remark_wanted`
  await postUntilAcknowledged(url, sequence, { connectionId, sequence })
  return sequence
}

const violations = (stage: Stage) => stage.b.query<Counts>('watcher', RID.watcher, 'violations')
const remarksHeard = (stage: Stage) => stage.a.query<Counts>('community', RID.community, 'remarks')

async function refusals(stage: Stage): Promise<number> {
  const each = ['community', 'greenhouse'].map(pico => stage.a.verb<{ count: number }>('rejected', { pico }))
  return (await Promise.all(each)).reduce((sum, { count: n }) => sum + n, 0)
}

async function connectionOf(engine: EngineProcess, pico: string, known: Connection): Promise<Connection | undefined> {
  return engine.verb<Connection & Record<string, never>>('connection.show', { pico, connection: known.connectionId })
}

/** Waits until everything sent has arrived, or for so long as it may take; then counts. */
async function settled(sent: readonly string[], counts: () => Promise<Counts>): Promise<Tally> {
  const arrived = async () => {
    const now = tally(sent, await counts())
    return now.lost === 0 ? now : undefined
  }
  return until('what was sent to arrive', DRAIN_MS, arrived).catch(async () => tally(sent, await counts()))
}

// ---- output ----------------------------------------------------------------------------------------------------

async function tick<T>(what: string, step: () => Promise<T>): Promise<T> {
  const since = performance.now()
  const result = await step()
  console.log(`✓ ${what}  ${seconds(performance.now() - since)}`)
  return result
}

function row(what: string, figure: string, promised: string, held: boolean): void {
  rows.push({ what, figure, promised, held })
}

function count(what: string, promised: number, { arrived, doubled }: Tally): void {
  row(what, `${arrived}, doubled ${doubled}`, `${promised}, doubled 0`, arrived === promised && doubled === 0)
}

function whole(what: string, { sent, lost, doubled }: Tally): void {
  row(`${what}: ${sent} sent`, `lost ${lost}, doubled ${doubled}`, 'lost 0, doubled 0', lost === 0 && doubled === 0)
}

/** Prints every figure; whether all are as promised. */
function table(): boolean {
  const width = (member: 'what' | 'figure') => Math.max(...rows.map(line => line[member].length))
  console.log('')
  for (const { what, figure, promised, held } of rows)
    console.log(
      `${held ? '✓' : '✗'} ${what.padEnd(width('what'))}  ${figure.padEnd(width('figure'))}  ${held ? '' : `promised: ${promised}`}`.trimEnd(),
    )
  const failed = rows.filter(({ held }) => !held).length
  console.log(`\n${rows.length - failed} of ${rows.length} as promised, ${seconds(performance.now() - begun)}`)
  return failed === 0
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`

// Children and the folder go whatever happens.
process.once('SIGINT', () => process.exit(130))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
main().then(
  () => process.exit(),
  error => {
    table()
    console.error(`\n✗ ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  },
)
