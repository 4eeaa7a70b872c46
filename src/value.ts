// pure
// KRL values as JSON: what leaves a ruleset for the store, a peer or a caller.

import { type KrlMap, RulesetFault, type Value } from '../krl/types.ts'
import { isRegExp, toText } from '../krl/values.ts'
import type { Json, JsonObject } from './ports.ts'

/** KRL values that leave a ruleset become JSON: functions and regular expressions as their text. */
export function toJson(value: Value | undefined, depth = 0): Json {
  if (value === undefined || value === null) return null
  if (typeof value !== 'object' && typeof value !== 'function')
    return typeof value === 'number' && !Number.isFinite(value) ? null : value
  if (depth > 64) throw new RulesetFault('ruleset.depth', 'a value is nested deeper than 64 levels')
  if (Array.isArray(value)) return value.map(item => toJson(item, depth + 1))
  if (typeof value === 'function' || isRegExp(value)) return toText(value)
  const map: JsonObject = Object.create(null)
  for (const key of Object.keys(value)) map[key] = toJson((value as KrlMap)[key], depth + 1)
  return map
}
