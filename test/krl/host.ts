// An in-memory world for compiled rulesets: entity variables in a map, what rules do in lists, a fixed clock and a
// counted source of random bytes. `Bench` runs whole events against it, as the engine does in one step.

import { compileAndLoad } from '../../krl/index.ts'
import type { State } from '../../krl/runtime.ts'
import { advance } from '../../krl/runtime.ts'
import { deletePath, getPath, putPath } from '../../krl/stdlib.ts'
import type { Args, Budget, CompiledRuleset, Host, Instance, KrlMap, Place, Value } from '../../krl/types.ts'
import { RulesetFault } from '../../krl/types.ts'
import { isAction, isFunction } from '../../krl/values.ts'
import { domains } from '../../src/modules.ts'

export interface Raised {
  domain: string
  type: string
  attrs: Value
  rid?: string
}

type Member = Value | ((args: Args) => Value)

export class MemoryHost implements Host {
  readonly rid: string
  readonly budget: Budget
  readonly variables = new Map<string, Value>()
  readonly directives: { name: string; options: KrlMap }[] = []
  readonly raised: Raised[] = []
  readonly jobs: Record<string, unknown>[] = []
  readonly logs: { level: string; value: Value; label?: Value }[] = []
  readonly acts: { domain: string; name: string; args: Args }[] = []
  /** How often `entPath` answered without reading a whole variable. */
  pathReads = 0
  time = 1_700_000_000_000
  /** Values and functions of domains, by `domain:name`. */
  readonly members: Record<string, Member>
  private seed = 1

  constructor(rid = 'test', members: Record<string, Member> = {}, budget: Partial<Budget> = {}) {
    this.rid = rid
    this.members = members
    this.budget = { steps: 1_000_000, depth: 400, size: 10_000_000, ...budget }
  }

  ent(name: string): Value | undefined {
    return this.variables.get(name)
  }
  entPath(name: string, path: readonly Value[]): Value | undefined {
    this.pathReads += 1
    return getPath(this.variables.get(name), path)
  }
  setEnt(name: string, value: Value): void {
    this.variables.set(name, value)
  }
  setEntPath(name: string, path: readonly Value[], value: Value): void {
    this.variables.set(name, putPath(this.variables.get(name), path, value))
  }
  clearEnt(name: string, path?: readonly Value[]): void {
    if (path === undefined) this.variables.delete(name)
    else this.variables.set(name, deletePath(this.variables.get(name), path))
  }

  member(domain: string, name: string, place: Place): Value {
    const found = this.members[`${domain}:${name}`]
    if (found === undefined) throw new RulesetFault('ruleset.failed', `${domain} has no ${name}`, place)
    return found as Value
  }
  call(domain: string, name: string, args: Args, place: Place): Value {
    return (this.member(domain, name, place) as unknown as (args: Args) => Value)(args)
  }
  act(domain: string, name: string, args: Args, place: Place): Value {
    this.acts.push({ domain, name, args })
    return this.members[`${domain}:${name}`] === undefined ? null : this.call(domain, name, args, place)
  }

  directive(name: string, options: KrlMap): void {
    this.directives.push({ name, options })
  }
  raise(domain: string, type: string, attrs: Value, rid: string | undefined): void {
    this.raised.push(rid === undefined ? { domain, type, attrs } : { domain, type, attrs, rid })
  }
  schedule(job: Parameters<Host['schedule']>[0]): Value {
    this.jobs.push(job)
    return `job-${this.jobs.length}`
  }
  log(level: string, value: Value, label?: Value): void {
    this.logs.push(label === undefined ? { level, value } : { level, value, label })
  }
  error(level: string, value: Value, rule: string): void {
    this.raised.push({ domain: 'system', type: 'error', attrs: { level, data: value, rule_name: rule }, rid: this.rid })
  }
  now(): number {
    return this.time
  }
  random(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => {
      this.seed = Math.imul(this.seed, 1103515245) + 12345
      return (this.seed >>> 16) & 255
    })
  }
}

// Besides the engine's own members those that tests read of `MemoryHost`.
const DOMAINS = {
  ...domains,
  ctx: { ...domains.ctx, l: 'property', r: 'property', missing: 'property', newThing: 'action' },
} as const

/** Compiles, or fails the test with the diagnostics. */
export const compiled = (source: string): CompiledRuleset => {
  const made = compileAndLoad(source, { domains: DOMAINS })
  if (!made.ok) throw new Error(made.diagnostics.map(d => `${d.line}:${d.column} ${d.code} ${d.message}`).join('\n'))
  return made.ruleset
}

/** One ruleset in one pico: sends events, asks for globals. Each event is a step with fresh closures. */
export class Bench {
  readonly ruleset: CompiledRuleset
  readonly host: MemoryHost
  private readonly states = new Map<string, State>()
  private attrs: KrlMap = {}

  constructor(source: string, members: Record<string, Member> = {}, budget: Partial<Budget> = {}) {
    this.ruleset = compiled(source)
    this.host = new MemoryHost(this.ruleset.meta.rid, members, budget)
  }

  instance(config?: Record<string, Value>): Instance {
    return this.ruleset.instantiate(this.host, config)
  }

  /** Names of the rules that ran, with `!` when their action did not fire. */
  send(name: string, attrs: KrlMap = {}): string[] {
    const [domain = '', type = ''] = name.split(':')
    this.attrs = attrs
    Object.assign(this.host.members, { 'event:attrs': attrs, 'event:domain': domain, 'event:name': type })
    this.host.members['event:attr'] = ({ positional }: Args) => this.attrs[positional[0] as string] ?? null
    const instance = this.instance()
    const ran: string[] = []
    for (const rule of this.ruleset.rules) {
      if (!rule.salient.includes(name) && !rule.salient.includes('*')) continue
      const within = rule.select.within === undefined ? undefined : instance.withins[rule.select.within]?.()
      const guard = (index: number, bindings: Readonly<Record<string, Value>>) =>
        instance.guards[index]?.(bindings) === true
      const seen = { domain, type, attrs, time: this.host.time }
      const result = advance(rule.select.event, this.states.get(rule.name), seen, guard, within)
      this.states.set(rule.name, result.state)
      if (!result.selected) continue
      const run = instance.rules[rule.name]?.(result.bindings)
      ran.push(run?.fired === true ? rule.name : `!${rule.name}`)
      if (run?.last === true) break
    }
    return ran
  }

  /** A global: its value, or for a function the value of the call. */
  ask(name: string, ...positional: Value[]): Value | undefined {
    const value = this.instance().member(name)
    const args = { positional, named: {} }
    return value !== undefined && (isFunction(value) || isAction(value)) ? value(args) : value
  }
}

/** The value of one expression, with declarations before it. */
export const evaluate = (expression: string, globals = '', members: Record<string, Member> = {}): Value | undefined =>
  new Bench(`ruleset t { global { ${globals} result = function() { ${expression} } } }`, members).ask('result')
