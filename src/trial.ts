// Need and rerun (DESIGN 4, Effects): a run that lacks an answer ends, the effect is performed, the run begins anew.
// Time, seed and state are those of the first run; answers are kept by ordinal. Limits turn into error values.

import type { PicoError } from './errors.ts'
import { asPicoError } from './errors.ts'
import type { Answer, Clock, Effect, Given, JsonObject, World } from './ports.ts'
import type { PicoRecords } from './records.ts'

export interface TrialLimits {
  /** One effect, ms. */
  readonly effect_ms: number
  /** All waiting of one step or query, ms. */
  readonly step_ms: number
  readonly reruns: number
}

/** What every trial of an engine shares. */
export interface TrialWorld {
  readonly clock: Clock
  readonly limits: TrialLimits
  readonly loadCode: (hash: string) => Promise<void>
  readonly perform: World['perform']
}

/** Reads may be many, one group a run; more than this is a loop. */
const MAX_READS = 10_000

/** One step or query that lacked something, from its first run to its last. */
export class Trial {
  /** What the next run is given. */
  given: Given
  private readonly world: TrialWorld
  private reruns = 0
  private reads = 0
  private since: number | undefined

  /** `given`: what the first run was given. */
  constructor(world: TrialWorld, given: Given) {
    this.world = world
    this.given = given
  }

  /** Does this need wait for the world (and not only for what is on this disk)? */
  static awaits(need: readonly Effect[]): boolean {
    return need.some(effect => effect.kind !== 'read' && effect.kind !== 'code')
  }

  /** Performs what a run needed; afterwards `given` serves the next run. Throws what reading the disk throws. */
  async answer(need: readonly Effect[], answers: Given['answers'], records: PicoRecords): Promise<void> {
    const effects = need.filter(effect => effect.kind !== 'read' && effect.kind !== 'code')
    const groups = need.flatMap(effect => (effect.kind === 'read' ? effect.groups : []))
    const hashes = need.flatMap(effect => (effect.kind === 'code' ? effect.hash : []))
    if (effects.length === 0 && ++this.reads > MAX_READS) throw new Error('a run that never has read enough')
    const [found] = await Promise.all([
      this.performAll(effects),
      Promise.all(groups.map(group => records.load(group))),
      Promise.all(hashes.map(hash => this.world.loadCode(hash))),
    ])
    this.given = { ...this.given, answers: [...answers, ...found] }
  }

  private async performAll(effects: readonly Effect[]): Promise<Given['answers']> {
    if (effects.length === 0) return []
    const { clock, limits } = this.world
    this.since ??= clock.now()
    if (++this.reruns > 2 * limits.reruns) throw new Error('a run that never takes an error for an answer')
    const left = this.since + limits.step_ms - clock.now()
    if (this.reruns > limits.reruns) return effects.map(request => ({ request, answer: REFUSED }))
    if (left <= 0) return effects.map(request => ({ request, answer: LATE }))
    const limit = Math.min(limits.effect_ms, left)
    return Promise.all(effects.map(async request => ({ request, answer: await this.within(limit, request) })))
  }

  private within(limit: number, effect: Effect): Promise<Answer> {
    const { clock, perform } = this.world
    return new Promise(resolve => {
      const cancel = clock.wake(clock.now() + limit, () => resolve(LATE))
      const settle = (answer: Answer) => {
        cancel()
        resolve(answer)
      }
      perform(effect).then(settle, thrown => settle({ error: errorValue(asPicoError(thrown)) }))
    })
  }
}

const LATE: Answer = { error: { code: 'effect.timeout', message: 'No answer came in time.' } }
const REFUSED: Answer = { error: { code: 'effect.reruns', message: 'The step asked for too many answers.' } }

/** A fault as a value that rules and callers see. */
export const errorValue = (fault: PicoError): { code: string; message: string; place?: JsonObject } => ({
  code: fault.code,
  message: fault.message,
  ...(fault.place === undefined ? {} : { place: { ...fault.place } }),
})
