// KRL values at run time: how functions, actions, regular expressions and maps are branded and told apart,
// and how a value becomes text. A brand cannot be forged by a map that a peer sends.

import { linearPattern } from './regexp.ts'
import type { Args, KrlFunction, KrlMap, KrlRegExp, Value } from './types.ts'
import { RulesetFault } from './types.ts'

export type TypeName = 'Map' | 'Array' | 'String' | 'Number' | 'Boolean' | 'Null' | 'Function' | 'Action' | 'RegExp'

/** Named arguments of a call that has none. */
export const NO_NAMED: Readonly<Record<string, Value>> = Object.freeze(Object.create(null))

/** Brands `body` as a KRL function or action; `params` are the names for named arguments. */
export const krlFunction = (
  kind: 'function' | 'action',
  name: string,
  params: readonly string[],
  body: (args: Args) => Value,
): KrlFunction => Object.assign((args: Args) => body(args), { krl: { kind, name, params } }) as KrlFunction

class RegExpValue implements KrlRegExp {
  readonly krl = { kind: 'regexp' } as const
  readonly source: string
  readonly flags: string
  readonly pattern: RegExp
  constructor(source: string, flags: string, pattern: RegExp) {
    this.source = source
    this.flags = flags
    this.pattern = pattern
  }
}

/**
 * A regular expression value from KRL source and flags (`g`, `i`, `m`). Throws `RulesetFault` `ruleset.failed` when
 * the pattern is malformed or cannot run in linear time (back-reference, look-behind).
 */
export const krlRegExp = (source: string, flags: string): KrlRegExp => {
  const made = linearPattern(source, flags)
  if ('problem' in made) throw new RulesetFault('ruleset.failed', `regular expression ${made.problem}`)
  return new RegExpValue(source, flags, made.pattern)
}

export const isFunction = (value: unknown): value is KrlFunction =>
  typeof value === 'function' && (value as unknown as KrlFunction).krl?.kind === 'function'

export const isAction = (value: unknown): value is KrlFunction =>
  typeof value === 'function' && (value as unknown as KrlFunction).krl?.kind === 'action'

export const isRegExp = (value: unknown): value is KrlRegExp => value instanceof RegExpValue

export const isMap = (value: unknown): value is KrlMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof RegExpValue)

/** A map without prototype: no key of it can reach JavaScript's own objects. */
export const emptyMap = (): KrlMap => Object.create(null)

/** The own entry `key`, or undefined. */
export const own = (map: KrlMap, key: string): Value | undefined => (Object.hasOwn(map, key) ? map[key] : undefined)

/** KRL's name of a value's type; undefined and NaN count as Null. */
export const typeName = (value: Value | undefined): TypeName => {
  if (value === null || value === undefined || Number.isNaN(value)) return 'Null'
  if (typeof value === 'string') return 'String'
  if (typeof value === 'number') return 'Number'
  if (typeof value === 'boolean') return 'Boolean'
  if (typeof value === 'function') return isAction(value) ? 'Action' : 'Function'
  if (Array.isArray(value)) return 'Array'
  return isRegExp(value) ? 'RegExp' : 'Map'
}

/** String conversion as in chevrons and `.as("String")`: containers and functions show their type only. */
export const toText = (value: Value | undefined): string => {
  const type = typeName(value)
  if (type === 'Null') return 'null'
  if (type === 'RegExp') return `re#${(value as KrlRegExp).source}#${(value as KrlRegExp).flags}`
  return type === 'String' || type === 'Number' || type === 'Boolean' ? String(value) : `[${type}]`
}
