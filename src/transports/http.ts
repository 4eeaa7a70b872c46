// The public listener, straight on node:http: DIDComm inbox (RFC 0025; DIDComm v2 "Transports"), classic event and
// query routes, short invitation URLs, status (contract 4). Bodies stay bytes until someone must read them.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Agent, Received } from '../agent.ts'
import { asPicoError, PicoError } from '../errors.ts'
import { invitationPage, missingPage, PAGE_POLICY } from '../pages.ts'
import { classicRoute, isClassic, withCors } from './classic.ts'
import { type Limits, RefusalMeter, withinDepth } from './limits.ts'
import { type Listener, listen } from './listen.ts'
import { type Asked, json, nothingHere, type Reply, refusal, tooDeep, wrongMethod } from './reply.ts'
import { lastResponse } from './upgrade.ts'

export interface PublicOptions {
  readonly agent: Agent
  readonly host: string
  /** 0 = any free. */
  readonly port: number
  /** The URL peers reach; absent: where this listens. */
  readonly baseUrl?: string
  readonly limits: Limits
  /** Faults of ours, for the log. */
  readonly onFault?: (error: PicoError) => void
}

/** Bytes thrown away after the limit so that a client can read the refusal instead of a reset. */
const DRAIN_BYTES = 8 * 1024 * 1024

const TOO_MANY = refusal(new PicoError('usage.rate', 'Too many refused requests from this address.'))

const READS = new Set(['GET', 'HEAD'])

const ENVELOPE = /^application\/(ssi-agent-wire|didcomm-envelope-enc|didcomm-(encrypted|signed|plain)\+json|json)$/

/** Codes for what `receive` says with a bare status. */
const RECEIVED: Partial<Record<Received['status'], readonly [code: string, message: string]>> = {
  400: ['envelope.malformed', 'This is not an encrypted DIDComm envelope.'],
  404: ['envelope.unknown_recipient', 'No recipient of this envelope is here.'],
  413: ['usage.too_large', 'The envelope is too large.'],
  429: ['usage.rate', 'Too many refused messages from this address.'],
  503: ['engine.busy', 'The message cannot be stored now.'],
}

/** Starts the listener. Throws PicoError `port.taken`, `config.invalid` (no such address here). */
export async function listenPublic(options: PublicOptions): Promise<Listener> {
  const meter = new RefusalMeter(options.limits.refused_per_second, () => Date.now())
  const server = createServer({
    maxHeaderSize: options.limits.header_bytes,
    requestTimeout: 60_000,
    headersTimeout: 20_000,
  })
  server.keepAliveTimeout = 76_000
  server.on('clientError', (error, socket) => {
    const status =
      (error as NodeJS.ErrnoException).code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : '400 Bad Request'
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  })
  const remedy = 'PORT=0 PICOMESH_ADMIN_PORT=0 npm start'
  const listener = await listen(server, options.host, options.port, remedy, options.onFault)
  const base = () => options.baseUrl ?? listener.url
  server.on('request', (request, response) => {
    lastResponse.set(request.socket, response)
    const address = request.socket.remoteAddress ?? ''
    void answer(options, base, request, () => meter.exhausted(address)).then(reply => {
      const said = rationed(meter, address, reply)
      write(request, response, isClassic(request.url) ? withCors(said) : said)
    })
  })
  return listener
}

/** What an address that has used up its ration is told. Good requests come from the same address (one behind the same
 *  NAT, a peer that is also being imitated), and whether a request is good is known only once it was looked at. So all
 *  are, and what saves the engine is the order: an ECI, an invitation and a recipient key are looked up before anything
 *  of that request is opened or queued, for such an address even before a body is read; no body is read beyond its
 *  limit. Deciphering costs only who names a key that is here, and is answered 202 whatever comes of it: a 429 in its
 *  place would tell the sender what 202 is there to hide. */
function rationed(meter: RefusalMeter, address: string, reply: Reply): Reply {
  const refused = reply.refused || (reply.status >= 400 && reply.status < 500 && reply.status !== 429)
  if (!refused) return reply
  const over = meter.exhausted(address)
  meter.refused(address)
  return over && reply.status >= 400 ? TOO_MANY : reply
}

async function answer(
  options: PublicOptions,
  base: () => string,
  request: IncomingMessage,
  exhausted: () => boolean,
): Promise<Reply> {
  try {
    return await route(options, base, ask(request, options.limits, exhausted))
  } catch (thrown) {
    const error = asPicoError(thrown)
    if (error.code === 'engine.fault') options.onFault?.(error)
    return refusal(error, request.url)
  }
}

async function route(options: PublicOptions, base: () => string, asked: Asked): Promise<Reply> {
  switch (asked.segments[0]) {
    case 'didcomm':
      return inbox(options.agent, asked)
    case 'c':
    case 'sky':
      return classicRoute(options.agent, asked)
    case 'i':
      return invitation(options.agent, asked, base())
    case 'status':
      return status(options.agent, asked)
    default:
      throw nothingHere()
  }
}

/** `POST /didcomm…`: 202 when durable, 200 with an envelope when the sender keeps the line open for it. */
async function inbox(agent: Agent, asked: Asked): Promise<Reply> {
  if (asked.method !== 'POST') throw wrongMethod('POST')
  const contentType = asked.mediaType
  if (!ENVELOPE.test(contentType))
    throw new PicoError('usage.media_type', 'Send a DIDComm envelope with its media type.')
  const envelope = await asked.body(asked.limits.envelope_bytes)
  const received = await agent.receive(envelope, { live: false })
  // Whoever reads it bounds the depth before anything recurses; looked at again only to say what was wrong.
  if (received.status === 400 && !withinDepth(envelope, asked.limits.json_depth)) throw tooDeep(asked.limits)
  const refused = received.refused ? { refused: true } : {}
  if (received.status === 200 && received.body !== undefined)
    return {
      ...refused,
      status: 200,
      body: received.body,
      headers: { 'content-type': received.contentType ?? contentType },
      ...(received.carried && { carried: received.carried }),
    }
  const row = RECEIVED[received.status]
  if (row === undefined) return { ...refused, status: 202 }
  const place = received.retryAfter === undefined ? undefined : { retryAfter_s: received.retryAfter }
  return { ...refusal(new PicoError(row[0], row[1], place)), status: received.status }
}

/** RFC 0434: JSON to agents, a page to browsers. Only who asks for HTML and not for JSON is taken for a browser. */
async function invitation(agent: Agent, asked: Asked, base: string): Promise<Reply> {
  if (!READS.has(asked.method)) throw wrongMethod('GET', 'HEAD')
  const [, id, ...rest] = asked.segments
  if (!id || rest.length > 0) throw nothingHere()
  const view = await agent.invitation(id)
  const accept = asked.headers.accept ?? ''
  const headers = { vary: 'accept', 'cache-control': 'no-store' }
  if (/text\/html/i.test(accept) && !/application\/(\w+\+)?json/i.test(accept)) {
    const page = view === undefined ? missingPage() : invitationPage(view, `${base}/i/${encodeURIComponent(id)}`)
    const html = { ...headers, 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_POLICY }
    return { status: view === undefined ? 404 : view.state === 'open' ? 200 : 410, headers: html, body: page }
  }
  if (view === undefined) throw new PicoError('invitation.unknown', 'There is no such invitation.')
  if (view.state !== 'open') throw new PicoError(`invitation.${view.state}`, `This invitation is ${view.state}.`)
  return json(200, view.invitation, headers)
}

function status(agent: Agent, asked: Asked): Reply {
  if (!READS.has(asked.method)) throw wrongMethod('GET', 'HEAD')
  const what = asked.segments[1]
  if (asked.segments.length !== 2 || (what !== 'live' && what !== 'ready')) throw nothingHere()
  if (what === 'live') return json(200, { live: true })
  const { ready, reason } = agent.ready()
  return json(
    ready ? 200 : 503,
    reason === undefined ? { ready } : { ready, reason },
    ready ? {} : { 'retry-after': '1' },
  )
}

function ask(request: IncomingMessage, limits: Limits, exhausted: () => boolean): Asked {
  const target = request.url ?? '/'
  const [path = '', ...query] = target.split('?')
  let segments: string[]
  try {
    segments = path.replace(/\/$/, '').split('/').slice(1).map(decodeURIComponent)
  } catch {
    throw new PicoError('event.malformed', 'The path is not properly percent-encoded.')
  }
  return {
    method: request.method ?? 'GET',
    segments,
    target,
    query: () => new URLSearchParams(query.join('?')),
    headers: request.headers,
    mediaType: (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase(),
    limits,
    exhausted,
    body: limit => readBody(request, limit, () => (exhausted() ? 0 : DRAIN_BYTES)),
  }
}

function readBody(request: IncomingMessage, limit: number, drain: () => number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const tooLarge = () => reject(new PicoError('usage.too_large', `A body may have ${limit} bytes here.`))
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
      else if (size > limit + drain()) tooLarge()
    })
    request.on('end', () =>
      size > limit ? tooLarge() : resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)),
    )
    request.on('error', () => reject(new PicoError('usage', 'The request broke off.')))
  })
}

function write(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (response.destroyed) {
    reply.carried?.(false)
    return
  }
  if (reply.carried) response.once('close', () => reply.carried?.(response.writableFinished))
  if (!request.complete) response.shouldKeepAlive = false
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value)
  response.setHeader('x-content-type-options', 'nosniff')
  if (body !== undefined || reply.status !== 204) response.setHeader('content-length', body?.length ?? 0)
  response.statusCode = reply.status
  response.end(request.method === 'HEAD' ? undefined : body)
}
