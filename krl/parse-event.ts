// Event expressions of `select when`: `or` 20, `and` 30, `before then after` 40, `between` and `not between` 50, prefix
// forms `and(…)`, `any n (…)`, groups `count n (…)`, `repeat n (…)`. Operator words are names where none can stand.

import type { Aggregate, EventExpression, EventPattern, Name, Select, SourceExpression } from './ast.ts'
import { ExpressionParser } from './parse-expression.ts'
import type { Place } from './types.ts'

type Serial = 'or' | 'and' | 'before' | 'then' | 'after'
const SERIAL: ReadonlyMap<string, number> = new Map([
  ['or', 20],
  ['and', 30],
  ['before', 40],
  ['then', 40],
  ['after', 40],
])
const BETWEEN = 50
const AGGREGATES: ReadonlySet<string> = new Set(['max', 'min', 'sum', 'avg', 'push'])
/** More would make the state of one rule a burden to its pico. */
const MAX_COUNT = 100_000

const SECOND = 1000
const DAY = 86_400 * SECOND
const PERIODS: ReadonlyMap<string, number> = new Map([
  ['second', SECOND],
  ['minute', 60 * SECOND],
  ['hour', 3600 * SECOND],
  ['day', DAY],
  ['week', 7 * DAY],
  ['month', 30 * DAY],
  ['year', 365 * DAY],
])

export abstract class EventParser extends ExpressionParser {
  /** `when …` or `where …` after `select`. */
  protected select(): Select {
    if (this.accept('where')) return { kind: 'where', where: this.sourced() }
    this.expect('when', 'A rule is selected with `select when domain type`.')
    const event = this.event()
    if (!this.accept('within')) return { kind: 'when', event, unit: 1 }
    const within = this.sourced()
    return { kind: 'when', event, within, unit: this.period() }
  }

  private period(): number {
    const unit = PERIODS.get(this.peek().text.replace(/s$/, ''))
    if (unit === undefined) return this.unexpected('a period', `Periods are ${[...PERIODS.keys()].join(', ')}.`)
    this.take()
    return unit
  }

  private event(min = 0): EventExpression {
    const outer = this.tall
    this.nesting += 1
    this.bound(this.nesting)
    this.tall = 0
    let left = this.eventPrefix()
    let tall = this.tall + 1
    for (;;) {
      this.tall = 0
      const longer = this.eventSuffix(left, min)
      if (longer === undefined) break
      left = longer
      tall = Math.max(tall, this.tall) + 1
      this.bound(tall)
    }
    this.nesting -= 1
    this.tall = Math.max(outer, tall)
    return left
  }

  private eventSuffix(left: EventExpression, min: number): EventExpression | undefined {
    const token = this.peek()
    if (token.kind !== 'word') return undefined
    const at = this.place(token)
    const serial = SERIAL.get(token.text)
    if (serial !== undefined && serial > min) {
      this.take()
      return { kind: token.text as Serial, args: [left, this.event(serial)], ...at }
    }
    if (min >= BETWEEN || (token.text !== 'between' && token.text !== 'not')) return undefined
    const kind = this.accept('not') ? 'not between' : 'between'
    this.expect('between')
    this.expect('(')
    const start = this.event()
    this.expect(',')
    const end = this.event()
    this.expect(')')
    return { kind, args: [left, start, end], ...at }
  }

  private eventPrefix(): EventExpression {
    const at = this.place()
    if (this.accept('(')) {
      const inner = this.event()
      this.expect(')')
      return inner
    }
    const { text } = this.peek()
    if (SERIAL.has(text) && this.is('(', 1)) {
      this.take()
      return { kind: text as Serial, args: this.events(), ...at }
    }
    if (text === 'any' && this.peek(1).kind === 'number') return this.anyOf(at)
    if ((text === 'count' || text === 'repeat') && this.peek(1).kind === 'number') return this.group(text, at)
    return this.pattern()
  }

  private events(): EventExpression[] {
    this.expect('(')
    const args = [this.event()]
    while (this.accept(',')) args.push(this.event())
    this.expect(')')
    return args
  }

  private anyOf(at: Place): EventExpression {
    this.take()
    const n = this.count()
    const args = this.events()
    if (n > args.length)
      this.fail(`any ${n} of ${args.length} events can never happen`, 'List more events.', at, 'krl.event')
    return { kind: 'any', n, args, ...at }
  }

  private group(kind: 'count' | 'repeat', at: Place): EventExpression {
    this.take()
    const n = this.count()
    this.expect('(')
    const arg = this.pattern()
    this.expect(')', `\`${kind}\` takes one event.`)
    const aggregate = this.aggregate()
    return { kind, n, arg, ...(aggregate === undefined ? {} : { aggregate }), ...at }
  }

  private aggregate(): Aggregate | undefined {
    const token = this.peek()
    if (token.kind !== 'word' || !AGGREGATES.has(token.text) || !this.is('(', 1)) return undefined
    this.take()
    return { op: token.text as Aggregate['op'], setting: this.settingNames(), ...this.place(token) }
  }

  private count(): number {
    const token = this.peek()
    const n = Number(token.text)
    if (!/^[0-9]+$/.test(token.text) || n < 1 || n > MAX_COUNT) this.unexpected(`a whole number from 1 to ${MAX_COUNT}`)
    this.take()
    return n
  }

  private pattern(): EventPattern {
    const domain = this.word('an event: domain and type')
    const type = this.accept(':') ? this.word('the type of the event') : this.word('`:` or the type of the event')
    const attrs: { name: string; re: ReturnType<EventParser['regexp']> }[] = []
    while (this.peek().kind === 'word' && this.peek(1).kind === 'regexp')
      attrs.push({ name: this.take().text, re: this.regexp() })
    const early = this.where()
    const setting = this.captures(early, attrs.length)
    const where = early ?? this.where()
    const pattern = {
      kind: 'event',
      domain: domain.text,
      type: type.text,
      attrs,
      setting,
      ...this.place(domain),
    } as const
    return where === undefined ? pattern : { ...pattern, where }
  }

  private where(): SourceExpression | undefined {
    return this.accept('where') ? this.sourced() : undefined
  }

  private captures(early: SourceExpression | undefined, patterns: number): Name[] {
    const at = this.place()
    if (!this.accept('setting')) return []
    if (patterns === 0)
      this.warn('krl.setting', '`setting` has no attribute pattern to take from', 'Add `attribute re#(…)#`.', at)
    if (early !== undefined)
      this.warn('krl.deprecated', '`where` stands before `setting`', 'Put it after `setting(…)`.', at)
    return this.settingNames()
  }
}
