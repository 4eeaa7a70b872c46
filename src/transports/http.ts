// The public listener, straight on node:http: DIDComm inbox (RFC 0025; DIDComm v2 "Transports"), classic event and
// query routes, short invitation URLs, status (contract 4). Bodies stay bytes until someone must read them.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Agent, Received } from '../agent.ts'
import { asPicoError, errorRow, PicoError } from '../errors.ts'
import { invitationPage, missingPage, PAGE_POLICY } from '../pages.ts'
import type { Json } from '../ports.ts'
import { classicRoute } from './classic.ts'
import { type Limits, RefusalMeter, withinDepth } from './limits.ts'

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

export interface Listener {
  readonly server: Server
  readonly port: number
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** Stops accepting, lets requests in hand finish, cuts what is open after `grace_ms`. */
  close(grace_ms: number): Promise<void>
}

/** What a route answers; `headers` in lower case. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array
  /** Counts against the address whatever the status. */
  readonly refused?: boolean
}

/** A request as a route sees it. */
export interface Asked {
  readonly method: string
  /** Decoded parts of the path. */
  readonly segments: readonly string[]
  /** Path and query as they came, for redirects. */
  readonly target: string
  readonly query: URLSearchParams
  readonly request: IncomingMessage
  readonly limits: Limits
  /** The whole body; throws PicoError `usage.too_large`. */
  body(limit: number): Promise<Uint8Array>
}

/** Bytes thrown away after the limit so that a client can read the refusal instead of a reset. */
const DRAIN_BYTES = 8 * 1024 * 1024

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
  const listener = await listen(server, options.host, options.port, 'PORT=0 PICOMESH_ADMIN_PORT=0 npm start')
  const base = () => options.baseUrl ?? listener.url
  server.on('request', (request, response) => {
    const address = request.socket.remoteAddress ?? ''
    const answered = meter.exhausted(address)
      ? Promise.resolve(refusal(new PicoError('usage.rate', 'Too many refused requests from this address.')))
      : route(options, base, request).catch((thrown: unknown) => {
          const error = asPicoError(thrown)
          if (error.code === 'engine.fault') options.onFault?.(error)
          return refusal(error, request.url)
        })
    void answered.then(reply => {
      if (reply.refused || (reply.status >= 400 && reply.status < 500 && reply.status !== 429)) meter.refused(address)
      write(request, response, reply)
    })
  })
  return listener
}

/** Binds a server; used by the admin listener too. `remedy` is the command that gets round a taken port. */
export async function listen(server: Server, host: string, port: number, remedy: string): Promise<Listener> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindError(error, host, port, remedy)))
    server.listen(port, host, resolve)
  })
  const bound = server.address() as AddressInfo
  const name = bound.address === '0.0.0.0' || bound.address === '::' ? '127.0.0.1' : bound.address
  const url = `http://${name.includes(':') ? `[${name}]` : name}:${bound.port}`
  return { server, port: bound.port, url, close: grace_ms => closeServer(server, grace_ms) }
}

/** Stops accepting; open requests get `grace_ms`. */
export async function closeServer(server: Server, grace_ms: number): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  server.closeIdleConnections()
  const cut = setTimeout(() => server.closeAllConnections(), grace_ms)
  await closed
  clearTimeout(cut)
}

async function route(options: PublicOptions, base: () => string, request: IncomingMessage): Promise<Reply> {
  const asked = ask(request, options.limits)
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
  allow(asked, 'POST')
  const contentType = mediaType(asked.request)
  if (!ENVELOPE.test(contentType))
    throw new PicoError('usage.media_type', 'Send a DIDComm envelope with its media type.')
  const envelope = await asked.body(asked.limits.envelope_bytes)
  if (!withinDepth(envelope, asked.limits.json_depth)) throw tooDeep(asked.limits)
  const received = await agent.receive(envelope, contentType, { live: false })
  const refused = received.refused ? { refused: true } : {}
  if (received.status === 200 && received.body !== undefined)
    return {
      ...refused,
      status: 200,
      body: received.body,
      headers: { 'content-type': received.contentType ?? contentType },
    }
  const row = RECEIVED[received.status]
  if (row === undefined) return { ...refused, status: 202 }
  const place = received.retryAfter === undefined ? undefined : { retryAfter: received.retryAfter }
  return { ...refusal(new PicoError(row[0], row[1], place)), status: received.status }
}

/** RFC 0434: JSON to agents, a page to browsers. Only who asks for HTML and not for JSON is taken for a browser. */
async function invitation(agent: Agent, asked: Asked, base: string): Promise<Reply> {
  allow(asked, 'GET', 'HEAD')
  const [, id, ...rest] = asked.segments
  if (!id || rest.length > 0) throw nothingHere()
  const view = await agent.invitation(id)
  const accept = asked.request.headers.accept ?? ''
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
  allow(asked, 'GET', 'HEAD')
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

function ask(request: IncomingMessage, limits: Limits): Asked {
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
    query: new URLSearchParams(query.join('?')),
    request,
    limits,
    body: limit => readBody(request, limit),
  }
}

function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const tooLarge = () => reject(new PicoError('usage.too_large', `A body may have ${limit} bytes here.`))
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
      else if (size > limit + DRAIN_BYTES) tooLarge()
    })
    request.on('end', () =>
      size > limit ? tooLarge() : resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)),
    )
    request.on('error', () => reject(new PicoError('usage', 'The request broke off.')))
  })
}

function write(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (response.destroyed) return
  if (!request.complete) response.shouldKeepAlive = false
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value)
  response.setHeader('x-content-type-options', 'nosniff')
  if (body !== undefined || reply.status !== 204) response.setHeader('content-length', body?.length ?? 0)
  response.statusCode = reply.status
  response.end(request.method === 'HEAD' ? undefined : body)
}

export function json(status: number, value: Json, headers: Reply['headers'] = {}): Reply {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  }
}

/** `{error: {code, message, …place}}` with the status of its row; `target` is the path a moved pico has elsewhere too. */
export function refusal(error: PicoError, target = '/'): Reply {
  const row = errorRow(error.code)
  const { retryAfter, allow, ...shown } = error.toJSON()
  const headers: Record<string, string> = {}
  if (row.retry || row.http === 429) headers['retry-after'] = String(retryAfter ?? 1)
  if (Array.isArray(allow)) headers.allow = allow.join(', ')
  const movedTo = error.code === 'pico.moved' ? shown.movedTo : undefined
  if (typeof movedTo === 'string') headers.location = `${movedTo.replace(/\/$/, '')}${target}`
  return json(row.http, { error: shown as { [member: string]: Json } }, headers)
}

/** Throws `usage.method`, which lists what is allowed. */
export function allow(asked: Asked, ...methods: string[]): void {
  if (!methods.includes(asked.method))
    throw new PicoError('usage.method', `Use ${methods.join(' or ')} here.`, { allow: methods })
}

/** Media type without parameters, lower case; empty without the header. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
}

export function nothingHere(): PicoError {
  return new PicoError('usage.unknown_verb', 'There is nothing at this address.')
}

export function tooDeep(limits: Limits): PicoError {
  return new PicoError('usage.too_deep', `JSON may be nested ${limits.json_depth} levels deep here.`)
}

function bindError(error: NodeJS.ErrnoException, host: string, port: number, remedy: string): Error {
  if (error.code === 'EADDRINUSE')
    return new PicoError('port.taken', `Port ${port} is taken; \`${remedy}\` takes any free one`, { port })
  return new PicoError('config.invalid', `Cannot listen on ${host}:${port}: ${error.code ?? 'failed'}`)
}
