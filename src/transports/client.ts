// The one HTTP client: envelopes to peers and the requests of rulesets. Every connection goes to an address that was
// checked after resolution, redirects included (address.ts); nothing here throws for what the network does.

import { lookup as systemLookup } from 'node:dns'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { HttpRequest, JsonObject } from '../ports.ts'
import { mayReach, type Reach } from './address.ts'

/** An HTTP answer, or none: then status is 0 and `reason` a code such as `ECONNREFUSED`, `ETIMEDOUT`, `EFORBIDDEN`. */
export interface Posted {
  readonly status: number
  readonly reason?: string
  readonly body?: Uint8Array
  /** Media type as the peer wrote it. */
  readonly contentType?: string
  /** Seconds, from Retry-After. */
  readonly retryAfter?: number
}

export interface HttpClient {
  /** One envelope: 15 s in all, one repeat on a fresh socket when a kept one was reset, 307 and 308 followed. */
  post(url: string, envelope: Uint8Array, contentType: string): Promise<Posted>
  /**
   * A ruleset's request: 10 s, 5 MB, at most 3 redirects when it follows them. The answer is what `http:*` gives:
   * `{content, content_type, content_length, headers, status_code, status_line}`; without one
   * `{status_code: 0, status_line: CODE}`. `owner`: the owner's own words, which may name any address. `ms`: redirects
   * included.
   */
  request(request: HttpRequest, owner?: boolean, ms?: number): Promise<JsonObject>
  /** The same check for other kinds of socket. */
  readonly lookup: LookupFunction
  close(): void
}

const POST_MS = 15_000
const REQUEST_MS = 10_000
const CONTENT_BYTES = 5_000_000
const REDIRECTS = 3
/** Idle sockets are given up before servers of the field do (Node 5 s unless it says otherwise, nginx 75 s). */
const IDLE_MS = 60_000

interface Exchange {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}

interface Limits {
  /** One for the exchange and all its redirects. */
  readonly deadline: AbortSignal
  readonly bytes: number
  /** Repeat once when a kept socket was reset before any answer. */
  readonly repeat: boolean
}

interface Got {
  readonly status: number
  readonly message: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** Why there was no answer; `code` is what the caller reports. */
class NoAnswer extends Error {
  readonly code: string
  readonly reusedSocket: boolean
  constructor(code: string, reusedSocket = false) {
    super(code)
    this.code = code
    this.reusedSocket = reusedSocket
  }
}

/** `resolve` is the system's resolver unless a test gives another. */
export function createClient(reach: Reach, envelopeBytes: number, resolve: LookupFunction = systemLookup): HttpClient {
  const lookup = checkedLookup(reach, resolve)
  const settings = { keepAlive: true, maxSockets: 64, maxFreeSockets: 16, timeout: IDLE_MS }
  const agents = { 'http:': new HttpAgent(settings), 'https:': new HttpsAgent(settings) }
  const guarded: Line = { agents, lookup, check: url => refuseLiteral(reach, url) }
  const open: Line = { agents: undefined, lookup: resolve, check: () => {} }
  return {
    lookup,
    post: (url, envelope, contentType) => post(guarded, envelopeBytes, url, envelope, contentType),
    request: (request, owner = false, ms = REQUEST_MS) => rulesetRequest(owner ? open : guarded, request, ms),
    close() {
      agents['http:'].destroy()
      agents['https:'].destroy()
    },
  }
}

/** How sockets are opened. */
interface Line {
  readonly agents: { 'http:': HttpAgent; 'https:': HttpsAgent } | undefined
  readonly lookup: LookupFunction
  /** Throws NoAnswer for an address literal that is out of reach. */
  check(url: URL): void
}

async function post(
  line: Line,
  bytes: number,
  url: string,
  envelope: Uint8Array,
  contentType: string,
): Promise<Posted> {
  try {
    let exchange: Exchange = {
      method: 'POST',
      url: httpUrl(url),
      headers: { 'content-type': contentType },
      body: envelope,
    }
    const limits = { deadline: AbortSignal.timeout(POST_MS), bytes, repeat: true }
    for (let turn = 0; ; turn++) {
      const got = await perform(line, exchange, limits)
      const moved = got.status === 307 || got.status === 308 ? got.headers.location : undefined
      if (moved === undefined || turn === REDIRECTS) return posted(got)
      exchange = { ...exchange, url: httpUrl(moved, exchange.url) }
    }
  } catch (error) {
    return { status: 0, reason: codeOf(error) }
  }
}

function posted(got: Got): Posted {
  const retryAfter = Number(got.headers['retry-after'])
  return {
    status: got.status,
    ...(got.body.length > 0 ? { body: got.body } : {}),
    ...(got.headers['content-type'] === undefined ? {} : { contentType: got.headers['content-type'] }),
    ...(Number.isFinite(retryAfter) && got.headers['retry-after'] !== undefined ? { retryAfter } : {}),
  }
}

async function rulesetRequest(line: Line, request: HttpRequest, ms: number): Promise<JsonObject> {
  try {
    const body = request.body === undefined ? {} : { body: request.body }
    let exchange: Exchange = { method: request.method, url: httpUrl(request.url), headers: request.headers, ...body }
    const limits = {
      deadline: AbortSignal.timeout(ms),
      bytes: CONTENT_BYTES,
      repeat: request.method === 'GET' || request.method === 'HEAD',
    }
    for (let turn = 0; ; turn++) {
      const got = await perform(line, exchange, limits)
      const location = [301, 302, 303, 307, 308].includes(got.status) ? got.headers.location : undefined
      if (!request.followRedirect || location === undefined) return response(got)
      if (turn === REDIRECTS) throw new NoAnswer('EREDIRECTS')
      exchange = redirected(exchange, got.status, httpUrl(location, exchange.url))
    }
  } catch (error) {
    return { status_code: 0, status_line: codeOf(error) }
  }
}

function response(got: Got): JsonObject {
  const headers = Object.entries(got.headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ])
  return {
    content: got.body.toString('utf8'),
    content_type: got.headers['content-type'] ?? null,
    content_length: got.body.length,
    headers: Object.fromEntries(headers) as JsonObject,
    status_code: got.status,
    status_line: got.message,
  }
}

/** RFC 9110 15.4: 303, and by custom 301 and 302 after a POST, become GET; keys stay with their origin. */
function redirected(exchange: Exchange, status: number, url: URL): Exchange {
  const becomesGet = status === 303 || (status < 303 && exchange.method === 'POST')
  const sameOrigin = url.origin === exchange.url.origin
  const drop = (name: string) =>
    (!sameOrigin && /^(authorization|cookie|proxy-authorization)$/i.test(name)) ||
    (becomesGet && /^content-/i.test(name))
  const headers = Object.fromEntries(Object.entries(exchange.headers).filter(([name]) => !drop(name)))
  if (becomesGet) return { method: exchange.method === 'HEAD' ? 'HEAD' : 'GET', url, headers }
  return { ...exchange, url, headers }
}

async function perform(line: Line, exchange: Exchange, limits: Limits): Promise<Got> {
  try {
    return await once(line, exchange, limits, false)
  } catch (error) {
    if (!limits.repeat || !(error instanceof NoAnswer) || !error.reusedSocket) throw error
    return once(line, exchange, limits, true)
  }
}

/** `fresh`: not a socket that was kept. */
function once(line: Line, exchange: Exchange, { bytes, deadline }: Limits, fresh: boolean): Promise<Got> {
  return new Promise((resolve, reject) => {
    line.check(exchange.url)
    const secure = exchange.url.protocol === 'https:'
    const body = exchange.body === undefined ? undefined : Buffer.from(exchange.body)
    const options: RequestOptions = {
      method: exchange.method,
      headers: { ...exchange.headers, ...(body === undefined ? {} : { 'content-length': String(body.length) }) },
      agent: fresh || line.agents === undefined ? false : line.agents[secure ? 'https:' : 'http:'],
      lookup: line.lookup,
      signal: deadline,
    }
    const request = (secure ? httpsRequest : httpRequest)(exchange.url, options)
    let answered = false
    request.on('error', (error: NodeJS.ErrnoException) => {
      const reset = error.code === 'ECONNRESET' || error.code === 'EPIPE'
      reject(new NoAnswer(deadline.aborted ? 'ETIMEDOUT' : codeOf(error), !answered && reset && request.reusedSocket))
    })
    request.on('response', incoming => {
      answered = true
      collect(incoming, bytes).then(
        content =>
          resolve({
            status: incoming.statusCode ?? 0,
            message: incoming.statusMessage ?? '',
            headers: incoming.headers,
            body: content,
          }),
        error => {
          request.destroy()
          reject(deadline.aborted ? new NoAnswer('ETIMEDOUT') : error)
        },
      )
    })
    request.end(body)
  })
}

async function collect(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) throw new NoAnswer('ETOOLARGE')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Resolves, drops what is out of reach, and gives the socket only what is left. */
function checkedLookup(reach: Reach, resolve: LookupFunction): LookupFunction {
  return (host, options, callback) =>
    resolve(host, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, [])
      const addresses = (Array.isArray(found) ? found : [{ address: found, family: isIP(found) }]).filter(one =>
        mayReach(reach, host, one.address),
      )
      const [first] = addresses
      if (first === undefined) return callback(Object.assign(new Error('EFORBIDDEN'), { code: 'EFORBIDDEN' }), [])
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
}

/** Sockets to literals are opened without a look-up. The URL parser has made dotted decimal of every IPv4 spelling. */
function refuseLiteral(reach: Reach, url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && !mayReach(reach, host, host)) throw new NoAnswer('EFORBIDDEN')
}

function httpUrl(text: string, base?: URL): URL {
  let url: URL
  try {
    url = new URL(text, base)
  } catch {
    throw new NoAnswer('EBADURL')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new NoAnswer('ESCHEME')
  return url
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'EFAILED'
}
