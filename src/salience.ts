// pure
// Which rules an event may move, by its name alone. An event selects with it, and a peer's message of an unknown type
// is handled when any rule looks at it.

import type { CompiledRule, CompiledRuleset } from '../krl/types.ts'

const salient = (rule: CompiledRule, domain: string, type: string) =>
  rule.salient.some(
    pair =>
      pair === '*' || pair === '*:*' || pair === `${domain}:${type}` || pair === `${domain}:*` || pair === `*:${type}`,
  )

// Compiled code never changes, so which of its rules look at an event is worked out once for each name. Names come from
// outside: past a number of them all are forgotten.
const salience = new WeakMap<CompiledRuleset, Map<string, readonly CompiledRule[]>>()
const NAMES_KEPT = 1000

/** Active rules that look at events of this name, in the order of the text. */
export function salientRules(compiled: CompiledRuleset, domain: string, type: string): readonly CompiledRule[] {
  const name = `${domain}:${type}`
  let known = salience.get(compiled)
  if (known === undefined) {
    known = new Map()
    salience.set(compiled, known)
  }
  let found = known.get(name)
  if (found === undefined) {
    found = compiled.rules.filter(rule => rule.active && salient(rule, domain, type))
    if (known.size >= NAMES_KEPT) known.clear()
    known.set(name, found)
  }
  return found
}
