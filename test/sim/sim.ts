// One run from one seed: machines, a network, people; crashes and bad weather for a while, then calm, then the promises
// are checked (DESIGN 7). The trace of a run is hashed: the same seed gives the same hash.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject } from '../../src/ports.ts'
import { type Build, build, type Replacement, ROOT } from './build.ts'
import { Chance } from './chance.ts'
import { check } from './check.ts'
import { type Doom, Machine, Socket, type Surroundings } from './machine.ts'
import { CALM, Network, type Server } from './network.ts'
import { RULES, Talk } from './talk.ts'
import { Time } from './time.ts'

export interface Run {
  readonly seed: number
  /** What is broken; empty when all promises held. */
  readonly failures: readonly string[]
  readonly hash: string
  readonly steps: number
  readonly crashes: number
  readonly moves: number
  readonly messages: number
}

/** How long a run may take, in simulated ms, before it counts as hanging; and of this, how long it storms. What is promised
 *  is there within half a minute of calm; the longest pause between two attempts is five minutes. */
const LIMIT_MS = 1_800_000
const STORM_MS = 120_000
/** Share of the seeds in which a pico moves. */
const MOVING = 0.25

const text = (path: string) => readFileSync(join(ROOT, path), 'utf8')

/** A program, and the places where its processes stand; many seeds run in it, one after the other. */
export class Simulator {
  readonly build: Build
  /** Sites that a process passed, and those it died at. */
  readonly passed = new Set<number>()
  readonly died = new Set<number>()
  private readonly sockets: readonly Socket[]

  private constructor(made: Build) {
    this.build = made
    const builtins = readdirSync(join(ROOT, 'krl')).filter(name => name.endsWith('.krl'))
    const files = new Map(builtins.map(name => [name, text(`krl/${name}`)]))
    this.sockets = [0, 1, 2].map(() => new Socket(made, files))
  }

  /** `broken`: what a deliberately broken build has instead. */
  static async make(broken: readonly Replacement[] = []): Promise<Simulator> {
    return new Simulator(await build(broken))
  }

  async run(seed: number, trace?: (line: string) => void): Promise<Run> {
    const hash = createHash('sha256')
    const time = new Time()
    const failures: string[] = []
    let crashes = 0
    const fail = (what: string) => {
      if (failures.length < 10) failures.push(what)
    }
    const tell = (line: string) => {
      const full = `${time.now} ${line}\n`
      hash.update(full)
      trace?.(full)
    }
    const chance = (stream: string) => new Chance(seed, stream)
    const servers: Server[] = [ruleServer]
    const weather = stormOf(chance('weather'))
    const network = new Network(time, chance('network'), servers, weather, tell)
    const around: Surroundings = {
      time,
      chance,
      tell,
      network: () => network,
      fault: line => fail(`fault: ${line}`),
      passed: site => void this.passed.add(site),
      died: site => {
        crashes++
        this.died.add(site)
      },
    }
    const plan = chance('plan')
    const moves = plan.happens(MOVING)
    const machines = (moves ? ['a', 'b', 'c'] : ['a', 'b']).map(
      (name, i) => new Machine(name, this.sockets[i] as Socket, around),
    )
    servers.push(...machines)
    for (const machine of machines) machine.dooms = this.dooms(plan)
    for (const machine of machines) machine.start()
    trouble(chance('trouble'), machines, time)
    const talk = new Talk(time, chance('talk'), network, fail)
    const calm = () => {
      network.weather = CALM
      for (const machine of machines) machine.dooms = []
    }
    time.after(STORM_MS, calm)
    let ended = false
    const scenario = converse(plan, machines, talk, time, moves)
      .then(() => calm())
      .then(() => check(talk, time, machines, moves, fail))
      .catch((error: unknown) => fail(`broken: ${String((error as Error).stack ?? error)}`))
      .then(() => {
        ended = true
      })
    await time.run(() => ended || failures.length > 0, time.now + LIMIT_MS)
    if (!ended && failures.length === 0) fail('hangs: something promised never happened')
    void scenario
    for (const machine of machines) machine.stop()
    return {
      seed,
      failures,
      hash: hash.digest('hex'),
      steps: time.steps,
      crashes,
      moves: moves ? 1 : 0,
      messages: network.sent,
    }
  }

  /** None to four deaths: half of them anywhere, half at a place chosen first, so that rare places are met too. */
  private dooms(plan: Chance): Doom[] {
    return Array.from({ length: plan.pick([0, 1, 1, 2, 3]) }, () =>
      plan.happens(0.4) ? { n: plan.between(1, 400) } : { salt: plan.word(), n: plan.pick([1, 1, 2, 3]) },
    )
  }
}

const ruleServer: Server = {
  name: 'rules',
  baseUrl: new URL(RULES).origin,
  up: true,
  post: async () => ({ status: 404 }),
  request: async (): Promise<JsonObject> => ({
    status_code: 200,
    status_line: 'OK',
    content: text('test/sim/sim.counter.krl'),
    headers: {},
  }),
}

function stormOf(chance: Chance) {
  const share = () => chance.pick([0, 0.02, 0.05, 0.15])
  return { lost: share(), answerLost: share(), twice: share(), late: share() }
}

/** What happens to machines other than death: an end in order, a disk that fails once, ids seen purged early. */
function trouble(chance: Chance, machines: readonly Machine[], time: Time): void {
  for (const machine of machines) {
    if (chance.happens(0.1)) time.after(chance.between(50, 2_000), () => void machine.restart())
    if (chance.happens(0.1)) time.after(chance.between(50, 2_000), () => void machine.disk.fail(chance.pick([1, 2])))
    if (chance.happens(0.1)) machine.limits = { dedupe_ids: 40 }
  }
}

/** Two picos on two machines; one or two connections; events both ways over each at once; one may move meanwhile, and
 *  then the machine it left may be taken away. */
async function converse(
  plan: Chance,
  machines: readonly Machine[],
  talk: Talk,
  time: Time,
  moves: boolean,
): Promise<void> {
  const [first, second, third] = machines as [Machine, Machine, Machine | undefined]
  const child = plan.happens(0.3)
  const made = Promise.all([talk.pico(first, 'a', child), talk.pico(second, 'b', plan.happens(0.3))])
  const versions = plan.pick([['v1'], ['v2'], ['v1'], ['v2'], ['v1'], ['v2'], ['v1', 'v2']] as const)
  const count = plan.between(1, 3)
  const parties = await made
  const [one, other] = parties
  await Promise.all(
    versions.map(version =>
      plan.happens(0.5) ? talk.connect(one, other, version) : talk.connect(other, one, version),
    ),
  )
  const sendAll = (round: string) =>
    parties.flatMap(party => party.bonds.map((bond, i) => talk.send(party, bond, `${party.name}${i}-${round}`, count)))
  const looks = parties.map(async party => {
    await time.sleep(plan.between(1, 1_000))
    await talk.look(party)
    await talk.ask(party, plan.pick(party.bonds))
  })
  const talks = [...sendAll('1'), ...looks]
  if (moves) {
    await time.sleep(plan.between(0, 800))
    await talk.move(one, plan.happens(0.25) ? second : (third as Machine))
  }
  await Promise.all(talks)
  if (!moves) return
  const told = await talk.drained(one, first)
  // A child goes on writing to its parent, which would be gone.
  if (!told || child || plan.happens(0.3)) return
  first.stop()
  await Promise.all(sendAll('2'))
}
