// A pico's letters at this engine: to another pico here, to a child that is made or deleted, or out into the world; and
// what becomes of one that left or was given up (law L12).

import type { CommitQueue } from './commit.ts'
import type { Leaving } from './dispatch.ts'
import { asPicoError, errorRow, isErrorCode } from './errors.ts'
import type { Birth, Clock, Delivery, EngineFacts, Json, Letter, PicoId, Stimulus, World } from './ports.ts'
import type { Registry } from './registry.ts'
import { type Job, job, OWN, type Resident, type Settled } from './resident.ts'

export interface LettersWorld {
  readonly clock: Clock
  readonly commit: CommitQueue
  readonly registry: Registry
  /** What is not for a pico of this engine. */
  readonly outside: World['deliver']
  readonly facts: EngineFacts
  createPico(birth: Birth, id: string): Promise<Json>
  submit(picoId: PicoId, stimulus: Stimulus, wait: 'applied'): Promise<Json>
  enqueue(picoId: PicoId, stimulus: Stimulus, how: Partial<Job>): Promise<Settled>
  again(picoId: PicoId, job: Job): void
  /** A letter was given up: a dead letter more. */
  gaveUp(picoId: PicoId): void
  erase(resident: Resident): void
}

/** The letters of all picos of one engine. */
export class Letters {
  private readonly world: LettersWorld

  constructor(world: LettersWorld) {
    this.world = world
  }

  /** `found`: it lay on disk at start. */
  async deliver(letter: Letter, from: Resident, found: boolean): Promise<Delivery> {
    const { registry, createPico, outside } = this.world
    const { body } = letter
    if (body.kind === 'create') {
      // A letter that came with a move may say anything: a pico makes children of its own.
      if (body.birth.parentId !== from.picoId) return { refused: 'policy.denied' }
      const answer = await createPico(body.birth, letter.id)
      if (registry.get(body.birth.picoId)) return { taken: true, answer }
      return refusal(answer) ?? { refused: 'pico.unborn' }
    }
    const here =
      body.kind === 'event'
        ? await this.event(letter.id, body, found)
        : body.kind === 'delete'
          ? await this.deletion(letter.id, body, from)
          : undefined
    return here ?? outside(letter, from.picoId)
  }

  /** Undefined: not for a pico of this engine. The letter's id makes the event apply once (law L4). */
  private async event(
    id: string,
    body: Extract<Letter['body'], { kind: 'event' }>,
    found: boolean,
  ): Promise<Delivery | undefined> {
    const { registry, facts, enqueue } = this.world
    if (body.host !== undefined && body.host !== facts.baseUrl) return undefined
    const known = body.host === undefined ? registry.lookup(`eci:${body.eci}`) : undefined
    if (known !== undefined && registry.isLeaving(known)) return { retry: 'pico.frozen' }
    const picoId = registry.atHome(body.eci)
    if (picoId === undefined) return undefined
    const { eci, domain, name, attrs } = body
    try {
      const stimulus: Stimulus = { kind: 'event', id, eci, outside: false, domain, name, attrs }
      const settled = await enqueue(picoId, stimulus, { early: true, recovered: found })
      return (settled.state === 'applied' && refusal(settled.answer)) || { taken: true }
    } catch (thrown) {
      const fault = asPicoError(thrown)
      if (fault.code === 'pico.moved') return undefined
      return errorRow(fault.code).retry ? { retry: fault.code } : { refused: fault.code }
    }
  }

  private async deletion(
    id: string,
    { eci, picoId }: Extract<Letter['body'], { kind: 'delete' }>,
    from: Resident,
  ): Promise<Delivery | undefined> {
    const there = this.world.registry.get(picoId)
    if (!there || there.status === 'destroying') return { taken: true }
    if (there.status !== 'live') return there.status === 'frozen' ? { retry: 'pico.frozen' } : undefined
    const command = { kind: 'command', id, name: 'delete', args: { eci, sender: from.picoId } } as const
    return refusal(await this.world.submit(picoId, command, 'applied')) ?? { taken: true }
  }

  /** It was delivered or given up. */
  left(from: Resident, letter: Letter, how: Leaving): void {
    const { commit, again, gaveUp, erase } = this.world
    const { body, report, id } = letter
    const raises = body.kind === 'http' && (body.autoraise !== undefined || body.autosend !== undefined)
    if ((report || raises) && !(how.outcome === 'undeliverable' && body.kind === 'didcomm')) {
      const gone = { group: OWN.outbox, leaf: id, value: undefined }
      if (from.status === 'live')
        again(from.picoId, job({ kind: 'letter', letterId: id, letter, ...how }, { also: [gone] }))
      // A frozen pico hears of it where it wakes: the letter stays and leaves again from there.
      if (from.status !== 'destroying') return
    }
    // A letter that was given up is a dead letter: visible, told to the rules, and the lane goes on (law L12).
    if (how.outcome === 'undeliverable' && from.status === 'live') {
      again(from.picoId, this.deadLetter(letter, how))
      gaveUp(from.picoId)
      return
    }
    commit.trail([from.records.discard(OWN.outbox, id)])
    if (from.status === 'destroying' && from.lanes.size === 0) erase(from)
  }

  private deadLetter(letter: Letter, how: Leaving): Job {
    const { id, body } = letter
    const { attempts, reason: code = 'letter.refused' } = how
    const message = 'The letter was given up.'
    const at = this.world.clock.now()
    const dead = { id, kind: 'letter', at, attempts, code, message, letter } as unknown as Json
    const also = [
      { group: OWN.outbox, leaf: id, value: undefined },
      { group: OWN.dead, leaf: id, value: dead },
    ]
    // Rules hear of a message in the message's own words (didcomm:message_undeliverable).
    if (body.kind === 'didcomm') return job({ kind: 'letter', letterId: id, letter, ...how }, { also })
    const attrs = { id, kind: 'letter', attempts, code }
    return job({ kind: 'notice', domain: 'engine', name: 'dead_letter', attrs }, { also })
  }
}

/** An answer that refuses its sender. One with an eid was taken: if a rule failed at it, that is its pico's business. */
function refusal(answer: Json): Delivery | undefined {
  const said = answer !== null && typeof answer === 'object' && !Array.isArray(answer) ? answer : {}
  const error = said.eid === undefined ? said.error : undefined
  const code = error !== null && typeof error === 'object' && !Array.isArray(error) ? error.code : undefined
  if (typeof code !== 'string' || !isErrorCode(code)) return undefined
  const { fault, retry } = errorRow(code)
  if (fault !== 'caller') return undefined
  return retry ? { retry: code } : { refused: code }
}
