// A compiled ruleset at work in one step: its emitted code as an `Instance` whose faults say where they stand, and its
// event expressions (`select when …`) as counters. The one `catch` here adds the place to a fault.

import type {
  CompiledRule,
  CompiledRuleset,
  EventEx,
  Host,
  Instance,
  Place,
  RegexSpec,
  RulesetMeta,
  Value,
} from './types.ts'
import { RulesetFault } from './types.ts'
import { krlFunction, krlRegExp, NO_NAMED, toText } from './values.ts'

// ---- the instance ------------------------------------------------------------------------------------------

type RuleCode = (bindings: Readonly<Record<string, Value>>) => number
type Table<T> = readonly (string | T)[]

/** What an emitted ruleset gives for one step; tables alternate names and values. */
interface Parts {
  readonly rules: Table<RuleCode>
  readonly guards: Instance['guards']
  readonly withins: Instance['withins']
  readonly withs: Table<() => Record<string, Value>>
  readonly members: Table<() => Value>
  /** Where the run stands, to locate faults of the library. */
  readonly place: () => Place | undefined
}

/** Makes the code of a ruleset for one step. */
export type Make = (host: Host, config: Readonly<Record<string, Value>>) => Parts

/** What emitted text says of its ruleset without running. */
export interface Emitted {
  readonly meta: RulesetMeta
  readonly rules: readonly CompiledRule[]
}

const FIRED = 1
const LAST = 2

/** The ruleset of emitted code; each step makes its closures anew. */
export const compiledRuleset = ({ meta, rules }: Emitted, make: Make): CompiledRuleset => ({
  meta,
  rules,
  instantiate: (host, config = NO_NAMED) => instance(meta.rid, make(host, config)),
})

const pairs = <T>(table: Table<T>): [string, T][] => {
  const entries: [string, T][] = []
  for (let i = 0; i < table.length; i += 2) entries.push([table[i] as string, table[i + 1] as T])
  return entries
}

const record = <T, U>(table: Table<T>, value: (item: T) => U): Record<string, U> => {
  const made: Record<string, U> = Object.create(null)
  for (const [name, item] of pairs(table)) made[name] = value(item)
  return made
}

const instance = (rid: string, { rules, guards, withins, withs, members, place }: Parts): Instance => {
  const at = <A extends unknown[], T>(act: (...args: A) => T, where = '') => {
    return (...args: A): T => {
      try {
        return act(...args)
      } catch (error) {
        throw located(error, place(), where)
      }
    }
  }
  const entries = new Map(pairs(members))
  /** A fault inside a module names the module: its place is in that text. */
  const guarded = (value: Value): Value =>
    typeof value === 'function'
      ? krlFunction(value.krl.kind, value.krl.name, value.krl.params, at(value, ` (in ${rid})`))
      : value
  return {
    rules: record(rules, code =>
      at(bindings => {
        const end = code(bindings)
        return end & LAST ? { fired: (end & FIRED) > 0, last: true } : { fired: (end & FIRED) > 0 }
      }),
    ),
    guards: guards.map(guard => at(guard)),
    withins: withins.map(within => at(within)),
    withs: record(withs, make => at(make)),
    member: name => {
      const read = entries.get(name)
      return read === undefined ? undefined : guarded(at(read)())
    },
  }
}

/** A fault that has passed a boundary: nothing is added to it any more. */
class PlacedFault extends RulesetFault {}

/** A fault gets the place where the run stood; an exhausted stack is a fault of depth; all else stays. */
const located = (error: unknown, place: Place | undefined, where: string): unknown => {
  if (error instanceof RulesetFault && !(error instanceof PlacedFault))
    return new PlacedFault(error.code, error.message + where, error.place ?? place)
  if (error instanceof RangeError && error.message === 'Maximum call stack size exceeded')
    return new PlacedFault('ruleset.depth', `functions call each other too deep${where}`, place)
  return error
}

// ---- event expressions -------------------------------------------------------------------------------------

// The progress of a rule is a short list of alternatives, each a small JSON value that says what is done and what has
// begun; no automaton is built, so `and` of n events costs n checks and not n! states. An event moves some alternatives;
// when any moves, the others are given up (an operand once begun is finished before another begins), and when none moves
// the progress stays as it is.

export interface SeenEvent {
  readonly domain: string
  readonly type: string
  readonly attrs: Readonly<Record<string, Value>>
  /** Milliseconds since 1970. */
  readonly time: number
}

export type Bindings = Readonly<Record<string, Value>>

/** How far one operator has come: operands done (their number, or which), the one begun with its own progress, and what they bound. */
interface Node {
  readonly n: number | readonly number[]
  readonly i?: number
  readonly s?: Node | null
  readonly b?: Bindings
  /** Windows of aggregated values, one per name of the aggregator. */
  readonly w?: readonly (readonly Value[])[]
}

/** One way to read the events so far; `s` null = nothing begun; `t` = time of its first event, when there is a `within`. */
interface Alternative {
  readonly s: Node | null
  readonly t?: number
}

/** Progress of one rule: plain JSON, or undefined at the start. */
export type State = { readonly at: readonly Alternative[] } | undefined

export interface Advance {
  readonly state: State
  readonly selected: boolean
  readonly bindings: Bindings
  /** False when `state` is the very value that came in. */
  readonly changed: boolean
}

/** Evaluates `where` number `index` with the attributes bound so far. */
export type Guard = (index: number, bindings: Bindings) => boolean

/** An operand is done; `again` is the progress from which a satisfied `repeat` in it can be done once more. */
interface Done {
  readonly b: Bindings
  readonly captures: readonly Value[]
  readonly again?: Node
}

/** What one event makes of an operator: done, or further (null: back at its start). */
type Outcome = Done | { readonly at: Node | null }

interface Run {
  readonly root: EventEx
  readonly event: SeenEvent
  readonly guard: Guard
  /** Awaited events of the right name whose attributes or guard did not match. */
  missed: number
}

/** Alternatives kept per rule; past it those written first win. Only operands that one event can begin together add any. */
const MAX_ALTERNATIVES = 128

const UNBOUND: Bindings = Object.freeze(Object.create(null))
const NOTHING: readonly Outcome[] = []
const NO_MATCH: readonly Done[] = []
const BACK: readonly Outcome[] = [{ at: null }]

/** The progress of a rule that has seen nothing. */
export const start = (_ex: EventEx): State => undefined

/**
 * One event against the progress of one rule. A selection puts the progress back to the start, except that a satisfied
 * `repeat` also stays ready to fire again. `withinMs` is how long an alternative may take from its first event.
 */
export const advance = (ex: EventEx, state: State, event: SeenEvent, guard: Guard, withinMs?: number): Advance => {
  const run: Run = { root: ex, event, guard, missed: 0 }
  if (state === undefined && ex.op === 'event') {
    const hit = leaf(ex, UNBOUND, run)[0]
    return { state, selected: hit !== undefined, bindings: hit?.b ?? UNBOUND, changed: false }
  }
  const live = unexpired(state, event.time, withinMs)
  const next: Alternative[] = []
  const again: Alternative[] = []
  let bindings: Bindings | undefined
  for (const from of live) {
    const since = from.s === null ? event.time : from.t
    for (const outcome of step(ex, from.s, UNBOUND, run)) {
      if ('at' in outcome) next.push(alternative(outcome.at, since, withinMs))
      else {
        bindings ??= outcome.b
        if (outcome.again !== undefined) again.push(alternative(outcome.again, since, withinMs))
      }
    }
  }
  if (bindings !== undefined) {
    const after = again.length === 0 ? undefined : normal([...START, ...again])
    return { state: after, selected: true, bindings, changed: after !== state }
  }
  const after = next.length > 0 ? normal(next) : state === undefined || live === state.at ? state : normal(live)
  return { state: after, selected: false, bindings: UNBOUND, changed: after !== state }
}

const START: readonly Alternative[] = [{ s: null }]

const alternative = (s: Node | null, since: number | undefined, withinMs: number | undefined): Alternative =>
  s === null || withinMs === undefined || since === undefined ? { s } : { s, t: since }

const unexpired = (state: State, now: number, withinMs: number | undefined): readonly Alternative[] => {
  if (state === undefined) return START
  if (withinMs === undefined || !state.at.some(({ t }) => t !== undefined && now - t > withinMs)) return state.at
  return [...START, ...state.at.filter(({ s, t }) => s !== null && !(t !== undefined && now - t > withinMs))]
}

const normal = (alternatives: readonly Alternative[]): State => {
  if (alternatives.every(({ s }) => s === null)) return undefined
  if (alternatives.length === 1) return { at: alternatives }
  const distinct = new Map(alternatives.map(each => [JSON.stringify(each), each]))
  return { at: [...distinct.values()].slice(0, MAX_ALTERNATIVES) }
}

const step = (ex: EventEx, at: Node | null, outer: Bindings, run: Run): readonly Outcome[] => {
  if (ex.op === 'event') return leaf(ex, outer, run)
  const from = at ?? fresh(ex)
  const seen = from.b === undefined ? outer : merge(outer, from.b)
  const missed = run.missed
  const out: Outcome[] = []
  for (const i of from.i === undefined ? candidates(ex, from.n) : [from.i]) {
    const operand = 'arg' in ex ? ex.arg : ex.args[i]
    if (operand === undefined) continue
    for (const outcome of step(operand, from.s ?? null, seen, run)) {
      if ('at' in outcome) out.push({ at: within(from, i, outcome.at) })
      else out.push(...complete(ex, from, i, outcome))
    }
  }
  if (out.length > 0 || at === null) return out
  if (ex.op === 'repeat' && run.missed > missed) return BACK
  // `then` allows no salient event between its operands: one that moves nothing is consumed and starts it over.
  return ex.op === 'then' && from.i === undefined && salient(run.root, run.event) ? BACK : NOTHING
}

const NONE_DONE: Node = { n: 0 }
const NO_OPERANDS_DONE: Node = { n: [] }

const fresh = ({ op }: EventEx): Node => (op === 'and' || op === 'any' ? NO_OPERANDS_DONE : NONE_DONE)

const isFresh = ({ n }: Node) => (typeof n === 'number' ? n : n.length) === 0

/** The operator with operand `i` at `inner`; an operand back at its start gives the choice of operands back. */
const within = (from: Node, i: number, inner: Node | null): Node | null => {
  if (inner !== null) return { ...from, i, s: inner }
  if (isFresh(from)) return null
  const { i: _i, s: _s, ...rest } = from
  return rest
}

/** The operands that may begin once `done` are done. */
const candidates = (ex: EventEx, done: number | readonly number[]): readonly number[] => {
  if (ex.op === 'event' || 'arg' in ex) return [0]
  if (ex.op === 'or') return ex.args.map((_, i) => i)
  if (typeof done !== 'number') {
    const first = firstAlike(ex.args)
    const open = ex.args.map((_, i) => i).filter(i => !done.includes(i))
    return open.filter(i => open.find(j => first[j] === first[i]) === i)
  }
  if (ex.op === 'after') return [ex.args.length - 1 - done]
  if (ex.op === 'between') return [[1, 0, 2][done] ?? 2]
  if (ex.op === 'not between') return done === 0 ? [1] : [0, 2]
  return [done]
}

const alike = new WeakMap<readonly EventEx[], readonly number[]>()

/** For each operand the first one written the same way: such operands are interchangeable, so one stands for all. */
const firstAlike = (operands: readonly EventEx[]): readonly number[] => {
  const known = alike.get(operands)
  if (known !== undefined) return known
  const texts = operands.map(operand => JSON.stringify(operand))
  const made = texts.map(text => texts.indexOf(text))
  alike.set(operands, made)
  return made
}

const complete = (ex: EventEx, from: Node, i: number, outcome: Done): readonly Outcome[] => {
  if (ex.op === 'count' || ex.op === 'repeat') return counted(ex, from, outcome)
  const b = merge(from.b, outcome.b)
  const again: Node | undefined = outcome.again && { ...from, i, s: outcome.again }
  const also: readonly Outcome[] = again ? [{ at: again }] : NOTHING
  const n = following(ex, from.n, i)
  if (n === 'done') return [{ b, captures: outcome.captures, ...(again && { again }) }]
  if (n === 'back') return [...BACK, ...also]
  return [{ at: bound({ n }, b) }, ...also]
}

const following = (ex: EventEx, done: number | readonly number[], i: number): Node['n'] | 'done' | 'back' => {
  if (ex.op === 'not between' && i !== 1) return i === 2 ? 'done' : 'back'
  if (ex.op === 'event' || ex.op === 'or' || 'arg' in ex) return 'done'
  const n = typeof done === 'number' ? done + 1 : [...done, i].sort((a, b) => a - b)
  const need = ex.op === 'any' ? ex.n : ex.args.length
  return (typeof n === 'number' ? n : n.length) === need ? 'done' : n
}

type Counter = Extract<EventEx, { readonly op: 'count' | 'repeat' }>

/** One more of a `count` or `repeat`. A satisfied `repeat` goes on as if the oldest of its events had not been. */
const counted = (ex: Counter, from: Node, outcome: Done): readonly Outcome[] => {
  const n = Number(from.n) + 1
  const b = merge(from.b, outcome.b)
  const w = ex.aggregate?.setting.map((_, j) => [...(from.w?.[j] ?? []), outcome.captures[j] ?? null])
  if (ex.n < 1) return NOTHING
  if (n < ex.n) return [{ at: bound({ n, ...(w && { w }) }, b) }]
  const found = ex.aggregate === undefined || w === undefined ? b : merge(b, aggregates(ex.aggregate, w))
  const { captures } = outcome
  if (ex.op === 'count') return [{ b: found, captures }]
  const again = bound({ n: n - 1, ...(w && { w: w.map(values => values.slice(1)) }) }, b)
  return [{ b: found, captures, again }]
}

const aggregates = ({ op, setting }: NonNullable<Counter['aggregate']>, windows: readonly (readonly Value[])[]) => {
  const made: Record<string, Value> = Object.create(null)
  for (const [j, name] of setting.entries()) made[name] = aggregate[op](windows[j] ?? [])
  return made
}

const number = (value: Value): number => {
  const read = value === null ? 0 : Number(value)
  return Number.isFinite(read) ? read : 0
}
const sum = (values: readonly Value[]) => values.reduce<number>((total, value) => total + number(value), 0)

const aggregate: Readonly<Record<NonNullable<Counter['aggregate']>['op'], (values: readonly Value[]) => Value>> = {
  max: values => Math.max(...values.map(number)),
  min: values => Math.min(...values.map(number)),
  sum,
  avg: values => sum(values) / values.length,
  push: values => [...values],
}

type Pattern = Extract<EventEx, { readonly op: 'event' }>

const leaf = (ex: Pattern, outer: Bindings, run: Run): readonly Done[] => {
  if (!isNamed(ex, run.event)) return NO_MATCH
  const captures = capture(ex, run.event.attrs)
  if (captures !== undefined) {
    const b = settings(ex.setting, captures)
    if (ex.where === undefined || run.guard(ex.where, merge(outer, b))) return [{ b, captures }]
  }
  run.missed++
  return NO_MATCH
}

const isNamed = (ex: Pattern, event: SeenEvent) =>
  (ex.domain === '*' || ex.domain === event.domain) && (ex.type === '*' || ex.type === event.type)

const salient = (ex: EventEx, event: SeenEvent): boolean => {
  if (ex.op === 'event') return isNamed(ex, event)
  return 'arg' in ex ? salient(ex.arg, event) : ex.args.some(arg => salient(arg, event))
}

/** The groups of all attribute patterns in order, or undefined when one does not match. An absent attribute reads as "". */
const capture = (ex: Pattern, attrs: SeenEvent['attrs']): readonly Value[] | undefined => {
  if (ex.attrs.length === 0) return []
  const captures: Value[] = []
  for (const { name, re } of ex.attrs) {
    const text = Object.hasOwn(attrs, name) ? toText(attrs[name]) : ''
    const match = compiled(re).exec(text)
    if (match === null) return undefined
    for (const group of match.slice(1)) captures.push(group ?? null)
  }
  return captures
}

const patterns = new WeakMap<RegexSpec, RegExp>()

const compiled = (re: RegexSpec): RegExp => {
  const pattern = patterns.get(re) ?? krlRegExp(re.source, re.flags).pattern
  patterns.set(re, pattern)
  pattern.lastIndex = 0
  return pattern
}

const settings = (names: readonly string[], captures: readonly Value[]): Bindings => {
  if (names.length === 0) return UNBOUND
  const made: Record<string, Value> = Object.create(null)
  for (const [j, name] of names.entries()) made[name] = captures[j] ?? null
  return made
}

const merge = (a: Bindings | undefined, b: Bindings): Bindings =>
  a === undefined ? b : Object.assign(Object.create(null), a, b)

const bound = (node: Node, b: Bindings): Node => (Object.keys(b).length === 0 ? node : { ...node, b })
