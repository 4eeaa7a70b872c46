// Reading a pico (law L9): a query and the effects of other picos' steps that are queries, each over one synced state,
// whatever steps are doing meanwhile. What is in memory answers at once; what is not is read, and asked again.

import { asPicoError, PicoError } from './errors.ts'
import {
  type Answer,
  type Effect,
  type EngineFacts,
  type Given,
  Need,
  type PicoId,
  type Query,
  type QueryOutcome,
  type RunQuery,
  type View,
  type World,
} from './ports.ts'
import type { Registry } from './registry.ts'
import type { Resident } from './resident.ts'
import { errorValue, Trial, type TrialWorld } from './trial.ts'

const QUERY_DEPTH = 16
const TOO_DEEP: Answer = { error: { code: 'query.depth', message: 'Queries ask queries too deeply.' } }

export type QueryLog = Extract<QueryOutcome, { answer: unknown }>['log']
type Outcome<T> = { readonly value: T } | Extract<QueryOutcome, { need: unknown }>

export interface ReadingWorld {
  readonly trial: TrialWorld
  readonly registry: Registry
  readonly runQuery: RunQuery
  readonly facts: EngineFacts
  /** Effects that are no query of a pico here. */
  readonly outside: World['perform']
  given(resident: Resident): Given
  resident(picoId: PicoId): Resident
  queried(event: { readonly picoId: PicoId; readonly query: Query; readonly log: QueryLog }): void
}

/** Queries and reads of one engine. */
export class Reading {
  private readonly world: ReadingWorld

  constructor(world: ReadingWorld) {
    this.world = world
  }

  /** Throws pico.unknown, pico.moved, store.*. */
  async query(picoId: PicoId, query: Query): Promise<Answer> {
    if (query.depth > QUERY_DEPTH) return TOO_DEEP
    const { resident, registry, runQuery } = this.world
    const { status } = resident(picoId)
    if (status === 'retired') throw registry.moved(picoId)
    if (status !== 'live' && status !== 'frozen') throw new PicoError('pico.unknown', 'No such pico here.')
    const outcome = await this.consistent(picoId, (view, given) => {
      const ended = runQuery(view, query, given)
      return 'need' in ended ? ended : { value: ended }
    })
    if (outcome.log.length > 0) this.world.queried({ picoId, query, log: outcome.log })
    return outcome.answer
  }

  /** Runs `run` over one synced state until it lacks nothing. */
  async consistent<T>(picoId: PicoId, run: (view: View, given: Given) => Outcome<T>): Promise<T> {
    for (;;) {
      const resident = this.world.resident(picoId)
      const trial = new Trial(this.world.trial, this.world.given(resident))
      const attempt = (view: View): Outcome<T> => {
        try {
          return run(view, trial.given)
        } catch (thrown) {
          if (thrown instanceof Need) return { need: thrown.effects, answers: trial.given.answers }
          throw thrown
        }
      }
      let reading = attempt(resident.records.synced)
      if ('value' in reading) return reading.value
      const { view, release } = resident.records.snapshot()
      try {
        while ('need' in reading && !resident.dropped) {
          await trial.answer(reading.need, reading.answers, resident.records)
          if (!resident.dropped) reading = attempt(view)
        }
      } finally {
        release()
      }
      if ('value' in reading) return reading.value
    }
  }

  /** `Given.ask`: a query to a pico of this engine, at once, if all that it reads is in memory. */
  ask(effect: Effect): Answer | undefined {
    if (effect.kind !== 'query') return undefined
    if (effect.depth > QUERY_DEPTH) return TOO_DEEP
    const picoId = this.here(effect.eci, effect.host)
    if (picoId === undefined) return undefined
    const resident = this.world.resident(picoId)
    const query = innerQuery(effect)
    try {
      const outcome = this.world.runQuery(resident.records.synced, query, this.world.given(resident))
      if ('need' in outcome) return undefined
      if (outcome.log.length > 0) this.world.queried({ picoId, query, log: outcome.log })
      return outcome.answer
    } catch (thrown) {
      if (thrown instanceof Need) return undefined
      return { error: errorValue(asPicoError(thrown)) }
    }
  }

  async perform(effect: Effect): Promise<Answer> {
    const picoId = effect.kind === 'query' ? this.here(effect.eci, effect.host) : undefined
    if (effect.kind !== 'query' || picoId === undefined) return this.world.outside(effect)
    return this.query(picoId, innerQuery(effect))
  }

  private here(eci: string, host: string | undefined): PicoId | undefined {
    return host === undefined || host === this.world.facts.baseUrl ? this.world.registry.atHome(eci) : undefined
  }
}

const innerQuery = (effect: Extract<Effect, { kind: 'query' }>): Query => ({
  eci: effect.eci,
  outside: false,
  rid: effect.rid,
  name: effect.name,
  args: effect.args,
  depth: effect.depth,
  ...(effect.budget === undefined ? {} : { budget: effect.budget }),
})
