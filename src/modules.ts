// pure
// The domains every ruleset knows: ctx, meta, event, http, schedule, and those of DIDComm (didcomm, connection);
// math, time and random come from the KRL library. One table: domain → member → {kind, params, run}.

import type { Domains, MemberKind } from '../krl/index.ts'
import { makeLibrary } from '../krl/library.ts'
import { jsonDepth, MAX_JSON_DEPTH } from '../krl/operators-text.ts'
import { type Args, type KrlMap, type Place, RulesetFault, type Value } from '../krl/types.ts'
import { isMap, krlFunction, toText } from '../krl/values.ts'
import { DIGESTS, digest, hmacDigest } from '../wallet/crypto-node.ts'
import { closeChannel, openChannel } from './channel.ts'
import * as connections from './connection.ts'
import { deleteChild, newChild, rename } from './family.ts'
import {
  channels,
  children,
  code,
  GROUP,
  jobs,
  LIMIT,
  ordinal,
  readChannel,
  readRuleset,
  readSelf,
  rulesets,
} from './pico.ts'
import { cleanTags } from './policy.ts'
import type { Answer, HttpRequest, Json, JsonObject, Letter, LoadedRuleset } from './ports.ts'
import type { RulesetHost } from './ruleset.ts'
import { removeJob } from './schedule.ts'
import { pay } from './value.ts'

interface Member {
  readonly kind: MemberKind
  readonly params: readonly string[]
  /** `waits`: the value is wanted, as a function's or by `setting`. */
  run(host: RulesetHost, args: readonly Value[], waits: boolean): Value
}
type Table = Readonly<Record<string, Member>>

const property = (read: (host: RulesetHost) => Json | undefined): Member => ({
  kind: 'property',
  params: [],
  run: host => (read(host) ?? null) as Value,
})
const fn = (params: string, run: Member['run']): Member => ({
  kind: 'function',
  params: params === '' ? [] : params.split(' '),
  run,
})
const action = (params: string, run: Member['run']): Member => ({
  kind: 'action',
  params: params === '' ? [] : params.split(' '),
  run,
})

const fault = (message: string, code = 'ruleset.failed') => new RulesetFault(code, message)

function text(value: Value | undefined, what: string): string {
  if (typeof value !== 'string' || value === '') throw fault(`${what} must be a string but is ${toText(value ?? null)}`)
  return value
}

function object(host: RulesetHost, value: Value | undefined): JsonObject {
  const json = host.json(value)
  return json !== null && typeof json === 'object' && !Array.isArray(json) ? json : {}
}

const self = (host: RulesetHost) => {
  const found = readSelf(host.run.records)
  if (found === undefined) throw new Error('a step on a pico that was never born')
  return found
}

// ---- meta, event -----------------------------------------------------------------------------------------

const meta: Table = {
  eci: property(host => host.event?.eci ?? host.queryEci),
  host: property(host => host.run.given.engine.baseUrl),
  inEvent: property(host => host.event !== null),
  inQuery: property(host => host.event === null),
  picoId: property(host => self(host).picoId),
  rid: property(host => host.rid),
  ruleName: property(host => host.ruleName),
  rid_url: property(host => host.installed.url),
  rulesetURI: property(host => host.installed.url),
  txnId: property(host => host.run.txnId),
  rulesetConfig: property(host => host.installed.config),
}

const event: Table = {
  eci: property(host => host.event?.eci),
  domain: property(host => host.event?.domain),
  name: property(host => host.event?.type),
  type: property(host => host.event?.type),
  attrs: property(host => host.event?.attrs),
  eid: property(host => host.event?.eid),
  time: property(host => (host.event ? host.run.now : null)),
  attr: fn('name', (host, [name]) => {
    const attrs = host.event?.attrs
    const key = toText(name ?? null)
    return attrs && Object.hasOwn(attrs, key) ? (attrs[key] as Value) : null
  }),
  send: action('options host', (host, [options, to]) => {
    if (!isMap(options)) throw fault('event:send needs a map of options')
    sendEvent(host, options, to ?? null)
    return host.run.txnId
  }),
}

function sendEvent(host: RulesetHost, options: KrlMap, to: Value): void {
  const domain = text(options.domain, 'event:send domain')
  const name = text(options.name ?? options.type, 'event:send type')
  const attrs = object(host, options.attrs)
  const sub = isMap(options.sub) ? options.sub : undefined
  const target = text(options.eci ?? sub?.Tx ?? options.connection ?? options.did, 'event:send eci')
  const where = typeof to === 'string' && to !== '' ? to : typeof sub?.Tx_host === 'string' ? sub.Tx_host : undefined
  // `Tx` of a subscription is a connectionId, and a DID names its connection: both go by the pico protocol.
  const connectionId = connections.find(host.run.records, target)
  if (connectionId !== undefined) {
    connections.sendPicoEvent(host.run, connectionId, { domain, type: name, attrs })
    return
  }
  letterEvent(host, target, domain, name, attrs, where)
}

function letterEvent(
  host: RulesetHost,
  eci: string,
  domain: string,
  name: string,
  attrs: JsonObject,
  to: string | undefined,
): void {
  const remote = hostOf(host, eci, to)
  host.run.letter(
    { kind: 'event', eci, domain, name, attrs, ...(remote === undefined ? {} : { host: remote }) },
    `eci:${eci}`,
  )
}

/** The engine where an ECI lives: given, or that of a parent or child that moved away; undefined means here. */
function hostOf(host: RulesetHost, eci: string, to: string | undefined): string | undefined {
  const here = host.run.given.engine.baseUrl
  if (to !== undefined) return to.replace(/\/+$/, '') === here ? undefined : to
  const me = self(host)
  if (me.parentUrl !== null && eci === me.parentEci) return me.parentUrl === here ? undefined : me.parentUrl
  const childId = host.run.records.get(GROUP.childEci, eci)
  const child =
    typeof childId === 'string'
      ? (host.run.records.get(GROUP.child, childId) as { movedTo?: string } | undefined)
      : undefined
  return child?.movedTo
}

// ---- ctx -------------------------------------------------------------------------------------------------

function describeRuleset(host: RulesetHost, rid: string): JsonObject {
  const installed = readRuleset(host.run.records, rid)
  if (installed === undefined) return {}
  const { meta: m } = code(host.run, installed.hash)
  return {
    rid,
    url: installed.url,
    config: installed.config,
    meta: {
      krlMeta: {
        name: m.name ?? null,
        version: m.version ?? null,
        description: m.description ?? null,
        author: m.author ?? null,
      },
      hash: installed.hash,
      flushed: new Date(installed.flushedAt).toISOString(),
    },
  }
}

const channelOf = (channel: {
  id: string
  tags: readonly string[]
  eventPolicy: unknown
  queryPolicy: unknown
  familyChannelPicoID: string | null
}) =>
  ({
    id: channel.id,
    tags: channel.tags,
    eventPolicy: channel.eventPolicy,
    queryPolicy: channel.queryPolicy,
    familyChannelPicoID: channel.familyChannelPicoID,
  }) as unknown as JsonObject

/** Channels are the same when their cleaned tags are, in whatever order. */
const tagSet = (tags: Json): string | undefined => cleanTags(tags)?.sort().join(',')

const load = (host: RulesetHost, url: string, fresh: boolean): LoadedRuleset => loadRuleset(host.run, url, fresh, false)

/** An effect's error as a fault of the step that asked, with the place that the effect named. */
export class EffectFault extends RulesetFault {
  readonly details: JsonObject
  constructor({ code, message, place }: { code: string; message: string; place?: JsonObject }) {
    super(code, message)
    this.details = place ?? {}
  }
}

/** Fetches and compiles a ruleset. `owner`: asked for by the owner, who may name any address. */
export function loadRuleset(run: RulesetHost['run'], url: string, fresh: boolean, owner: boolean): LoadedRuleset {
  const installed = Object.fromEntries(rulesets(run.records).map(r => [r.rid, r.hash]))
  const answer = run.ask({ kind: 'ruleset', url, fresh, owner, installed })
  if ('error' in answer) throw new EffectFault(answer.error)
  return answer.value as unknown as LoadedRuleset
}

/** Puts a loaded ruleset into this pico, in its old place when it was there. */
export function install(run: RulesetHost['run'], loaded: LoadedRuleset, url: string, config: JsonObject): void {
  const before = readRuleset(run.records, loaded.rid)
  const n = before?.n ?? ordinal(run.records)
  run.records.put(GROUP.ruleset, loaded.rid, {
    rid: loaded.rid,
    url,
    hash: loaded.hash,
    config,
    modules: loaded.modules as unknown as Json,
    flushedAt: run.now,
    n,
  })
}

/** Rids of this pico's rulesets that use another. */
export const usersOf = (run: RulesetHost['run'], rid: string): string[] =>
  rulesets(run.records)
    .filter(r => r.rid !== rid && code(run, r.hash).meta.uses.some(use => use.rid === rid))
    .map(r => r.rid)

function uninstall(host: RulesetHost, rid: string): void {
  const users = usersOf(host.run, rid)
  if (users.length > 0) throw fault(`cannot uninstall ${rid}: ${users.join(' and ')} uses it`)
  host.run.records.put(GROUP.ruleset, rid, undefined)
}

const metaProperty = (name: 'version' | 'name' | 'description' | 'author') => property(host => host.compiled.meta[name])

const ctx: Table = {
  picoId: property(host => self(host).picoId),
  name: property(host => self(host).name),
  did: property(host => self(host).did),
  eci: property(host => self(host).eci),
  rid: property(host => host.rid),
  rid_url: property(host => host.installed.url),
  rid_config: property(host => host.installed.config),
  rid_version: metaProperty('version'),
  rid_name: metaProperty('name'),
  rid_description: metaProperty('description'),
  rid_author: metaProperty('author'),
  parent: property(host => self(host).parentEci),
  children: property(host => children(host.run.records).map(child => child.eci)),
  family: property(host =>
    children(host.run.records).map(({ eci, name, parentEci, picoId }) => ({
      eci,
      name,
      parent_eci: parentEci,
      id: picoId,
    })),
  ),
  channels: property(host => channels(host.run.records).map(channelOf)),
  rulesets: property(host => rulesets(host.run.records).map(r => describeRuleset(host, r.rid))),
  logs: fn('', () => []),
  query: fn('eci rid name args', (host, [eci, rid, name, args]) =>
    query(
      host,
      text(eci, 'ctx:query eci'),
      text(rid, 'ctx:query rid'),
      text(name, 'ctx:query name'),
      object(host, args),
    ),
  ),
  /** As query, but a refusal or fault is a value: {value} or {error}. */
  ask: fn(
    'eci rid name args',
    (host, [eci, rid, name, args]) =>
      ask(
        host,
        text(eci, 'ctx:ask eci'),
        text(rid, 'ctx:ask rid'),
        text(name, 'ctx:ask name'),
        object(host, args),
      ) as unknown as KrlMap,
  ),
  owns: fn('eci', (host, [eci]) => typeof eci === 'string' && readChannel(host.run.records, eci) !== undefined),
  rename: action('name', (host, [name]) => {
    rename(host.run, text(name, 'a name'))
    return null
  }),
  newPico: action('rulesets name', (host, [list, name]) => {
    const wanted = Array.isArray(list) ? list.filter(isMap) : []
    const loaded = wanted.map(r => ({
      url: text(r.url, 'a ruleset url'),
      config: object(host, r.config),
      loaded: load(host, text(r.url, 'a ruleset url'), false),
    }))
    return newChild(host.run, { name: typeof name === 'string' ? name : 'Pico', rulesets: loaded, attrs: {} }).eci
  }),
  newChild: action('name attrs', (host, [name, attrs]) => {
    const child = newChild(host.run, { name: text(name, 'a name'), rulesets: [], attrs: object(host, attrs) })
    return { eci: child.eci, id: child.picoId } as KrlMap
  }),
  delPico: action('eci', (host, [eci]) => {
    if (!deleteChild(host.run, text(eci, 'ctx:delPico eci')))
      throw fault('that channel leads to no child of this pico', 'pico.unknown')
    return null
  }),
  newChannel: action(
    'tags eventPolicy queryPolicy',
    (host, [tags, events, queries]) =>
      channelOf(openChannel(host.run, host.json(tags), host.json(events), host.json(queries))) as Value,
  ),
  putChannel: action('eci tags eventPolicy queryPolicy', (host, [eci, tags, events, queries]) => {
    const before = readChannel(host.run.records, text(eci, 'ctx:putChannel eci'))
    if (before === undefined) throw fault('this pico has no such channel', 'channel.unknown')
    return channelOf(openChannel(host.run, host.json(tags), host.json(events), host.json(queries), before)) as Value
  }),
  upsertChannel: action('tags eventPolicy queryPolicy', (host, [tags, events, queries]) => {
    const given = host.json(tags)
    const wanted = tagSet(given)
    const before =
      wanted === undefined ? undefined : channels(host.run.records).find(c => tagSet([...c.tags]) === wanted)
    return channelOf(openChannel(host.run, given, host.json(events), host.json(queries), before)) as Value
  }),
  delChannel: action('eci', (host, [eci]) => {
    closeChannel(host.run, text(eci, 'ctx:delChannel eci'))
    return null
  }),
  install: action('url config', (host, [url, config]) => {
    const loaded = load(host, text(url, 'ctx:install url'), false)
    install(host.run, loaded, loaded.url, object(host, config))
    return loaded.rid
  }),
  flush: action('url', (host, [url]) => {
    const loaded = load(host, text(url, 'ctx:flush url'), true)
    const before = readRuleset(host.run.records, loaded.rid)
    if (before !== undefined && before.url === loaded.url) install(host.run, loaded, loaded.url, before.config)
    return loaded.rid
  }),
  uninstall: action('rid', (host, [rid]) => {
    uninstall(host, text(rid, 'ctx:uninstall rid'))
    return null
  }),
  event: action('eci domain name attrs host', (host, [eci, domain, name, attrs, to]) => {
    sendEvent(host, { eci: eci ?? null, domain: domain ?? null, name: name ?? null, attrs: attrs ?? null }, to ?? null)
    return host.run.txnId
  }),
  raiseEvent: action('domain name attrs forRid', (host, [domain, name, attrs, rid]) => {
    host.raise(
      text(domain, 'a domain'),
      text(name, 'an event name'),
      attrs ?? null,
      typeof rid === 'string' ? rid : undefined,
    )
    return null
  }),
}

/** What asking costs beside the work of the answer. */
const ASKING = 50

/** A query by ECI: of this engine at once from the committed state, of another over HTTP as an awaited effect. The asker
 *  pays for the work, so that a chain of queries has one budget, however it branches (law L8). */
function ask(host: RulesetHost, eci: string, rid: string, name: string, args: JsonObject): Answer {
  const remote = hostOf(host, eci, undefined)
  const { run } = host
  if (run.queryDepth >= LIMIT.queryDepth) throw fault(`queries nest deeper than ${LIMIT.queryDepth}`, 'ruleset.depth')
  pay(run.budget, ASKING, 0)
  const { steps, size } = run.budget
  const { spent, ...answer } = run.ask({
    kind: 'query',
    eci,
    rid,
    name,
    args,
    depth: run.queryDepth + 1,
    budget: { steps, size },
    ...(remote === undefined ? {} : { host: remote }),
  })
  if (spent !== undefined) pay(run.budget, spent.steps, spent.size)
  return answer as Answer
}

function query(host: RulesetHost, eci: string, rid: string, name: string, args: JsonObject): Value {
  const answer = ask(host, eci, rid, name, args)
  if ('error' in answer) throw fault(answer.error.message, answer.error.code)
  return answer.value as Value
}

// ---- http ------------------------------------------------------------------------------------------------

const HTTP_PARAMS = 'url qs headers body auth json form parseJSON autoraise autosend dontFollowRedirect'

function encodeForm(value: JsonObject): string {
  const pair = (key: string, item: Json): string[] => {
    if (Array.isArray(item)) return item.flatMap(v => pair(`${key}[]`, v))
    if (item !== null && typeof item === 'object')
      return Object.keys(item).flatMap(k => pair(`${key}[${k}]`, item[k] as Json))
    return [`${encodeURIComponent(key)}=${encodeURIComponent(item === null ? '' : String(item))}`]
  }
  return Object.keys(value)
    .flatMap(key => pair(key, value[key] as Json))
    .join('&')
}

function httpRequest(host: RulesetHost, method: string, args: readonly Value[]): HttpRequest {
  const [url, qs, headers, body, auth, json, form, , , , dontFollow] = args
  const base = text(url, `http:${method.toLowerCase()} url`)
  const query = isMap(qs) ? encodeForm(object(host, qs)) : ''
  const sent: Record<string, string> = { 'user-agent': 'picomesh' }
  if (isMap(headers)) for (const key of Object.keys(headers)) sent[key.toLowerCase()] = toText(headers[key] ?? null)
  if (isMap(auth) && typeof auth.username === 'string')
    sent.authorization = `Basic ${connections.basicAuth(auth.username, typeof auth.password === 'string' ? auth.password : '')}`
  const content = httpBody(host, body, json, form)
  if (content !== undefined && content.type !== undefined) sent['content-type'] ??= content.type
  return {
    method,
    url: query === '' ? base : `${base}${base.includes('?') ? '&' : '?'}${query}`,
    headers: sent,
    ...(content === undefined ? {} : { body: content.body }),
    followRedirect: dontFollow !== true,
  }
}

function httpBody(
  host: RulesetHost,
  body: Value | undefined,
  json: Value | undefined,
  form: Value | undefined,
): { body: string; type?: string } | undefined {
  if (body !== undefined && body !== null && body !== '') return { body: host.json(toText(body)) as string }
  if (json !== undefined && json !== null) return { body: JSON.stringify(host.json(json)), type: 'application/json' }
  if (isMap(form)) return { body: encodeForm(object(host, form)), type: 'application/x-www-form-urlencoded' }
  return undefined
}

/** A function, or an action with `setting`, waits for the answer. Any other request is a letter: it leaves after the
 *  commit (law L3), and with autoraise or autosend its answer is an event in a new step. */
function httpMember(method: string, also: boolean): Member {
  return {
    kind: also ? 'both' : 'action',
    params: HTTP_PARAMS.split(' '),
    run(host, args, waits) {
      const request = httpRequest(host, method, args)
      const [, , , , , , , parseJson, autoraise, autosend] = args
      if (!waits || autoraise || isMap(autosend)) {
        postRequest(host, request, {
          ...(parseJson === true ? { parseJson } : {}),
          ...(autoraise ? { autoraise: toText(autoraise) } : {}),
          ...(isMap(autosend) ? { autosend: object(host, autosend) } : {}),
        })
        return null
      }
      const answer = host.run.ask({ kind: 'http', request })
      const response = (
        'error' in answer ? { status_code: 0, status_line: answer.error.code, content: '', headers: {} } : answer.value
      ) as KrlMap
      return parseJson === true ? { ...response, content: parseContent(response.content) } : response
    },
  }
}

type HttpBody = Extract<Letter['body'], { kind: 'http' }>

/** In a lane of its own: a slow server holds up no other request. */
function postRequest(host: RulesetHost, request: HttpRequest, then: Omit<HttpBody, 'kind' | 'request' | 'rid'>): void {
  const id = host.run.uuid()
  host.run.letter({ kind: 'http', request, rid: host.rid, ...then }, `http:${id}`, false, id)
}

/** What is no JSON, or nests deeper than rules may nest it, stays the text that it is. */
export function parseContent(content: Value | undefined): Value {
  if (typeof content !== 'string' || jsonDepth(content) > MAX_JSON_DEPTH) return content ?? null
  try {
    return JSON.parse(content) as Value
  } catch {
    return content
  }
}

const http: Table = {
  get: httpMember('GET', true),
  head: httpMember('HEAD', true),
  post: httpMember('POST', false),
  put: httpMember('PUT', false),
  patch: httpMember('PATCH', false),
  delete: httpMember('DELETE', false),
}

// ---- schedule --------------------------------------------------------------------------------------------

/** A scheduled event as rulesets see it. */
export function jobOf(job: {
  id: string
  at: number
  cron: string | null
  domain: string
  type: string
  attrs: Json
}): KrlMap {
  const when = job.cron === null ? { type: 'at', time: job.at } : { type: 'repeat', timespec: job.cron }
  return { id: job.id, ...when, event: { domain: job.domain, name: job.type, data: { attrs: job.attrs as Value } } }
}

const schedule: Table = {
  list: fn('', host =>
    jobs(host.run.records)
      .filter(job => job.rid === host.rid)
      .map(jobOf),
  ),
  get: fn(
    'id',
    (host, [id]) =>
      jobs(host.run.records)
        .filter(job => job.rid === host.rid && job.id === id)
        .map(jobOf)[0] ?? null,
  ),
  remove: action('id', (host, [id]) => {
    const mine = jobs(host.run.records).some(job => job.id === id && job.rid === host.rid)
    return mine && removeJob(host.run, host.run.records, toText(id ?? null))
  }),
  clear: action('', host => {
    for (const job of jobs(host.run.records)) if (job.rid === host.rid) removeJob(host.run, host.run.records, job.id)
    return null
  }),
}

// ---- DIDComm ---------------------------------------------------------------------------------------------

const didcomm: Table = {
  send: action(
    'connectionId type body thid',
    (host, [id, type, body, thid]) =>
      connections.sendMessage(
        host.run,
        text(id, 'a connectionId'),
        text(type, 'a message type'),
        object(host, body),
        typeof thid === 'string' ? thid : undefined,
      ) as unknown as Value,
  ),
  thread: fn(
    'thid',
    (host, [thid]) => (host.run.records.get(GROUP.thread, toText(thid ?? null).toLowerCase()) ?? null) as Value,
  ),
}

const connection: Table = {
  list: fn('', host => connections.list(host.run.records) as unknown as Value),
  get: fn(
    'connectionId',
    (host, [id]) => (connections.show(host.run.records, toText(id ?? null)) ?? null) as unknown as Value,
  ),
  invite: action(
    'label goalCode multi version events queries approve',
    (host, [label, goalCode, multi, version, events, queries, approve]) =>
      connections.invite(host.run, {
        ...(typeof label === 'string' ? { label } : {}),
        ...(typeof goalCode === 'string' ? { goal: goalCode } : {}),
        multi: multi === true,
        version: version === 'v2' ? 'v2' : 'v1',
        events: typeof events === 'string' ? events : '',
        queries: typeof queries === 'string' ? queries : '',
        approve: approve === true,
      }) as unknown as Value,
  ),
  receive: action(
    'url label',
    (host, [url, label]) =>
      connections.accept(host.run, {
        url: toText(url ?? null),
        ...(typeof label === 'string' ? { label } : {}),
      }) as unknown as Value,
  ),
  accept: action(
    'connectionId',
    (host, [id]) => connections.approve(host.run, text(id, 'a connectionId')) as unknown as Value,
  ),
  decline: action(
    'connectionId',
    (host, [id]) => connections.decline(host.run, text(id, 'a connectionId')) as unknown as Value,
  ),
  close: action(
    'connectionId',
    (host, [id]) => connections.close(host.run, text(id, 'a connectionId'), 'owner') as unknown as Value,
  ),
  ping: action(
    'connectionId',
    (host, [id]) => connections.ping(host.run, text(id, 'a connectionId')) as unknown as Value,
  ),
  message: action(
    'connectionId content',
    (host, [id, content]) =>
      connections.basicMessage(host.run, text(id, 'a connectionId'), toText(content ?? null)) as unknown as Value,
  ),
  query: action(
    'connectionId rid name args',
    (host, [id, rid, name, args]) =>
      connections.sendPicoQuery(host.run, text(id, 'a connectionId'), {
        rid: text(rid, 'a rid'),
        name: text(name, 'a function name'),
        args: object(host, args),
      }) as unknown as Value,
  ),
  event: action(
    'connectionId domain type attrs',
    (host, [id, domain, type, attrs]) =>
      connections.sendPicoEvent(host.run, text(id, 'a connectionId'), {
        domain: text(domain, 'a domain'),
        type: text(type, 'a type'),
        attrs: object(host, attrs),
      }) as unknown as Value,
  ),
  policy: action(
    'connectionId events queries',
    (host, [id, events, queries]) =>
      connections.setPolicy(
        host.run,
        text(id, 'a connectionId'),
        typeof events === 'string' ? events : undefined,
        typeof queries === 'string' ? queries : undefined,
      ) as unknown as Value,
  ),
}

// ---- the library's domains, and the way in -----------------------------------------------------------------

function libraryTable(name: string): Table {
  const library = makeLibrary({ hash: digest, hmac: hmacDigest, hashes: DIGESTS })[name]
  const table: Record<string, Member> = {}
  for (const [member, entry] of Object.entries(library?.functions ?? {}))
    table[member] = { kind: 'function', params: entry.params, run: (host, args) => entry.run(host, [...args]) }
  for (const [member, value] of Object.entries(library?.properties ?? {}))
    table[member] = {
      kind: 'property',
      params: [],
      run: () => value,
    }
  return table
}

export const modules: Readonly<Record<string, Table>> = {
  ctx,
  meta,
  event,
  http,
  schedule,
  didcomm,
  connection,
  math: libraryTable('math'),
  time: libraryTable('time'),
  random: libraryTable('random'),
}

/** Their members, for the compiler. */
export const domains: Domains = Object.fromEntries(
  Object.entries(modules).map(([domain, table]) => [
    domain,
    Object.fromEntries(Object.entries(table).map(([name, { kind }]) => [name, kind])),
  ]),
)

function bind(params: readonly string[], args: Args): Value[] {
  const bound = params.map((name, i) =>
    Object.hasOwn(args.named, name) ? (args.named[name] as Value) : (args.positional[i] ?? null),
  )
  return args.positional.length > params.length ? [...bound, ...args.positional.slice(params.length)] : bound
}

/** Reads, calls or acts on `domain:name`; wrong use is a RulesetFault with the place. */
export function callModule(
  host: RulesetHost,
  domain: string,
  name: string,
  as: 'member' | 'function' | 'action',
  args: Args | undefined,
  place: Place,
): Value {
  const table = modules[domain] as Table
  const member = Object.hasOwn(table, name) ? table[name] : undefined
  if (member === undefined) throw new RulesetFault('ruleset.failed', `${domain} has no member "${name}"`, place)
  if (as === 'function' && member.kind === 'action')
    throw new RulesetFault('ruleset.action', `${domain}:${name} is an action, it cannot stand in an expression`, place)
  if (as === 'action' && (member.kind === 'function' || member.kind === 'property'))
    throw new RulesetFault('ruleset.action', `${domain}:${name} is not an action`, place)
  const run = (given: Args | undefined, waits: boolean): Value => {
    const value = member.run(host, given === undefined ? [] : bind(member.params, given), waits)
    if (host.run.letters.length > LIMIT.letters)
      throw fault(`more than ${LIMIT.letters} letters in one step`, 'ruleset.budget')
    return value
  }
  try {
    if (as !== 'member' || member.kind === 'property') return run(args, as !== 'action' || args?.setting === true)
    const action = member.kind === 'action'
    return krlFunction(action ? 'action' : 'function', `${domain}:${name}`, member.params, given =>
      run(given, !action || given.setting === true),
    )
  } catch (error) {
    if (error instanceof RulesetFault && error.place === undefined)
      throw new RulesetFault(error.code, error.message, place)
    throw error
  }
}
