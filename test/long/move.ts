// Moves between engines that are processes (contract 3, `move …`): a quiet one whose old engine is then deleted, and
// kill -9 of source and target at every stage that `move show` names, while both sides talk.

import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../examples/engine-process.ts'
import { randomFrom } from '../../examples/tally.ts'
import type { JsonObject } from '../../src/ports.ts'
import { codeOf, Field, type MoveView } from './move-field.ts'
import type { LongOptions } from './run.ts'

const ROUNDS = 4
export const STAGES = ['prepared', 'frozen', 'committed', 'active', 'draining'] as const
export const VICTIMS = ['a', 'c'] as const
export type Stage = (typeof STAGES)[number]
export type Victim = (typeof VICTIMS)[number]
type How = 'resume' | 'abort'

const NUMBERED = 200
const AFTERWARDS = 20
/** A stage may be over before it is seen: then the round is judged all the same, and the stage tried again. */
const TRIES = 6
const LATEST_MS = 12
const KILL_MS = 20_000
const ROUND_MS = 120_000
/** Messages of p from before the move that are repeated after it. */
const REPEATED = 8
/** Each of four speakers rests so long between two messages. */
const PAUSE_MS = 15

export interface Figures {
  /** Rounds in which the victim died at the stage meant. */
  rounds: number
  /** Moves that were over before the kill. */
  missed: number
  done: number
  aborted: number
  /** Messages acknowledged. */
  sent: number
  lost: number
  doubled: number
  /** How many engines act for the pico when a move has ended, of each move. */
  live: readonly number[]
  faults: readonly string[]
}

const NONE: Figures = { rounds: 0, missed: 0, done: 0, aborted: 0, sent: 0, lost: 0, doubled: 0, live: [], faults: [] }

export async function run({ seed, rounds = ROUNDS }: LongOptions): Promise<boolean> {
  const quiet = await quietMove(console.log)
  const random = randomFrom(seed)
  const table = new Map<string, Figures>()
  for (let round = 0; round < rounds; round++)
    for (const stage of STAGES)
      for (const victim of VICTIMS) {
        const key = `${stage} ${victim.toUpperCase()}`
        const how = (round + (victim === 'a' ? 0 : 1)) % 2 === 0 ? 'resume' : 'abort'
        table.set(key, added(table.get(key), await killAt(stage, victim, how, random, console.log)))
      }
  const row = (...cells: readonly (string | number)[]) => console.log(cells.map(cell => `${cell}`.padEnd(11)).join(''))
  row('stage', 'victim', 'rounds', 'done', 'aborted', 'missed', 'sent', 'lost', 'doubled', 'live copies')
  for (const [key, { rounds: n, done, aborted, missed, sent, lost, doubled, live }] of table)
    row(...key.split(' '), n, done, aborted, missed, sent, lost, doubled, [...new Set(live)].sort().join(' or '))
  const all = [...table.values()]
  for (const fault of all.flatMap(({ faults }) => faults)) console.log(`  ${fault}`)
  return quiet && all.every(figures => held(figures) && figures.rounds === rounds)
}

export const held = ({ lost, doubled, live, faults }: Figures): boolean =>
  lost + doubled + faults.length === 0 && live.every(copies => copies === 1)

// ---- the quiet move ------------------------------------------------------------------------------------------------

/** 200 numbered messages each way while the pico moves; then its old engine is deleted, and the talk goes on. */
async function quietMove(say: (line: string) => void): Promise<boolean> {
  const field = await Field.begin({ pieces: 20, children: 2 })
  try {
    const sent: string[] = []
    const talk = (side: 'p' | 'q', from: number, to: number) => numbered(field, side, from, to, sent)
    const both = (from: number, to: number) => Promise.all([talk('p', from, to), talk('q', from, to)])
    await both(0, 50)
    const ticket = await field.ticket()
    const before = sent.length
    const moving = field.engines.a.verb('move.run', { pico: field.p, ticket }).then(() => sent.length - before)
    const [during] = await Promise.all([moving, both(50, 150)])
    await both(150, NUMBERED)
    const ended = await field.ended()
    const first = await field.compare(sent, 'c')
    const { faults, live } = await field.judge(ended, 'quiet')
    const peers = (await field.move('a'))?.peers ?? []
    if (ended !== 'done' || peers.length !== 1 || !peers.every(({ told }) => told))
      faults.push(`the move ended as ${ended}, peers ${JSON.stringify(peers)}`)
    if (during === 0) faults.push('nothing was sent while the pico moved')
    say(`  ${NUMBERED} messages each way, ${during} of them acknowledged while the pico moved; the move is ${ended}`)
    await field.remove('a')
    await both(NUMBERED, NUMBERED + AFTERWARDS)
    const { lost, doubled } = await field.compare(sent, 'c')
    say(
      `  ${sent.length} messages, ${2 * AFTERWARDS} of them with the old engine deleted: lost ${lost}, doubled ${doubled}`,
    )
    for (const fault of faults) say(`  ${fault}`)
    return lost + doubled + first.lost + first.doubled + faults.length === 0 && live === 1
  } finally {
    await field.end()
  }
}

/** Events that a rule hands on, and every fourth a basic message. */
async function numbered(field: Field, side: 'p' | 'q', from: number, to: number, sent: string[]): Promise<void> {
  for (let n = from; n < to; n++) sent.push(await once(field, side, n))
}

async function once(field: Field, side: 'p' | 'q', n: number): Promise<string> {
  const id = n % 4 === 3 ? `${side}m-${n}` : `${side}e-${n}`
  await (n % 4 === 3 ? field.message(side, id) : field.handOn(side, id))
  return id
}

// ---- kills ---------------------------------------------------------------------------------------------------------

/** Rounds until the victim died at that stage; all of them are judged. */
export async function killAt(
  stage: Stage,
  victim: Victim,
  how: How,
  random: () => number,
  say: (line: string) => void,
): Promise<Figures> {
  let figures: Figures | undefined
  for (let attempt = 0; attempt < TRIES && (figures?.rounds ?? 0) === 0; attempt++)
    figures = added(figures, await round(stage, victim, how, random, say).catch(broken(`${victim} at ${stage}`)))
  return figures as Figures
}

/** A round that came to no end. */
const broken =
  (what: string) =>
  (thrown: unknown): Figures => ({
    ...NONE,
    rounds: 1,
    faults: [`${what}: ${codeOf(thrown)}`],
  })

async function round(
  stage: Stage,
  victim: Victim,
  how: How,
  random: () => number,
  say: (line: string) => void,
): Promise<Figures> {
  const field = await Field.begin({ pieces: 12, children: stage === 'active' ? 10 : 1 })
  const talk = new Talk(field)
  const over = new AbortController()
  const late = sleep(ROUND_MS, undefined, { signal: over.signal }).then(() => {
    throw new Error(`the round was not over within ${ROUND_MS} ms`)
  })
  try {
    return await Promise.race([played(field, talk, stage, victim, how, random, say), late])
  } finally {
    over.abort()
    late.catch(() => undefined)
    talk.over = true
    await field.end()
  }
}

async function played(
  field: Field,
  talk: Talk,
  stage: Stage,
  victim: Victim,
  how: How,
  random: () => number,
  say: (line: string) => void,
): Promise<Figures> {
  const since = performance.now()
  await until('the talk to begin', 10_000, async () => talk.sent.length > 4 * REPEATED)
  slow(field, stage)
  const seen = await moveAndKill(field, stage, victim, random)
  for (const road of Object.values(field.roads)) road.there_ms = road.back_ms = 0
  const before = await field.restart(victim).then(() => field.move('a'))
  const asked = await finish(field, how)
  const ended = await field.ended()
  await talk.some(10)
  await talk.end()
  // A client that repeats what was acknowledged before the move: that it counts once goes with the pico.
  for (let n = 0; n < REPEATED; n++) await once(field, 'p', n)
  const { lost, doubled } = await field.compare(talk.sent, ended === 'done' ? 'c' : 'a')
  const { faults, live } = await field.judge(ended, 'probe')
  const seconds = ((performance.now() - since) / 1000).toFixed(1)
  const line = `killed ${victim.toUpperCase()} at ${seen}, then ${before?.state ?? 'nothing'}, ${asked}: ${ended}`
  say(`  ${line}; ${talk.sent.length} sent, lost ${lost}, doubled ${doubled}, live ${live}; ${seconds} s`)
  return {
    rounds: seen === stage ? 1 : 0,
    missed: seen === stage ? 0 : 1,
    done: ended === 'done' ? 1 : 0,
    aborted: ended === 'aborted' ? 1 : 0,
    sent: talk.sent.length,
    lost,
    doubled,
    live: [live],
    faults: faults.map(fault => `${line}: ${fault}`),
  }
}

/** The way to C, or to B, takes its time, so that a stage that waits for them is long enough to be seen. */
function slow({ roads }: Field, stage: Stage): void {
  if (stage === 'prepared') Object.assign(roads.c, { there_ms: 15, back_ms: 15 })
  if (stage === 'frozen') Object.assign(roads.c, { there_ms: 40, back_ms: 40 })
  if (stage === 'committed') Object.assign(roads.c, { there_ms: 25, back_ms: 25 })
  if (stage === 'draining') Object.assign(roads.b, { there_ms: 150, back_ms: 150 })
}

/** The stage that `move show` said last before the victim died. */
async function moveAndKill(field: Field, stage: Stage, victim: Victim, random: () => number): Promise<string> {
  const { engines, p } = field
  const ticket = await field.ticket()
  engines.a.verb('move.run', { pico: p, ticket }).catch(() => undefined)
  const past = [...STAGES.slice(STAGES.indexOf(stage) + 1), 'done', 'aborted'] as string[]
  let seen = 'planned'
  let moveId: string | undefined
  for (const end = Date.now() + KILL_MS; seen !== stage && !past.includes(seen) && Date.now() < end; ) {
    moveId ??= ((await engines.a.verb('move.ls')) as unknown as MoveView[])[0]?.moveId
    if (moveId !== undefined) seen = (await engines.a.verb<MoveView & JsonObject>('move.show', { move: moveId })).state
  }
  const wait = random() * LATEST_MS
  if (stage !== 'active' && moveId !== undefined) {
    await sleep(wait)
    seen = (await engines.a.verb<MoveView & JsonObject>('move.show', { move: moveId })).state
  }
  await engines[victim].kill()
  return seen
}

/** What an operator does: end the move where that is still allowed, or go on with it. */
async function finish(field: Field, how: How): Promise<string> {
  const move = await field.move('a')
  if (move === undefined) throw new Error('the source does not know the move')
  const verb = async (name: How) => {
    await field.engines.a.verb(`move.${name}`, { move: move.moveId })
    return name
  }
  if (how === 'resume') return verb('resume')
  return verb('abort').catch(thrown => {
    if (codeOf(thrown) !== 'move.state') throw thrown
    return verb('resume')
  })
}

/** Both sides talk until it is over. */
class Talk {
  readonly sent: string[] = []
  over = false
  private readonly speakers: Promise<void>[]

  constructor(field: Field) {
    this.speakers = (['p', 'q'] as const).flatMap(side => [0, 1].map(first => this.speak(field, side, first)))
    for (const speaker of this.speakers) speaker.catch(() => undefined)
  }

  private async speak(field: Field, side: 'p' | 'q', first: number): Promise<void> {
    for (let n = first; !this.over; n += 2) {
      this.sent.push(await once(field, side, n))
      await sleep(PAUSE_MS)
    }
  }

  /** So many more. */
  async some(count: number): Promise<void> {
    const before = this.sent.length
    await Promise.race([
      until('the talk to go on', 60_000, async () => this.sent.length >= before + count),
      ...this.speakers,
    ])
  }

  async end(): Promise<void> {
    this.over = true
    await Promise.all(this.speakers)
  }
}

function added(one: Figures | undefined, other: Figures): Figures {
  if (one === undefined) return other
  return {
    rounds: one.rounds + other.rounds,
    missed: one.missed + other.missed,
    done: one.done + other.done,
    aborted: one.aborted + other.aborted,
    sent: one.sent + other.sent,
    lost: one.lost + other.lost,
    doubled: one.doubled + other.doubled,
    live: [...one.live, ...other.live],
    faults: [...one.faults, ...other.faults],
  }
}
