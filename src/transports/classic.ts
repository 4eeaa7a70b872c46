// Events and queries over a channel's ECI, as pico clients have always sent them: `/c/…` and, for old ones, `/sky/…`
// (contract 4). Query string and body make the attributes; statuses tell the truth; any origin may read.

import type { Agent, EventResult } from '../agent.ts'
import { asPicoError, PicoError } from '../errors.ts'
import type { Json, JsonObject } from '../ports.ts'
import { withinDepth } from './limits.ts'
import { type Asked, json, nothingHere, type Reply, refusal, tooDeep, wrongMethod } from './reply.ts'

const CORS = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'location, retry-after' }
const PREFLIGHT = {
  ...CORS,
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': 'content-type, idempotency-key',
  'access-control-max-age': '600',
}

/** Request headers that are somebody's key; rules never see them. */
const CREDENTIALS = /^(authorization|proxy-authorization|cookie|idempotency-key|x-api-key|.*-(token|secret))$/

const SUFFIX = /\.(html|txt)$/
const CONTENT_TYPE: Record<string, string> = { html: 'text/html; charset=utf-8', txt: 'text/plain; charset=utf-8' }

/** Is this the target of a `/c/…` or `/sky/…` request? Told from the bare text, so that it holds for what cannot be
 *  decoded too. */
export function isClassic(target = ''): boolean {
  return /^\/(c|sky)([/?]|$)/.test(target)
}

/** With the headers for other origins, which every answer of these routes has, refusals included. */
export function withCors(reply: Reply): Reply {
  return { ...reply, headers: { ...reply.headers, ...CORS } }
}

/** Answers every `/c/…` and `/sky/…` request, refusals included. */
export async function classicRoute(agent: Agent, asked: Asked): Promise<Reply> {
  if (asked.method === 'OPTIONS') return { status: 204, headers: PREFLIGHT }
  return dispatch(agent, asked).catch((thrown: unknown) => {
    const error = asPicoError(thrown)
    if (error.code === 'engine.fault') throw thrown
    return refusal(error, asked.target)
  })
}

async function dispatch(agent: Agent, asked: Asked): Promise<Reply> {
  const [tree, ...parts] = asked.segments
  const shape = `${tree} ${parts.length} ${tree === 'c' ? parts[1] : parts[0]}`
  const [a = '', b = '', c = '', d = '', e = '', f = '', g = ''] = parts
  if (parts.some(part => part === '')) throw nothingHere()
  if (asked.method !== 'GET' && asked.method !== 'POST') throw wrongMethod('GET', 'POST')
  switch (shape) {
    case 'c 4 event':
      return json(200, (await event(agent, asked, { eci: a, domain: c, name: d, wait: false })).eid)
    case 'c 4 event-wait':
      return applied(await event(agent, asked, { eci: a, domain: c, name: d, wait: true }))
    case 'c 4 query':
      return query(agent, asked, a, c, d)
    case 'c 7 event': {
      if (e !== 'query') throw nothingHere()
      const asks = { rid: f, name: g.replace(SUFFIX, '') }
      const { value } = await event(agent, asked, { eci: a, domain: c, name: d, wait: true, query: asks })
      return answer(g, value ?? null)
    }
    case 'sky 5 event':
      return directed(await event(agent, asked, { eci: b, domain: d, name: e, wait: true }, c))
    case 'sky 4 cloud':
      return query(agent, asked, b, c, d)
    default:
      throw nothingHere()
  }
}

type Sent = { eci: string; domain: string; name: string; wait: boolean; query?: { rid: string; name: string } }

async function event(agent: Agent, asked: Asked, sent: Sent, label = 'none'): Promise<EventResult> {
  if (asked.exhausted()) agent.channel(sent.eci)
  const given = await attributes(asked)
  const body: JsonObject = label === 'none' ? given : { ...given, __eid: label }
  const attrs = { ...body, _headers: shownHeaders(asked) }
  const id = idempotencyKey(asked)
  return agent.event({ ...sent, attrs, ...(id === undefined ? {} : { id }) })
}

async function query(agent: Agent, asked: Asked, eci: string, rid: string, name: string): Promise<Reply> {
  if (asked.exhausted()) agent.channel(eci)
  const args = { ...(await attributes(asked)), _headers: shownHeaders(asked) }
  return answer(name, await agent.query({ eci, rid, name: name.replace(SUFFIX, ''), args }))
}

/** A suffix makes a page or a text of a string; other values stay JSON text under that type. */
function answer(name: string, value: Json): Reply {
  const contentType = CONTENT_TYPE[SUFFIX.exec(name)?.[1] ?? '']
  if (contentType === undefined) return json(200, value)
  const body = typeof value === 'string' ? value : JSON.stringify(value)
  return { status: 200, headers: { 'content-type': contentType }, body }
}

function applied(result: EventResult): Reply {
  const { eid, directives = [] } = result
  return json(200, { eid, directives: [...directives], ...(result.replayed ? { replayed: true } : {}) })
}

/** `_cookie {cookie}` sets one, `_redirect {url}` answers 302; values that no header can hold are left out. */
function directed(result: EventResult): Reply {
  const reply = applied(result)
  const cookies = optionsOf(result, '_cookie', 'cookie').filter(cookie => /^[\x20-\x7e]+$/.test(cookie))
  const [location] = optionsOf(result, '_redirect', 'url').flatMap(redirectTarget)
  const headers = { ...reply.headers, ...(cookies.length > 0 ? { 'set-cookie': cookies } : {}) }
  return location === undefined ? { ...reply, headers } : { ...reply, status: 302, headers: { ...headers, location } }
}

function optionsOf(result: EventResult, name: string, option: string): string[] {
  return (result.directives ?? []).flatMap(directive => {
    if (directive === null || typeof directive !== 'object' || Array.isArray(directive)) return []
    const { name: given, options } = directive
    if (given !== name || options === null || typeof options !== 'object' || Array.isArray(options)) return []
    const value = options?.[option]
    return typeof value === 'string' ? [value] : []
  })
}

/** http, https or relative; the URL parser encodes what a header must not hold. */
function redirectTarget(text: string): string[] {
  try {
    const url = new URL(text, 'http://relative.invalid/')
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return []
    return [url.hostname === 'relative.invalid' ? text.replace(/[^\x21-\x7e]/g, encodeURIComponent) : url.href]
  } catch {
    return []
  }
}

/** Query string and body, the body wins; a name given twice makes a list. */
async function attributes(asked: Asked): Promise<JsonObject> {
  const fromQuery = fromPairs(asked.query())
  const body = await asked.body(asked.limits.event_bytes)
  if (body.length === 0) return fromQuery
  const type = asked.mediaType
  if (type === 'application/x-www-form-urlencoded')
    return { ...fromQuery, ...fromPairs(new URLSearchParams(new TextDecoder().decode(body))) }
  if (type !== 'application/json' && !/^application\/.+\+json$/.test(type))
    throw new PicoError('usage.media_type', 'Send attributes as JSON or as a form.')
  if (!withinDepth(body, asked.limits.json_depth)) throw tooDeep(asked.limits)
  return { ...fromQuery, ...parseObject(body) }
}

function parseObject(body: Uint8Array): JsonObject {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as Json
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value
  } catch {
    throw new PicoError('event.malformed', 'The body is not JSON.')
  }
  throw new PicoError('event.malformed', 'The body must be a JSON object: its members are the attributes.')
}

function fromPairs(pairs: URLSearchParams): JsonObject {
  return Object.fromEntries(
    [...new Set(pairs.keys())].map(name => {
      const values = pairs.getAll(name)
      return [name, values.length === 1 ? values[0]! : values]
    }),
  )
}

function shownHeaders(asked: Asked): JsonObject {
  const shown = Object.entries(asked.headers).filter(([name]) => !CREDENTIALS.test(name))
  return Object.fromEntries(
    shown.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  )
}

function idempotencyKey(asked: Asked): string | undefined {
  const key = asked.headers['idempotency-key']
  if (key === undefined) return undefined
  const text = Array.isArray(key) ? key.join(', ') : key
  if (text.length === 0 || Buffer.byteLength(text, 'latin1') > 255)
    throw new PicoError('event.malformed', 'An Idempotency-Key has 1 to 255 bytes.')
  return text
}
