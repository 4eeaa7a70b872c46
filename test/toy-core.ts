// A core small enough to see through: two variables that one step sets together, letters, effects, alarms, faults.
// With it the driver is tested alone.

import { Engine, type EngineOptions } from '../src/engine.ts'
import type {
  Answer,
  Birth,
  Clock,
  Delivery,
  Done,
  Effect,
  Json,
  JsonObject,
  Letter,
  MarkFile,
  Random,
  RecordChange,
  RunQuery,
  Step,
  Stimulus,
  Store,
  View,
  World,
} from '../src/ports.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { canonicalize } from '../wallet/jcs.ts'
import { newEngineKeys, openVault, type Vault } from '../wallet/vault.ts'

type Event = Extract<Stimulus, { kind: 'event' }>

const done = (rest: Partial<Done> = {}): Done => ({
  changes: [],
  binds: [],
  outbox: [],
  answer: null,
  log: [],
  ...rest,
})
const number = (view: View, name: string): number => (view.get('var/toy', name) as number | undefined) ?? 0
const both = (view: View, by = 1): RecordChange[] => [
  { group: 'var/toy', leaf: 'a', value: number(view, 'a') + by },
  { group: 'var/toy', leaf: 'b', value: number(view, 'b') + by },
]

/** How a broken core forgets ids: `highWater` keeps only the greatest. */
export const toyStep =
  (dedupe: 'exact' | 'highWater' = 'exact'): Step =>
  (view, stimulus, given) => {
    switch (stimulus.kind) {
      case 'create': {
        const { picoId, eci, name } = stimulus.birth
        const binds = [{ key: `eci:${eci}`, bound: true }]
        return done({
          changes: [{ group: 'pico', leaf: 'self', value: { name } }],
          binds,
          answer: { picoId, name },
        })
      }
      case 'event':
        return seenOr(view, stimulus, dedupe, given.now, () => event(view, stimulus, given))
      case 'timer':
        return done({ changes: [...both(view), { group: 'fired', leaf: String(given.now), value: true }] })
      case 'letter': {
        const { letterId, outcome, attempts, reason } = stimulus
        const value: Json = { outcome, attempts, reason: reason ?? null }
        return done({ changes: [{ group: 'left', leaf: letterId, value }] })
      }
      case 'notice': {
        const leaf = `${stimulus.domain}:${stimulus.name}`
        const heard = (view.get('heard', leaf) as number | undefined) ?? 0
        return done({ changes: [{ group: 'heard', leaf, value: heard + 1 }, ...append(view, leaf)] })
      }
      case 'command':
        return stimulus.name === 'delete' ? done({ destroy: true, answer: 'gone' }) : done({ changes: both(view) })
      case 'message':
        return done({ changes: both(view), answer: 'taken' })
    }
  }

function seenOr(view: View, stimulus: Event, dedupe: 'exact' | 'highWater', now: number, act: () => ReturnType<Step>) {
  const { id, eci } = stimulus
  if (id === undefined) return act()
  const group = `seen/${eci}`
  const known =
    dedupe === 'exact'
      ? view.get(group, id) !== undefined
      : ((view.get(group, 'max') as string | undefined) ?? '') >= id
  if (known) return done({ answer: { replayed: true } })
  const outcome = act()
  if ('need' in outcome || outcome.rejected) return outcome
  const value: Json = dedupe === 'exact' ? { t: now } : id
  return { ...outcome, changes: [...outcome.changes, { group, leaf: dedupe === 'exact' ? id : 'max', value }] }
}

function append(view: View, what: string): RecordChange[] {
  const order = (view.get('var/toy', 'order') as Json[] | undefined) ?? []
  return [{ group: 'var/toy', leaf: 'order', value: [...order, what] }]
}

function event(view: View, { name, attrs, id }: Event, given: Parameters<Step>[2]): ReturnType<Step> {
  switch (name) {
    case 'inc':
      return done({ changes: both(view), answer: { a: number(view, 'a') + 1 } })
    case 'note':
      return done({ changes: append(view, String(attrs['what'])), answer: null })
    case 'send':
      return done({ changes: both(view), outbox: letters(attrs, given.now), answer: null })
    case 'boom':
      throw new Error('a bug')
    case 'alarm':
      return done({ changes: both(view), alarm: attrs['at'] as number })
    case 'fault':
      return done({
        changes: append(view, `fault ${id}`),
        next: { kind: 'notice', domain: 'system', name: 'error', attrs: {} },
        answer: { error: { code: 'ruleset.failed', message: 'the rule failed' } },
      })
    case 'reject':
      return done({ rejected: { reason: 'message.stale' }, answer: { error: { code: 'message.stale', message: '' } } })
    case 'sum': {
      const sum = view.list('many').reduce((total, [, value]) => total + (value as number), 0)
      const leaf = String(attrs['leaf'])
      return done({ changes: [{ group: 'many', leaf, value: attrs['value'] as Json }], answer: sum })
    }
    case 'ask':
      return ask(view, attrs, given)
    case 'denied':
      return done({ answer: { error: { code: 'policy.denied', message: 'no' } } })
    default:
      return done({ answer: null })
  }
}

function letters(attrs: JsonObject, now: number): Letter[] {
  const ids = attrs['ids'] as string[]
  return ids.map(letterId => ({
    id: letterId,
    lane: String(attrs['lane'] ?? attrs['to']),
    created: now,
    expires: now + ((attrs['ttl'] as number | undefined) ?? 60_000),
    body:
      attrs['delete'] === undefined
        ? {
            kind: 'event',
            eci: String(attrs['to']),
            ...(attrs['host'] === undefined ? {} : { host: String(attrs['host']) }),
            domain: 'toy',
            name: String(attrs['name'] ?? 'note'),
            attrs: { what: letterId },
          }
        : { kind: 'delete', eci: String(attrs['to']), picoId: String(attrs['delete']) },
    report: attrs['report'] === true,
  }))
}

// Asks the world for each URL in turn, one after the other (or at once), and keeps what this run saw of time and seed.
function ask(view: View, attrs: JsonObject, given: Parameters<Step>[2]): ReturnType<Step> {
  const urls = attrs['urls'] as string[]
  const effects = urls.map(
    (url): Effect =>
      url.startsWith('query:')
        ? { kind: 'query', eci: url.slice(6), rid: 'toy', name: 'a', args: {}, depth: 1 }
        : { kind: 'http', request: { method: 'GET', url, headers: {}, followRedirect: true } },
  )
  const answers = [...given.answers]
  for (const request of effects.slice(answers.length)) {
    const answer = given.ask(request)
    if (!answer) {
      const need = attrs['together'] ? effects.slice(answers.length) : [request]
      return { need, answers }
    }
    answers.push({ request, answer })
  }
  const seen: Json = { now: given.now, seed: Buffer.from(given.seed).toString('hex'), a: number(view, 'a') }
  const values = answers.map(({ answer }) => ('value' in answer ? answer.value : { error: answer.error.code }))
  return done({
    changes: [...both(view), { group: 'var/toy', leaf: 'asked', value: [seen, ...values] }],
    answer: values,
  })
}

/** `a`: the variable; `both`: the two; `slow`: both, with an effect between the reads; `sum`: of a group. */
export const toyQuery: RunQuery = (view, query, given) => {
  const answer = (value: Json) => ({ answer: { value }, log: [] })
  const a = number(view, 'a')
  if (query.name === 'a') return answer(a)
  if (query.name === 'both') return answer([a, number(view, 'b')])
  if (query.name === 'sum') return answer(view.list('many').reduce((total, [, value]) => total + (value as number), 0))
  if (query.name === 'up') {
    const effect: Effect = {
      kind: 'query',
      eci: String(query.args['eci']),
      rid: 'toy',
      name: 'up',
      args: query.args,
      depth: query.depth + 1,
    }
    const found = given.answers[0]?.answer ?? given.ask(effect)
    return found ? { answer: found, log: [] } : { need: [effect], answers: [] }
  }
  if (given.answers.length > 0) return answer([a, number(view, 'b')])
  return {
    need: [{ kind: 'http', request: { method: 'GET', url: 'slow', headers: {}, followRedirect: true } }],
    answers: [],
  }
}

// ---- the world ----------------------------------------------------------------------------------------------

/** Time that moves only when told. */
export class ManualClock implements Clock {
  private time = 1_700_000_000_000
  private waiting: { at: number; fn: () => void }[] = []

  now(): number {
    return this.time
  }

  wake(at: number, fn: () => void): () => void {
    const entry = { at, fn }
    this.waiting.push(entry)
    return () => {
      this.waiting = this.waiting.filter(other => other !== entry)
    }
  }

  /** Moves on, waking in order of time, and lets everything settle. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms
    for (;;) {
      const next = this.waiting.filter(({ at }) => at <= end).sort((x, y) => x.at - y.at)[0]
      if (!next) break
      this.waiting = this.waiting.filter(other => other !== next)
      this.time = Math.max(this.time, next.at)
      next.fn()
      await settled()
    }
    this.time = end
    await settled()
  }
}

/** Lets all that can go on without time go on. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
}

export class ToyWorld implements World {
  answers: (effect: Effect) => Promise<Answer> = async effect => ({ value: canonicalize(effect as unknown as Json) })
  deliveries: { letter: Letter; picoId: string }[] = []
  answer: (letter: Letter) => Promise<Delivery> = async () => ({ taken: true })

  perform(effect: Effect): Promise<Answer> {
    return this.answers(effect)
  }

  async deliver(letter: Letter, picoId: string): Promise<Delivery> {
    this.deliveries.push({ letter, picoId })
    return this.answer(letter)
  }
}

export const random: Random = { bytes: length => cryptoNode.randomBytes(length) }

const master = new Uint8Array(32).fill(7)
const engineKeys = newEngineKeys(cryptoNode, master)

/** The same master key every time, so that a store opens again. */
export function toyVault(): Vault {
  const vault = openVault(cryptoNode, master.slice(), engineKeys)
  if (!('engine' in vault)) throw new Error(vault.message)
  return vault
}

export const birth = (n: number): Birth => ({
  picoId: n.toString(16).padStart(32, '0'),
  name: `pico ${n}`,
  parentId: null,
  parentEci: null,
  eci: `eci-${n}`,
  rulesets: [],
  attrs: {},
})
export const picoId = (n: number): string => birth(n).picoId

export function toyEvent(n: number, name: string, attrs: JsonObject = {}, id?: string): Event {
  return {
    kind: 'event',
    eci: `eci-${n}`,
    outside: false,
    domain: 'toy',
    name,
    attrs,
    ...(id === undefined ? {} : { id }),
  }
}

/** A mark that outlives the engine as long as the test holds it. */
export function memoryMark(): MarkFile {
  let text = ''
  return {
    read: () => text,
    write: next => {
      text = next
    },
  }
}

export interface Bench {
  engine: Engine
  clock: ManualClock
  world: ToyWorld
}

/** An engine over `store` with the toy core. */
export async function toyEngine(store: Store, rest: Partial<EngineOptions> = {}): Promise<Bench> {
  const clock = (rest.clock as ManualClock | undefined) ?? new ManualClock()
  const world = (rest.world as ToyWorld | undefined) ?? new ToyWorld()
  const engine = new Engine({
    store,
    vault: toyVault(),
    clock,
    random,
    world,
    step: toyStep(),
    runQuery: toyQuery,
    code: new Map(),
    toStimulus: async (_, stored) => stored as unknown as Stimulus,
    mark: memoryMark(),
    facts: { baseUrl: 'http://here', engineDid: 'did:key:engine', version: '0' },
    ...rest,
  })
  await engine.start()
  return { engine, clock, world }
}
