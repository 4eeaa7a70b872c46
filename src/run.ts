// pure
// One run of one step: what was drawn, asked, written and is to be sent so far. Everything nondeterministic comes
// from `given`; a run that lacks an answer ends by throwing Need and is run again from the start (DESIGN 4, Effects).

import { type Budget, type CompiledRuleset, RulesetFault } from '../krl/types.ts'
import { base64url, hex, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { brief, cut } from './brief.ts'
import type { Directive, PicoEvent } from './event.ts'
import { jcsHash } from './hash.ts'
import { Records } from './pico.ts'
import {
  type Answer,
  type Effect,
  type Given,
  type Json,
  type JsonObject,
  type Letter,
  type LogRecord,
  Need,
  type View,
  type Work,
} from './ports.ts'

/** Limits of one step (law L8). */
export const LIMIT = {
  /** About a tenth of a second. */
  steps: 4_000_000,
  depth: 400,
  size: 64 * 1024 * 1024,
  raised: 1_000,
  letters: 10_000,
  queryDepth: 16,
  /** Scheduled at once in a pico. */
  jobs: 10_000,
  logs: 1_000,
  /** Connections of a pico that strangers asked for and that are not established yet. */
  pending: 1_000,
  /** Characters of a log record's message. */
  message: 2_000,
} as const

/** Code of the log record of a rule that runs. */
const SELECTED = 'rule.selected'
const DAY = 24 * 3600 * 1000

/** An effect's error as a fault of the step that asked, with the place that the effect named. */
export class EffectFault extends RulesetFault {
  readonly details: JsonObject
  constructor({ code, message, place }: { code: string; message: string; place?: JsonObject }) {
    super(code, message)
    this.details = place ?? {}
  }
}

type Recorded = { request: Effect; answer: Answer }

export class Run {
  readonly given: Given
  /** The layer that is written to now. */
  records: Records
  readonly answers: Recorded[] = []
  letters: Letter[] = []
  readonly log: LogRecord[] = []
  directives: Directive[] = []
  /** Raised and not yet handled, in order. */
  events: PicoEvent[] = []
  readonly budget: Budget
  /** A query may read and ask, never write. */
  readonly readOnly: boolean
  readonly queryDepth: number
  /** The event or query that everything here belongs to. */
  readonly txnId: string
  raised = 0
  timersChanged = false
  destroy = false
  private drawn = 0
  private named = 0
  private told: { readonly event: PicoEvent; readonly attrs: JsonObject } | undefined

  constructor(
    view: View,
    given: Given,
    options: { readOnly?: boolean; queryDepth?: number; eid?: string; budget?: Work | undefined } = {},
  ) {
    const { steps, size } = options.budget ?? LIMIT
    this.budget = { steps: Math.min(steps, LIMIT.steps), depth: LIMIT.depth, size: Math.min(size, LIMIT.size) }
    this.given = given
    this.records = new Records(view)
    this.readOnly = options.readOnly ?? false
    this.queryDepth = options.queryDepth ?? 0
    // A label, not a secret: the public seed is at hand in every run, and drawing costs more than a small rule.
    this.txnId = options.eid ?? uuidOf(given.seed)
  }

  get now(): number {
    return this.given.now
  }

  /** 32 bytes that only this pico can know. */
  draw(label: string): Uint8Array {
    return this.given.draw(`${label}/${this.drawn++}`)
  }

  /** A message or letter id: UUID form. No secret, but nobody outside may foresee it; of the seed only the half that is
   *  in `txnId` is ever shown, and hashing is faster than drawing. */
  uuid(): string {
    const text = `${hex(this.given.seed)}/${this.named++}`
    return uuidOf(cryptoNode.sha256(utf8(text)))
  }

  /** A channel identifier: 192 bits. Drawn again when it would look like an option where it is typed. */
  eci(): string {
    const eci = base64url(this.draw('eci').subarray(0, 24))
    return eci.startsWith('-') ? this.eci() : eci
  }

  picoId(): string {
    return hex(this.draw('pico').subarray(0, 16))
  }

  /** The recorded answer of the n-th effect of this run, or one at hand; otherwise the run ends here. */
  ask(effect: Effect): Answer {
    const before = this.given.answers[this.answers.length]
    if (before !== undefined && sameRequest(before.request, effect)) {
      this.answers.push(before)
      return before.answer
    }
    const answer = this.given.ask(effect)
    if (answer === undefined) throw new Need([effect])
    this.answers.push({ request: effect, answer })
    return answer
  }

  letter(body: Letter['body'], lane: string, report = false, id = this.uuid()): Letter {
    const letter: Letter = { id, lane, created: this.now, expires: this.now + 7 * DAY, body, report }
    this.letters.push(letter)
    return letter
  }

  note(level: LogRecord['level'], code: string, message: string, more: JsonObject = {}): void {
    if (this.log.length >= LIMIT.logs) return
    this.log.push({ ...more, level, code, message: cut(message, LIMIT.message), txnId: this.txnId })
  }

  /** The record of every rule that runs: written out here, since it is by far the most frequent. */
  selected(rid: string, rule: string, event: PicoEvent | null): void {
    if (this.log.length >= LIMIT.logs) return
    const { txnId } = this
    const name = cut(`${event?.domain}:${event?.type}`, LIMIT.message)
    const message = `${rid} ${rule} selected`
    this.log.push({
      rid,
      rule,
      event: name,
      attrs: this.briefly(event),
      level: 'debug',
      code: SELECTED,
      message,
      txnId,
    })
  }

  /** An event selects many rules, and its attributes are walked once. */
  private briefly(event: PicoEvent | null): JsonObject {
    if (event === null) return {}
    if (this.told?.event !== event) this.told = { event, attrs: brief(event.attrs) }
    return this.told.attrs
  }

  raise(event: PicoEvent): void {
    this.raised++
    this.events.push(event)
  }

  /** Begins a layer that can be dropped whole (a rule that faults keeps nothing). */
  savepoint(): { drop(): void; keep(): void } {
    const below = this.records
    const layer = new Records(below)
    const { letters, directives, destroy } = this
    this.records = layer
    this.letters = []
    this.directives = []
    return {
      drop: () => {
        this.records = below
        this.letters = letters
        this.directives = directives
        this.events = []
        this.destroy = destroy
      },
      keep: () => {
        layer.mergeInto(below)
        this.records = below
        this.letters = [...letters, ...this.letters]
        this.directives = [...directives, ...this.directives]
      },
    }
  }
}

/** The UUID form of 16 bytes, which stand for nothing else. */
export function uuidOf(bytes: Uint8Array): string {
  const h = hex(bytes.subarray(0, 16))
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-a${h.slice(17, 20)}-${h.slice(20, 32)}`
}

function sameRequest(a: Effect, b: Effect): boolean {
  return a.kind === b.kind && jcsHash(a as unknown as Json) === jcsHash(b as unknown as Json)
}

/** Compiled code by hash, or the run ends here until the driver has it. */
export function code(run: Run, hash: string): CompiledRuleset {
  const compiled = run.given.code(hash)
  if (compiled === undefined) throw new Need([{ kind: 'code', hash }])
  return compiled
}
