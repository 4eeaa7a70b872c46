// pure
// The step: one stimulus to one pico, in; changes, letters, an alarm and an answer, out. The protocol's part and the
// rules' part are layered, so that a rule fault drops what rules did and keeps what the protocol did (DESIGN 4).

import { type KrlFunction, RulesetFault, type Value } from '../krl/types.ts'
import { isFunction } from '../krl/values.ts'
import { commands } from './commands.ts'
import * as connections from './connection.ts'
import { beBorn, noteFamilyEvent } from './family.ts'
import { jcsHash } from './hash.ts'
import { EffectFault, parseContent } from './modules.ts'
import { type Channel, code, GROUP, type Job, LIMIT, Run, readChannel, readRuleset, readSelf } from './pico.ts'
import { allows } from './policy.ts'
import {
  type Answer,
  type Done,
  type Json,
  type JsonObject,
  Need,
  type RunQuery,
  type Step,
  type Stimulus,
  type View,
  type Work,
} from './ports.ts'
import { type Beginnings, finish, LocatedFault, nothing, RulesetHost, stepOf, withRules } from './ruleset.ts'
import { clearTimer, dueTimers, nextRun, putJob, recountAlarm, removeJob } from './schedule.ts'

const KEPT_ANSWER_BYTES = 16 * 1024
const ANSWER_KEPT_MS = 24 * 3600 * 1000
const TIMERS_PER_STEP = 100

const BEGINNINGS: Beginnings = {
  create(run, { birth }) {
    if (readSelf(run.records) !== undefined) return finish(run, { picoId: birth.picoId })
    beBorn(run, birth)
    return withRules(run, { picoId: birth.picoId, did: readSelf(run.records)?.did ?? null })
  },
  event: channelEvent,
  command: ownerCommand,
  message: connections.receive,
  timer(run) {
    for (const timer of dueTimers(run.records, run.now).slice(0, TIMERS_PER_STEP)) {
      if (timer.kind === 'job') fireJob(run, timer.id)
      else {
        clearTimer(run, timer.at, timer.kind, timer.id)
        connections.timeout(run, timer.id)
      }
    }
    recountAlarm(run)
    return withRules(run, {})
  },
  letter(run, stimulus) {
    letterLeft(run, stimulus)
    return withRules(run, {})
  },
  notice(run, { domain, name, attrs }) {
    raise(run, null, domain, name, attrs)
    return withRules(run, {}, {}, domain === 'system' && name === 'error')
  },
}

/** Pure and synchronous; `need` when an effect's answer is missing. Anything thrown is an engine fault. */
export const step: Step = stepOf(BEGINNINGS)

/** What a message of a peer is known by when nothing yet speaks against it; undefined for any other stimulus. */
export const peersMail = (view: View, stimulus: Stimulus, now: number): string | undefined =>
  stimulus.kind === 'message' ? connections.peersMail(view, stimulus.opened, now) : undefined

function raise(run: Run, eci: string | null, domain: string, type: string, attrs: JsonObject): void {
  run.raise({ eid: run.txnId, eci, domain, type, attrs })
}

const refusal = (code: string, message: string, more: JsonObject = {}) => ({ error: { code, message, ...more } })

const queryDenied = ({ rid, name }: { rid: string; name: string }) =>
  refusal('policy.denied', `this channel does not take the query ${rid}/${name}`)

// ---- at most once ------------------------------------------------------------------------------------------

interface Seen {
  readonly t: number
  readonly b?: string
  /** src/seen.ts takes it away after a day. */
  readonly a?: Json
}

/** The answer to a repetition, or undefined when this (sender, id) is new. */
function repeated(run: Run, sender: string, id: string, bodyHash: string | undefined): JsonObject | undefined {
  const seen = run.records.get(GROUP.seen(sender), id) as unknown as Seen | undefined
  if (seen === undefined) return undefined
  if (seen.b !== undefined && bodyHash !== undefined && seen.b !== bodyHash)
    return refusal('event.conflict', 'this id was used for another request')
  const answer = seen.a as JsonObject | undefined
  if (answer !== undefined && run.now - seen.t <= ANSWER_KEPT_MS) return answer
  return { eid: run.txnId, directives: [], replayed: true }
}

function remember(
  run: Run,
  sender: string,
  id: string,
  bodyHash: string | undefined,
  answer: JsonObject | undefined,
): void {
  const small = answer !== undefined && JSON.stringify(answer).length <= KEPT_ANSWER_BYTES
  const seen: Seen = { t: run.now, ...(bodyHash === undefined ? {} : { b: bodyHash }), ...(small ? { a: answer } : {}) }
  run.records.put(GROUP.seen(sender), id, seen as unknown as Json)
}

// ---- events by channel ---------------------------------------------------------------------------------------

function channelOpen(run: Run, eci: string, outside: boolean): Channel | undefined {
  const channel = readChannel(run.records, eci)
  if (channel === undefined) return undefined
  if (!outside || channel.familyChannelPicoID === null) return channel
  // Family channels are closed to HTTP until the family spans engines.
  const self = readSelf(run.records)
  const child = run.records.get(GROUP.child, channel.familyChannelPicoID) as { movedTo?: string } | undefined
  const apart = channel.familyChannelPicoID === self?.parentId ? self.parentUrl !== null : child?.movedTo !== undefined
  return apart ? channel : undefined
}

function channelEvent(run: Run, stimulus: Extract<Stimulus, { kind: 'event' }>): Done {
  const { eci, domain, name, attrs, id, bodyHash, query } = stimulus
  const channel = channelOpen(run, eci, stimulus.outside)
  if (channel === undefined) return nothing(run, refusal('channel.unknown', 'there is no such channel'))
  if (!allows(channel.eventPolicy, 'event', domain, name))
    return nothing(run, refusal('policy.denied', `this channel does not take ${domain}:${name}`))
  if (query !== undefined && !allows(channel.queryPolicy, 'query', query.rid, query.name))
    return nothing(run, queryDenied(query))
  const sender = `eci/${eci}`
  if (id !== undefined) {
    const before = repeated(run, sender, id, bodyHash)
    if (before !== undefined) return again(run, channel, stimulus, before)
    remember(run, sender, id, bodyHash, undefined)
  }
  if (channel.familyChannelPicoID !== null) noteFamilyEvent(run, channel.familyChannelPicoID, domain, name, attrs)
  raise(run, eci, domain, name, attrs)
  const done = withRules(run, {}, {}, false, (ended, result) => {
    const answer = eventAnswer(ended, result)
    const full =
      query === undefined || 'error' in answer ? answer : { ...answer, ...valueAfter(ended, channel, query, attrs) }
    if (id !== undefined && stimulus.keep === true) remember(ended, sender, id, bodyHash, full)
    return full
  })
  return answeredWhole(run, done)
}

/** A query that nobody here answers refuses the event with it: 404 says that nothing was done. It is known after the
 *  rules alone, since they may install what answers it. */
function answeredWhole(run: Run, done: Done): Done {
  const { error, directives } = done.answer as JsonObject
  return error === undefined || directives === undefined ? done : nothing(run, { error })
}

/** An event that a rule failed at was taken like any other: its answer says what it is called. */
function eventAnswer(run: Run, result: JsonObject): JsonObject {
  if ('error' in result) return { ...result, eid: run.txnId }
  return { eid: run.txnId, directives: result.directives ?? [] }
}

/** A repetition. Where the answer is no longer kept, a query is answered anew: still the value after the event. */
function again(
  run: Run,
  channel: Channel,
  { query, attrs }: Extract<Stimulus, { kind: 'event' }>,
  before: JsonObject,
): Done {
  if (query === undefined || before.replayed !== true) return nothing(run, before)
  const done = withRules(run, before, {}, true, (ended, result) =>
    'error' in result ? result : valueAfter(ended, channel, query, attrs),
  )
  return answeredWhole(run, done)
}

/** `/event/…/query/…`: the query, which the channel takes, sees what the event did. */
function valueAfter(run: Run, channel: Channel, query: { rid: string; name: string }, args: JsonObject): JsonObject {
  return callShared(run, query.rid, query.name, args, channel.id) as JsonObject
}

// ---- commands of the owner -------------------------------------------------------------------------------------

function ownerCommand(run: Run, stimulus: Extract<Stimulus, { kind: 'command' }>): Done {
  const { id, name, args } = stimulus
  const command = commands[name]
  if (command === undefined) return nothing(run, refusal('usage.unknown_verb', `there is no command "${name}"`))
  const bodyHash = id === undefined ? undefined : jcsHash({ name, args })
  if (id !== undefined) {
    const before = repeated(run, 'owner', id, bodyHash)
    if (before !== undefined) return nothing(run, before)
  }
  let result: JsonObject
  try {
    result = command(run, args)
  } catch (error) {
    if (error instanceof RulesetFault)
      return nothing(run, refusal(error.code, error.message, error instanceof EffectFault ? error.details : {}))
    throw error
  }
  if ('error' in result) return nothing(run, result)
  return withRules(run, {}, {}, false, (ended, ran) => {
    const answer = name === 'event' ? eventAnswer(ended, ran) : result
    if (id !== undefined) remember(ended, 'owner', id, bodyHash, answer)
    return answer
  })
}

// ---- timers and letters ------------------------------------------------------------------------------------------

function fireJob(run: Run, id: string): void {
  const job = run.records.get(GROUP.job, id) as unknown as Job | undefined
  if (job === undefined) return
  removeJob(run, run.records, id)
  const next = job.cron === null ? undefined : nextRun(job.cron, run.now)
  if (next !== undefined) putJob(run, { ...job, at: next })
  raise(run, readSelf(run.records)?.eci ?? null, job.domain, job.type, job.attrs as JsonObject)
}

function letterLeft(run: Run, stimulus: Extract<Stimulus, { kind: 'letter' }>): void {
  const body = stimulus.letter?.body
  if (body?.kind === 'didcomm') connections.letterLeft(run, stimulus, body)
  if (body?.kind !== 'http') return
  const failed: JsonObject = { status_code: 0, status_line: stimulus.reason ?? 'failed', content: '', headers: {} }
  const answer =
    stimulus.outcome === 'delivered' && stimulus.answer !== null && typeof stimulus.answer === 'object'
      ? (stimulus.answer as JsonObject)
      : failed
  const response: JsonObject =
    body.parseJson === true ? { ...answer, content: parseContent(answer.content as never) as Json } : answer
  if (body.autoraise !== undefined)
    run.raise({
      eid: run.txnId,
      eci: null,
      domain: 'http',
      type: body.request.method.toLowerCase(),
      attrs: { ...response, label: body.autoraise },
    })
  if (body.autosend !== undefined) autosend(run, body.autosend, response)
}

function autosend(run: Run, target: JsonObject, response: JsonObject): void {
  const data = target.data as { attrs?: JsonObject } | undefined
  const attrs = { ...((target.attrs as JsonObject | undefined) ?? data?.attrs ?? {}), ...response }
  const name = target.name ?? target.type
  if (typeof target.eci !== 'string' || typeof target.domain !== 'string' || typeof name !== 'string') {
    run.note('error', 'http.autosend', 'autosend needs eci, domain and type')
    return
  }
  run.letter({ kind: 'event', eci: target.eci, domain: target.domain, name, attrs }, `eci:${target.eci}`)
}

// ---- queries ---------------------------------------------------------------------------------------------------

/** Reads one committed state; writes are refused where they are tried. */
export const runQuery: RunQuery = (view, query, given) => {
  const run = new Run(view, given, { readOnly: true, queryDepth: query.depth, budget: query.budget })
  const before = { ...run.budget }
  const ended = (answer: Answer) => ({
    // Only an asker pays; to others the cost of an answer is none of their business.
    answer: query.budget === undefined ? answer : { ...answer, spent: spentSince(before, run.budget) },
    log: run.log,
  })
  try {
    return ended(answerQuery(run, query))
  } catch (error) {
    if (error instanceof Need) return { need: error.effects, answers: run.answers }
    if (error instanceof LocatedFault) return ended({ error: error.toJson() as { code: string; message: string } })
    if (error instanceof RulesetFault) return ended({ error: { code: error.code, message: error.message } })
    throw error
  }
}

const spentSince = (before: Work, now: Work): Work => ({
  steps: before.steps - now.steps,
  size: before.size - now.size,
})

function answerQuery(
  run: Run,
  query: Parameters<RunQuery>[1],
): { value: Json } | { error: { code: string; message: string } } {
  if (query.depth > LIMIT.queryDepth)
    return { error: { code: 'ruleset.depth', message: `queries nest deeper than ${LIMIT.queryDepth}` } }
  if (query.eci !== undefined) {
    const channel = channelOpen(run, query.eci, query.outside)
    if (channel === undefined) return { error: { code: 'channel.unknown', message: 'there is no such channel' } }
    if (!allows(channel.queryPolicy, 'query', query.rid, query.name)) return queryDenied(query)
  }
  return callShared(run, query.rid, query.name, query.args, query.eci ?? null)
}

/** Calls what a ruleset `shares` (or provides, for `inside` callers) as a query. */
function callShared(
  run: Run,
  rid: string,
  name: string,
  args: JsonObject,
  eci: string | null,
): { value: Json } | { error: { code: string; message: string } } {
  const installed = readRuleset(run.records, rid)
  if (installed === undefined) return { error: { code: 'ruleset.unknown', message: `this pico has no ruleset ${rid}` } }
  const compiled = code(run, installed.hash)
  if (!compiled.meta.shares.includes(name) && name !== '__testing')
    return { error: { code: 'query.unknown', message: `${rid} shares no function "${name}"` } }
  const host = new RulesetHost(run, installed, compiled, null, eci)
  try {
    const member = host.instance.member(name)
    if (member === undefined) return { error: { code: 'query.unknown', message: `${rid} has no "${name}"` } }
    const value = isFunction(member)
      ? (member as KrlFunction)({ positional: [], named: args as Record<string, Value> })
      : member
    return { value: host.json(value as Value) }
  } catch (error) {
    if (error instanceof RulesetFault) throw new LocatedFault(error, rid)
    throw error
  }
}
