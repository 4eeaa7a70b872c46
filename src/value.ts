// pure
// KRL values as JSON: what leaves a ruleset for the store, a peer or a caller. A value may hold the same part many
// times, so it is paid for node by node as it is walked (law L8).

import { type Budget, type KrlMap, RulesetFault, type Value } from '../krl/types.ts'
import { isRegExp, toText } from '../krl/values.ts'
import type { Json, JsonObject } from './ports.ts'

const DEPTH = 64
/** Characters that cost as much as one step: sealing reads them all, but fast. */
const CHARACTERS_PER_STEP = 32

/** KRL values that leave a ruleset become JSON: functions and regular expressions as their text. */
export function toJson(budget: Budget, value: Value | undefined, depth = 0): Json {
  if (typeof value === 'string') return paid(budget, value)
  pay(budget, 1, 1)
  if (value === undefined || value === null) return null
  if (typeof value !== 'object' && typeof value !== 'function')
    return typeof value === 'number' && !Number.isFinite(value) ? null : value
  if (depth > DEPTH) throw new RulesetFault('ruleset.depth', `a value is nested deeper than ${DEPTH} levels`)
  if (Array.isArray(value)) return value.map(item => toJson(budget, item, depth + 1))
  if (typeof value === 'function' || isRegExp(value)) return paid(budget, toText(value))
  const map: JsonObject = Object.create(null)
  for (const key of Object.keys(value)) map[paid(budget, key)] = toJson(budget, (value as KrlMap)[key], depth + 1)
  return map
}

/** Takes steps and size out of the budget; a RulesetFault when there is not so much left. */
export function pay(budget: Budget, steps: number, size: number): void {
  budget.steps -= steps
  budget.size -= size
  if (!(budget.steps >= 0)) throw new RulesetFault('ruleset.budget', 'the step budget is used up')
  if (!(budget.size >= 0)) throw new RulesetFault('ruleset.size', 'the data built here is too large')
}

function paid(budget: Budget, text: string): string {
  pay(budget, 1 + Math.floor(text.length / CHARACTERS_PER_STEP), 1 + text.length)
  return text
}
