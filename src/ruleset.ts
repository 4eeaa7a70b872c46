// pure
// What a ruleset is to the engine: the Host that compiled KRL runs against in one step, how an event selects rules and how
// they run, and how a step ends after them. Rulesets see the pico only through this file and modules.ts.

import { isCollection } from '../krl/convert.ts'
import { advance } from '../krl/runtime.ts'
import { deletePath, getPath, putPath } from '../krl/stdlib.ts'
import { parseTime } from '../krl/time.ts'
import {
  type Args,
  type Budget,
  type CompiledRule,
  type CompiledRuleset,
  type Host,
  type Instance,
  type KrlFunction,
  type KrlMap,
  type Place,
  RulesetFault,
  type Value,
} from '../krl/types.ts'
import { isAction, isFunction, toText } from '../krl/values.ts'
import { cut } from './brief.ts'
import type { PicoEvent } from './event.ts'
import { jcsHash } from './hash.ts'
import { callModule, jobOf, modules } from './modules.ts'
import {
  code,
  GROUP,
  type InstalledRuleset,
  type Job,
  LIMIT,
  ordinal,
  Run,
  readRuleset,
  rulesets,
  salientRules,
} from './pico.ts'
import { type Done, type Json, type JsonObject, Need, type Outcome, type Step, type Stimulus } from './ports.ts'
import { nextAlarm, nextRun, putJob } from './schedule.ts'
import { pay, toJson } from './value.ts'
import { clearVariable, readEntry, readVariable, writeEntry, writeVariable } from './variables.ts'

const isPlainMap = (value: unknown): value is JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

/** The world of one ruleset in one pico in one step. */
export class RulesetHost implements Host {
  readonly rid: string
  readonly budget: Budget
  readonly run: Run
  readonly installed: InstalledRuleset
  readonly compiled: CompiledRuleset
  /** The event being handled; null in a query. */
  readonly event: PicoEvent | null
  /** The query's channel, when there is one. */
  readonly queryEci: string | null
  ruleName: string | null = null
  /** What the running rule ended: its ruleset's part of the event (`last`), or the whole event (`error error`). */
  stopped: 'ruleset' | 'event' | undefined
  private instance_: Instance | undefined
  private readonly used = new Map<string, Instance>()
  private readonly config: Readonly<Record<string, Value>>
  /** Of a module: the ruleset that uses it, at the end the one whose rule runs. */
  private readonly user: RulesetHost | undefined

  constructor(
    run: Run,
    installed: InstalledRuleset,
    compiled: CompiledRuleset,
    event: PicoEvent | null,
    queryEci: string | null,
    config: Readonly<Record<string, Value>> = {},
    user?: RulesetHost,
  ) {
    this.run = run
    this.rid = compiled.meta.rid
    this.budget = run.budget
    this.installed = installed
    this.compiled = compiled
    this.event = event
    this.queryEci = queryEci
    this.config = config
    this.user = user
  }

  get instance(): Instance {
    this.instance_ ??= this.compiled.instantiate(this, this.config)
    return this.instance_
  }

  // -- persistent variables ---------------------------------------------------------------------------------

  ent(name: string): Value | undefined {
    return readVariable(this.run.records, this.rid, name, this.visit) as Value | undefined
  }

  entPath(name: string, path: readonly Value[]): Value | undefined {
    if (path.length === 0) return undefined
    const found = readEntry(this.run.records, this.rid, name, toText(path[0] as Value))
    if ('whole' in found) return isCollection(found.whole as Value) ? getPath(found.whole as Value, path) : undefined
    if (found.entry === undefined) return undefined
    return path.length === 1 ? (found.entry as Value) : getPath(found.entry as Value, path.slice(1))
  }

  setEnt(name: string, value: Value): void {
    this.mayWrite()
    writeVariable(this.run.records, this.rid, name, this.json(value), this.visit)
  }

  setEntPath(name: string, path: readonly Value[], value: Value): void {
    this.mayWrite()
    const key = toText(path[0])
    const found = path.length === 0 ? { whole: this.ent(name) } : readEntry(this.run.records, this.rid, name, key)
    if ('whole' in found) {
      this.setEnt(name, putPath((found.whole ?? {}) as Value, path, value))
      return
    }
    // Through a map of that one entry, so that what is missing on the way is made as in any map.
    const map: Value = found.entry === undefined ? {} : { [key]: found.entry as Value }
    writeEntry(this.run.records, this.rid, name, key, this.json((putPath(map, path, value) as KrlMap)[key]))
  }

  clearEnt(name: string, path?: readonly Value[]): void {
    this.mayWrite()
    if (path === undefined) {
      clearVariable(this.run.records, this.rid, name, this.visit)
      return
    }
    if (path.length === 0) return
    const key = toText(path[0])
    const found = readEntry(this.run.records, this.rid, name, key)
    if ('whole' in found) {
      if (found.whole !== undefined) this.setEnt(name, deletePath(found.whole as Value, path))
      return
    }
    if (found.entry === undefined) return
    writeEntry(
      this.run.records,
      this.rid,
      name,
      key,
      path.length === 1 ? undefined : this.json(deletePath(found.entry as Value, path.slice(1))),
    )
  }

  /** A value as it leaves the ruleset, paid for. */
  json(value: Value | undefined): Json {
    return toJson(this.budget, value)
  }

  private readonly visit = (entries: number): void => pay(this.budget, entries, 0)

  mayWrite(): void {
    if (this.run.readOnly) throw new RulesetFault('ruleset.action', 'a query changes nothing')
  }

  // -- modules ---------------------------------------------------------------------------------------------

  member(domain: string, name: string, place: Place): Value {
    const builtin = modules[domain]
    if (builtin) return callModule(this, domain, name, 'member', undefined, place)
    return this.used_(domain, name, place)
  }

  call(domain: string, name: string, args: Args, place: Place): Value {
    if (modules[domain]) return callModule(this, domain, name, 'function', args, place)
    return this.apply(domain, name, args, place, isFunction, 'a function')
  }

  act(domain: string, name: string, args: Args, place: Place): Value {
    this.mayWrite()
    if (modules[domain]) return callModule(this, domain, name, 'action', args, place)
    return this.apply(domain, name, args, place, isAction, 'an action')
  }

  /** A function stands in expressions, an action where actions stand. */
  private apply(
    alias: string,
    name: string,
    args: Args,
    place: Place,
    fits: (value: Value) => boolean,
    what: string,
  ): Value {
    const value = this.used_(alias, name, place)
    if (!fits(value)) throw new RulesetFault('ruleset.action', `${alias}:${name} is not ${what}`, place)
    return (value as KrlFunction)(args)
  }

  private used_(alias: string, name: string, place: Place): Value {
    const value = this.module(alias, place).member(name)
    if (value === undefined) throw new RulesetFault('ruleset.failed', `module ${alias} has no "${name}"`, place)
    return value
  }

  /** The instance of a used module; its variables are those of the module's own rid in this pico. */
  private module(alias: string, place: Place): Instance {
    const known = this.used.get(alias)
    if (known) return known
    const use = this.compiled.meta.uses.find(u => u.alias === alias)
    if (!use) throw new RulesetFault('ruleset.failed', `there is no module "${alias}"`, place)
    const here = readRuleset(this.run.records, use.rid)
    const source = this.installed.modules[use.rid]
    const hash = here?.hash ?? source?.hash
    if (hash === undefined)
      throw new RulesetFault(
        'ruleset.failed',
        `module ${use.rid} is not installed in this pico, not known to this engine, and not beside ${this.installed.url}`,
        place,
      )
    const compiled = code(this.run, hash)
    const installed: InstalledRuleset = here ?? {
      rid: use.rid,
      url: source?.url ?? '',
      hash,
      config: {},
      modules: this.installed.modules,
      flushedAt: 0,
      n: 0,
    }
    const values = this.instance.withs[alias]?.() ?? {}
    const host = new RulesetHost(this.run, installed, compiled, this.event, this.queryEci, values, this)
    const instance = host.instance
    const provided: Instance = {
      ...instance,
      member: wanted =>
        compiled.meta.provides.includes(wanted) || compiled.meta.configures.includes(wanted)
          ? instance.member(wanted)
          : undefined,
    }
    this.used.set(alias, provided)
    return provided
  }

  // -- statements -------------------------------------------------------------------------------------------

  directive(name: string, options: KrlMap): void {
    this.mayWrite()
    const { rid, ruleName } = this.runner
    this.run.directives.push({
      type: 'directive',
      name,
      options: this.json(options),
      meta: { rid, rule_name: ruleName ?? '', txnId: this.run.txnId },
    })
  }

  private get runner(): RulesetHost {
    return this.user?.runner ?? this
  }

  raise(domain: string, type: string, attrs: Value, forRid: string | undefined): void {
    this.mayWrite()
    if (this.run.raised >= LIMIT.raised)
      throw new RulesetFault('ruleset.budget', `more than ${LIMIT.raised} events raised in one step`)
    const map = this.json(attrs) ?? {}
    if (!isPlainMap(map))
      throw new RulesetFault('ruleset.failed', `raise expected a map of attributes but ${toText(attrs)} is none`)
    this.run.raise({
      eid: this.run.txnId,
      eci: this.event?.eci ?? null,
      domain,
      type,
      attrs: map,
      ...(forRid === undefined ? {} : { forRid }),
    })
  }

  schedule(job: { domain: string; type: string; attrs: Value; at?: Value; repeat?: Value }): Value {
    this.mayWrite()
    const at = job.repeat === undefined ? readTime(job.at, this.run.now) : nextRun(toText(job.repeat), this.run.now)
    if (at === undefined) {
      const what =
        job.repeat === undefined ? `a time but "${toText(job.at ?? null)}"` : `a cron text but "${toText(job.repeat)}"`
      throw new RulesetFault('ruleset.failed', `schedule expected ${what} is none`)
    }
    const scheduled = this.run.records.list(GROUP.job).length
    this.visit(scheduled)
    if (scheduled >= LIMIT.jobs)
      throw new RulesetFault('ruleset.budget', `more than ${LIMIT.jobs} events scheduled in this pico`)
    const id = this.run.uuid()
    const attrs = this.json(job.attrs)
    const scheduledJob: Job = {
      id,
      rid: this.rid,
      domain: job.domain,
      type: job.type,
      attrs: isPlainMap(attrs) ? attrs : {},
      at,
      cron: job.repeat === undefined ? null : toText(job.repeat),
      n: ordinal(this.run.records),
    }
    putJob(this.run, scheduledJob)
    return jobOf(scheduledJob)
  }

  log(level: 'error' | 'warn' | 'info' | 'debug' | 'klog', value: Value, label?: Value): void {
    if (level === 'debug' && this.compiled.meta.logging !== true) return
    const text = typeof value === 'string' ? value : JSON.stringify(this.json(value))
    const message = label === undefined || label === null ? text : `${toText(label)} ${text}`
    this.run.note(level, `ruleset.${level}`, message, this.where())
  }

  error(level: 'error' | 'warn' | 'info' | 'debug', value: Value, rule: string): void {
    this.mayWrite()
    const data = this.json(value)
    this.run.note(
      level === 'debug' ? 'debug' : level,
      'ruleset.error',
      typeof data === 'string' ? data : JSON.stringify(data),
      this.where(),
    )
    if (level === 'error') {
      this.stopped = 'event'
      this.run.events = []
    }
    this.raise('system', 'error', { level, data, rid: this.rid, rule_name: rule, genus: 'user' } as KrlMap, this.rid)
  }

  private where(): JsonObject {
    return { rid: this.rid, ...(this.ruleName === null ? {} : { rule: this.ruleName }) }
  }

  now(): number {
    return this.run.now
  }

  random(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += 32)
      bytes.set(this.run.draw('random').subarray(0, Math.min(32, length - at)), at)
    return bytes
  }
}

function readTime(value: Value | undefined, now: number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  return typeof value === 'string' ? (parseTime(value, now) ?? undefined) : undefined
}

/** Handles every waiting event, those that rules raise included, until quiet: rulesets in order of installation, rules in the order of the text. */
function settle(run: Run): void {
  for (let event = run.events.shift(); event !== undefined; event = run.events.shift()) {
    const targets =
      event.forRid === undefined
        ? rulesets(run.records)
        : [readRuleset(run.records, event.forRid)].filter(r => r !== undefined)
    for (const installed of targets) if (handle(run, installed, event) === 'ended') break
  }
}

/** Runs what the event selects in one ruleset; `ended` when no further ruleset is to see it. */
function handle(run: Run, installed: InstalledRuleset, event: PicoEvent): 'ended' | undefined {
  const compiled = code(run, installed.hash)
  let host: RulesetHost | undefined
  for (const rule of salientRules(compiled, event.domain, event.type)) {
    host ??= new RulesetHost(run, installed, compiled, event, null)
    host.ruleName = rule.name
    if (!runSelected(host, rule, event)) continue
    if (host.stopped !== undefined) return host.stopped === 'event' ? 'ended' : undefined
  }
  return undefined
}

/** Advances the rule's event expression; the bindings when it is selected. Progress is kept under the hash of its select. */
function select(host: RulesetHost, rule: CompiledRule, event: PicoEvent): Readonly<Record<string, Value>> | undefined {
  const { run } = host
  const group = GROUP.progress(host.rid)
  const single = rule.select.event.op === 'event'
  const kept = single ? undefined : (run.records.get(group, rule.name) as { h: string; s: Json } | undefined)
  const state = kept?.h === rule.selectHash ? kept.s : undefined
  const within = rule.select.within === undefined ? undefined : host.instance.withins[rule.select.within]?.()
  const result = advance(
    rule.select.event,
    state as Parameters<typeof advance>[1],
    { domain: event.domain, type: event.type, attrs: event.attrs as Record<string, Value>, time: run.now },
    (index, bindings) => host.instance.guards[index]?.(bindings) ?? false,
    within,
  )
  if (result.changed && !single)
    run.records.put(
      group,
      rule.name,
      result.state === undefined ? undefined : { h: rule.selectHash, s: result.state as unknown as Json },
    )
  return result.selected ? result.bindings : undefined
}

/** Runs the rule if the event selects it. */
function runSelected(host: RulesetHost, rule: CompiledRule, event: PicoEvent): boolean {
  try {
    const bindings = select(host, rule, event)
    if (bindings === undefined) return false
    host.run.selected(host.rid, rule.name, host.event)
    const body = host.instance.rules[rule.name]
    if (body === undefined) throw new Error(`compiled ruleset ${host.rid} lacks rule ${rule.name}`)
    if (body(bindings).last === true) host.stopped ??= 'ruleset'
    return true
  } catch (error) {
    if (error instanceof RulesetFault) throw new LocatedFault(error, host.rid, rule.name)
    throw error
  }
}

/** A ruleset's fault with the rule it came from. */
export class LocatedFault extends Error {
  readonly fault: RulesetFault
  readonly rid: string
  readonly rule: string | undefined
  constructor(fault: RulesetFault, rid: string, rule?: string) {
    super(fault.message)
    this.fault = fault
    this.rid = rid
    this.rule = rule
  }

  toJson(): JsonObject {
    const { fault } = this
    return {
      code: fault.code,
      // The message may hold a value of the rule's, and goes into logs, answers and `system:error`.
      message: cut(fault.message, LIMIT.message),
      rid: this.rid,
      ...(this.rule === undefined ? {} : { rule: this.rule }),
      ...(fault.place === undefined ? {} : { line: fault.place.line, column: fault.place.column }),
    }
  }
}

// ---- a step, from its beginning to its end -------------------------------------------------------------------

/** What a stimulus does before any rule runs: it ends there, is refused, or its rules run (with `replies` of a message). */
type Begun =
  | Done
  | { readonly rejected: { readonly reason: string; readonly from?: string } }
  | { readonly replies?: readonly string[] }

export type Beginnings = {
  readonly [K in Stimulus['kind']]: (run: Run, stimulus: Extract<Stimulus, { kind: K }>) => Begun
}

/** The step over a table of beginnings. */
export const stepOf =
  (beginnings: Beginnings): Step =>
  (view, stimulus, given) => {
    const run = new Run(view, given, 'eid' in stimulus ? { eid: stimulus.eid } : {})
    try {
      const begun = (beginnings[stimulus.kind] as (run: Run, stimulus: Stimulus) => Begun)(run, stimulus)
      if ('changes' in begun) return begun
      return 'rejected' in begun ? refuse(run, begun.rejected) : withRules(run, {}, begun)
    } catch (error) {
      if (error instanceof Need) return { need: error.effects, answers: run.answers } satisfies Outcome
      throw error
    }
  }

/** Runs rules until quiet, then ends; a fault drops the rules' part and becomes `system:error` in the next step. */
export function withRules(
  run: Run,
  answer: JsonObject,
  more: Partial<Done> = {},
  inError = false,
  after?: (run: Run, answer: JsonObject) => JsonObject,
): Done {
  const waiting = run.events
  const handling = waiting[0]
  const point = run.savepoint()
  try {
    settle(run)
    const full = { ...answer, ...(after ? after(run, { directives: run.directives as unknown as Json }) : {}) }
    point.keep()
    return finish(run, full, more)
  } catch (error) {
    const fault =
      error instanceof LocatedFault
        ? error.toJson()
        : error instanceof RulesetFault
          ? { code: error.code, message: error.message }
          : undefined
    if (fault === undefined) throw error
    point.drop()
    run.note('error', String(fault.code), String(fault.message), fault)
    const quiet = inError || (handling?.domain === 'system' && handling.type === 'error')
    const next = quiet
      ? {}
      : {
          next: {
            kind: 'notice' as const,
            domain: 'system',
            name: 'error',
            attrs: { ...fault, level: 'error', genus: 'system' },
          },
        }
    return finish(run, after ? after(run, { error: fault }) : { error: fault }, { ...more, ...next })
  }
}

/** The end of a step: what it wrote, binds and sends; the hash of its rulesets follows when they changed. */
export function finish(run: Run, answer: Json, more: Partial<Done> = {}): Done {
  const alarm = run.timersChanged ? { alarm: nextAlarm(run.records) } : {}
  let changes = run.records.changes()
  if (changes.some(change => change.group === GROUP.ruleset)) {
    run.records.put(GROUP.pico, 'rulesetsHash', jcsHash(rulesets(run.records).map(r => [r.rid, r.hash])))
    changes = run.records.changes()
  }
  return {
    changes,
    binds: run.records.binds,
    outbox: run.letters,
    ...alarm,
    answer,
    log: run.log,
    ...(run.destroy ? { destroy: true } : {}),
    ...more,
  }
}

/** The end of a step that leaves everything as it was. */
export const nothing = (run: Run, answer: Json, more: Partial<Done> = {}): Done => ({
  changes: [],
  binds: [],
  outbox: [],
  answer,
  log: run.log,
  ...more,
})

function refuse(run: Run, rejected: { reason: string; from?: string }): Done {
  return nothing(run, { error: { code: rejected.reason, message: 'refused' } }, { rejected })
}
