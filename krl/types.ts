// What the compiler, the standard library and the engine agree on. Pure types and brands, no behaviour.
// Emitted JavaScript is synchronous; everything that reaches outside a ruleset goes through `Host`, which the
// engine implements for one step (src/ruleset.ts). A host call may throw to end the run (need-and-rerun): emitted
// code and library code never catch.

/** A KRL value. Maps are objects read with own-property checks only; maps made here have no prototype. */
export type Value = null | boolean | number | string | KrlRegExp | KrlFunction | Value[] | KrlMap
export interface KrlMap {
  [key: string]: Value
}

/** Arguments of a call: positional, then named (`f(1, b = 2)`). */
export interface Args {
  readonly positional: readonly Value[]
  readonly named: Readonly<Record<string, Value>>
  /** Of an action whose value `setting` binds. */
  readonly setting?: true
}

/** A KRL function or action value. `params` are the names for named arguments. Actions may only be called as actions. */
export interface KrlFunction {
  (args: Args): Value
  readonly krl: { readonly kind: 'function' | 'action'; readonly name: string; readonly params: readonly string[] }
}

/** A regular expression literal: KRL source and flags `gim`; `pattern` is the compiled form. */
export interface KrlRegExp {
  readonly krl: { readonly kind: 'regexp' }
  readonly source: string
  readonly flags: string
  readonly pattern: RegExp
}

/** Where something stands in a ruleset's text; both from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** One compile error or warning; `hint` is one sentence on what to do. */
export interface Diagnostic extends Place {
  readonly severity: 'error' | 'warning'
  /** `krl.syntax`, `krl.undefined`, `krl.unsupported`, … */
  readonly code: string
  readonly message: string
  readonly hint?: string
}

/** A fault while a ruleset runs: a plain value thrown as `RulesetFault`. Codes: `ruleset.failed`, `ruleset.budget`, `ruleset.depth`, `ruleset.size`, `ruleset.action`. */
export class RulesetFault extends Error {
  readonly code: string
  readonly place: Place | undefined
  constructor(code: string, message: string, place?: Place) {
    super(message)
    this.code = code
    this.place = place
  }
}

/** What runs out: emitted code decrements `steps` at every function entry, loop turn and library iteration; `size` counts characters and elements built. */
export interface Budget {
  steps: number
  depth: number
  size: number
}

/** The world of one ruleset in one pico during one step. Values passed in and out are KRL values. */
export interface Host {
  readonly rid: string
  readonly budget: Budget

  /** `ent:name`, whole; undefined when never set. */
  ent(name: string): Value | undefined
  /** One key of a map variable without reading the others; falls back to a path read for arrays. */
  entPath(name: string, path: readonly Value[]): Value | undefined
  setEnt(name: string, value: Value): void
  setEntPath(name: string, path: readonly Value[], value: Value): void
  clearEnt(name: string, path?: readonly Value[]): void

  /** `domain:name` read as a value: a property (`ctx:rid`), a module's value, or a function value. */
  member(domain: string, name: string, place: Place): Value
  /** `domain:name(...)` in an expression. */
  call(domain: string, name: string, args: Args, place: Place): Value
  /** `domain:name(...)` as an action; the value is what `setting` binds. */
  act(domain: string, name: string, args: Args, place: Place): Value

  /** `send_directive`. */
  directive(name: string, options: KrlMap): void
  /** `raise`: after the rule, in order. */
  raise(domain: string, type: string, attrs: Value, forRid: string | undefined): void
  /** `schedule … at` (a time text) or `repeat` (a cron text); returns the job's id. */
  schedule(job: { domain: string; type: string; attrs: Value; at?: Value; repeat?: Value; setting?: string }): Value
  /** `log`, `klog`; `label` is klog's. */
  log(level: 'error' | 'warn' | 'info' | 'debug' | 'klog', value: Value, label?: Value): void
  /** The `error` statement: logs and raises; `error error` also drops what is scheduled in this event. */
  error(level: 'error' | 'warn' | 'info' | 'debug', value: Value, rule: string): void

  /** Milliseconds since 1970, fixed for the step. */
  now(): number
  /** `length` deterministic random bytes for this step (DESIGN 4, Randomness). */
  random(length: number): Uint8Array
}

// ---- what compile() gives -------------------------------------------------------------------------------

export interface RulesetMeta {
  readonly rid: string
  readonly name?: string
  readonly version?: string
  readonly description?: string
  readonly author?: string
  readonly logging?: boolean
  readonly shares: readonly string[]
  readonly provides: readonly string[]
  readonly uses: readonly { readonly rid: string; readonly alias: string; readonly place: Place }[]
  /** Names that `configure using` declares. */
  readonly configures: readonly string[]
}

export interface RegexSpec {
  readonly source: string
  readonly flags: string
}

/** An event expression as data; the engine keeps its progress between steps (krl/runtime.ts). */
export type EventEx =
  | {
      readonly op: 'event'
      readonly domain: string
      readonly type: string
      readonly attrs: readonly { readonly name: string; readonly re: RegexSpec }[]
      readonly setting: readonly string[]
      /** Index into `Instance.guards`. */
      readonly where?: number
    }
  | { readonly op: 'or' | 'and' | 'before' | 'then' | 'after'; readonly args: readonly EventEx[] }
  /** `a between(b, c)`: args = [a, b, c]. */
  | { readonly op: 'between' | 'not between'; readonly args: readonly [EventEx, EventEx, EventEx] }
  | { readonly op: 'any'; readonly n: number; readonly args: readonly EventEx[] }
  | {
      readonly op: 'count' | 'repeat'
      readonly n: number
      readonly arg: EventEx
      readonly aggregate?: { readonly op: 'max' | 'min' | 'sum' | 'avg' | 'push'; readonly setting: readonly string[] }
    }

export interface CompiledRule extends Place {
  readonly name: string
  readonly active: boolean
  /** `select when …`; `within` is an index into `Instance.withins`. `select where` is `{op:'event', domain:'*', type:'*', where}`. */
  readonly select: { readonly event: EventEx; readonly within?: number }
  /** Hash of the `select` text's canonical form: the key under which progress is kept. */
  readonly selectHash: string
  /** `domain:type` pairs that can move this rule; `*` for any. */
  readonly salient: readonly string[]
}

export interface CompiledRuleset {
  readonly meta: RulesetMeta
  readonly rules: readonly CompiledRule[]
  /** Makes the ruleset's closures for one step. Cheap: globals are evaluated when first asked for. `config` are the values of `configure using` (with the importer's `with` applied). */
  instantiate(host: Host, config?: Readonly<Record<string, Value>>): Instance
}

export interface RuleRun {
  /** Did the action fire (for logs). */
  readonly fired: boolean
  /** `last` or `error error` ran: no later rule of this ruleset sees this event. */
  readonly last?: true
}

export interface Instance {
  /** Runs the rule's body once per selection: foreach, pre, action, postlude. Throws RulesetFault with place. */
  readonly rules: Readonly<Record<string, (bindings: Readonly<Record<string, Value>>) => RuleRun>>
  /** `where` expressions of selects: bindings are the attributes captured so far. */
  readonly guards: readonly ((bindings: Readonly<Record<string, Value>>) => boolean)[]
  /** `within` in milliseconds. */
  readonly withins: readonly (() => number)[]
  /** `with` values of `use module`, by alias. */
  readonly withs: Readonly<Record<string, () => Record<string, Value>>>
  /** A global: a value or a function; undefined when there is none of that name. */
  member(name: string): Value | undefined
}
