// `select` as data: the event expression that krl/runtime.ts follows, the events that can move it, and the hash under
// which a rule's progress is kept, so that an unchanged select keeps its progress when the ruleset changes.

import type { EventExpression, EventPattern, Rule, Select, SourceExpression } from './ast.ts'
import { eventPatterns } from './check.ts'
import type { CompiledRule, EventEx } from './types.ts'

/** Takes in an expression to be compiled and gives its index. */
export type Collect = (expression: SourceExpression) => number

/** The rule as data; `guard` and `within` collect its expressions. An inactive rule waits for nothing. */
export const compileRule = (
  rule: Rule,
  guard: Collect,
  within: (select: Select & { kind: 'when' }) => number,
): CompiledRule => {
  const { name, active, select, line, column } = rule
  if (!active || select === undefined) {
    const never = { op: 'or', args: [] } as const
    return { name: name.text, active: false, select: { event: never }, selectHash: '', salient: [], line, column }
  }
  const event = selectEvent(select, guard)
  const timed = select.kind === 'when' && select.within !== undefined
  return {
    name: name.text,
    active,
    select: timed ? { event, within: within(select) } : { event },
    selectHash: hash(canonical(select)),
    salient: salient(select),
    line,
    column,
  }
}

const ANY = { op: 'event', domain: '*', type: '*', attrs: [], setting: [] } as const

const selectEvent = (select: Select, guard: Collect): EventEx =>
  select.kind === 'where' ? { ...ANY, where: guard(select.where) } : eventEx(select.event, guard)

const eventEx = (event: EventExpression, guard: Collect): EventEx => {
  const { kind } = event
  switch (kind) {
    case 'event':
      return pattern(event, guard)
    case 'or':
    case 'and':
    case 'before':
    case 'then':
    case 'after':
      return { op: kind, args: event.args.map(arg => eventEx(arg, guard)) }
    case 'between':
    case 'not between': {
      const [middle, start, end] = event.args
      return { op: kind, args: [eventEx(middle, guard), eventEx(start, guard), eventEx(end, guard)] }
    }
    case 'any':
      return { op: kind, n: event.n, args: event.args.map(arg => eventEx(arg, guard)) }
    case 'count':
    case 'repeat': {
      const group = { op: kind, n: event.n, arg: pattern(event.arg, guard) }
      if (event.aggregate === undefined) return group
      const setting = event.aggregate.setting.map(name => name.text)
      return { ...group, aggregate: { op: event.aggregate.op, setting } }
    }
    default:
      throw new Error(`an event expression that has no data form: ${kind satisfies never}`)
  }
}

const pattern = ({ domain, type, attrs, setting, where }: EventPattern, guard: Collect): EventEx => ({
  op: 'event',
  domain,
  type,
  attrs: attrs.map(({ name, re }) => ({ name, re: { source: re.source, flags: re.flags } })),
  setting: setting.map(name => name.text),
  ...(where === undefined ? {} : { where: guard(where) }),
})

const salient = (select: Select): string[] => {
  if (select.kind === 'where') return ['*']
  return [...new Set(eventPatterns(select.event).map(({ domain, type }) => `${domain}:${type}`))]
}

/** The select without its layout: guards by their tokens, not by their index. */
const canonical = (select: Select): string => {
  const sources: string[] = []
  const collect = ({ source }: SourceExpression) => sources.push(source) - 1
  const event = selectEvent(select, collect)
  const within = select.kind === 'when' && select.within !== undefined ? [select.within.source, select.unit] : []
  return JSON.stringify([event, sources, within])
}

/** 64 bits in hex: FNV-1a in two lanes. Tells selects apart; no secret hangs on it. */
const hash = (text: string): string => {
  let low = 0x811c9dc5
  let high = 0x050c5d1f
  for (let i = 0; i < text.length; i++) {
    low = Math.imul(low ^ text.charCodeAt(i), 0x01000193)
    high = Math.imul(high ^ text.charCodeAt(i) ^ (low >>> 15), 0x01000193)
  }
  return [low, high].map(lane => (lane >>> 0).toString(16).padStart(8, '0')).join('')
}
