// How the text that `emit` gave becomes a ruleset, and what emitted JavaScript calls. Emitted code gets `calls` as `$r`
// and reaches nothing else; user text occurs in it only inside string literals.

import { compiledRuleset, type Emitted, type Make } from './runtime.ts'
import { actions, operatorParams, operators } from './stdlib.ts'
import type { Args, Budget, CompiledRuleset, Host, KrlFunction, KrlMap, Place, Value } from './types.ts'
import { RulesetFault } from './types.ts'
import { emptyMap, isAction, isFunction, isMap, krlFunction, krlRegExp, NO_NAMED, toText } from './values.ts'

/** Version of the emitted form. Text of another version is refused by `load`. */
export const EMITTED = 1

type Code = (...args: (Value | undefined)[]) => Value

const fault = (code: string, message: string, place?: Place): never => {
  throw new RulesetFault(code, message, place)
}

const spend = (budget: Budget, size: number): void => {
  budget.size -= size
  if (budget.size < 0) fault('ruleset.size', 'the ruleset built more data than it may')
}

/** Arguments in the order of `params`: named ones override, missing ones are undefined. */
const inOrder = (params: readonly string[], { positional, named }: Args): (Value | undefined)[] => {
  if (named === NO_NAMED) return positional as Value[]
  return params.map((name, i) => (Object.hasOwn(named, name) ? named[name] : positional[i]))
}

type Infix = (host: Host, left: Value, right: Value, here: number) => Value

/** Infix operators on two finite numbers, as the library's would answer. */
const ARITHMETIC: Readonly<Record<string, (left: number, right: number) => Value>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
}

const infix = (name: string): Infix => {
  const library = operators[name] as NonNullable<(typeof operators)[string]>
  const fast = ARITHMETIC[name]
  if (fast === undefined) return (host, left, right) => library(host, [left, right])
  return (host, left, right) =>
    Number.isFinite(left) && Number.isFinite(right)
      ? fast(left as number, right as number)
      : library(host, [left, right])
}

/** What emitted text knows as `$r`. */
const calls = {
  // ---- limits
  out: (): never => fault('ruleset.budget', 'the ruleset took more steps than it may'),
  deep: (): never => fault('ruleset.depth', 'functions call each other too deep'),
  cycle: (name: string, place: Place): never =>
    fault('ruleset.failed', `the value of ${name} depends on itself`, place),

  // ---- values
  list: (budget: Budget, items: Value[]): Value[] => {
    spend(budget, items.length)
    return items
  },
  map: (budget: Budget, entries: Value[]): KrlMap => {
    spend(budget, entries.length)
    const map = emptyMap()
    for (let i = 0; i < entries.length; i += 2) map[entries[i] as string] = entries[i + 1] as Value
    return map
  },
  text: (budget: Budget, parts: Value[]): string => {
    let text = ''
    for (const part of parts) text += typeof part === 'string' ? part : toText(part)
    spend(budget, text.length)
    return text
  },
  re: krlRegExp,
  string: toText,
  data: (json: string): unknown => JSON.parse(json),
  /** An own entry, or undefined. */
  own: (map: Readonly<Record<string, Value>>, key: string): Value | undefined =>
    Object.hasOwn(map, key) ? map[key] : undefined,
  path: (path: Value): Value[] => (Array.isArray(path) ? path : [path]),
  none: NO_NAMED,

  // ---- calls
  fn: (kind: 'function' | 'action', name: string, params: readonly string[], code: Code): KrlFunction =>
    krlFunction(kind, name, params, args => code(...inOrder(params, args))),
  call: (callee: Value, args: Args, place: Place): Value =>
    isFunction(callee) ? callee(args) : fault('ruleset.failed', `${toText(callee)} is not a function`, place),
  act: (callee: Value, args: Args, place: Place): Value =>
    isAction(callee) ? callee(args) : fault('ruleset.action', `${toText(callee)} is not an action`, place),
  operator: (name: string) => operators[name],
  infix,
  action: (name: string) => actions[name],
  /** A word of the library as a value. */
  library: (host: Host, name: string): Value => {
    const operator = operators[name]
    const params = operatorParams[name] ?? []
    if (operator !== undefined)
      return krlFunction('function', name, params, args => operator(host, inOrder(params, args) as Value[]))
    return krlFunction('action', name, params, args => (actions[name] as (host: Host, args: Args) => Value)(host, args))
  },

  // ---- rules
  /** Turns of a loop as [key, value]: arrays by index, maps by key, strings by character; anything else has none. */
  turns: (value: Value): [Value, Value][] => {
    if (Array.isArray(value)) return value.map((item, i) => [i, item])
    if (typeof value === 'string') return Array.from(value, (item, i) => [String(i), item])
    return isMap(value) ? Object.entries(value) : []
  },
  /** A number from 0 to below `count`, each as likely. */
  pick: (host: Host, count: number): number => {
    const [a = 0, b = 0, c = 0, d = 0] = host.random(4)
    return Math.floor(((a * 0x1000000 + b * 0x10000 + c * 0x100 + d) / 0x100000000) * count)
  },
  /** `domain:type` of a dynamic event name; blanks do not count. */
  event: (name: Value, place: Place): [string, string] => {
    const text = toText(name).replace(/\s+/g, '')
    const colon = text.indexOf(':')
    if (colon < 1 || colon === text.length - 1) fault('ruleset.failed', `"${text}" is not domain:type`, place)
    return [text.slice(0, colon), text.slice(colon + 1)]
  },
  rid: (value: Value): string | undefined => (value === null ? undefined : toText(value)),
  millis: (value: Value, unit: number, place: Place): number => {
    const count = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
    return typeof count === 'number' && count >= 0
      ? count * unit
      : fault('ruleset.failed', `within ${toText(value)} is no time`, place)
  },

  // ---- the whole
  ruleset: (version: number, json: string, make: Make): CompiledRuleset => {
    if (version !== EMITTED)
      fault('ruleset.failed', `compiled ruleset of version ${version}, this engine runs ${EMITTED}`)
    return compiledRuleset(JSON.parse(json) as Emitted, make)
  },
}

/** Makes a ruleset of text that `emit` gave. Throws `RulesetFault` when the text is of another version. */
export const load = (js: string): CompiledRuleset => new Function('$r', js)(calls) as CompiledRuleset
