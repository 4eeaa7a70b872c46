// The owner's edge: console, verbs and live stream for a browser on loopback, and the same verbs for the command line
// over a local socket. In a browser every page of the machine is a neighbour: Host and Origin are checked, the token
// travels once in a URL fragment and becomes a cookie that scripts cannot read (ecosystem-and-reliability B7).

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import type { Agent } from './agent.ts'
import { asPicoError, PicoError, refusedWith } from './errors.ts'
import type { JsonObject } from './ports.ts'
import { bound, closeServer, type Listener, listen } from './transports/listen.ts'

export interface AdminOptions {
  readonly agent: Agent
  /** 0 = any free. */
  readonly port: number
  /** Folder of the built console. */
  readonly ui: string
  /** Path of the local socket; without it `openSocket` opens it. */
  readonly socket?: string
  /** Faults of ours, for the log. */
  readonly onFault?: (error: PicoError) => void
}

export interface AdminListener {
  /** `http://127.0.0.1:port`. */
  readonly url: string
  /** A console link with a new one-time token in its fragment. */
  link(): string
  /** Opens the local socket, once. It takes the place of one that lies there: only who holds the store may. */
  openSocket(path: string): Promise<void>
  close(grace_ms: number): Promise<void>
}

const POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
/** Links given out and not yet used. */
const LINKS = 16
const HEARTBEAT_MS = 15_000
/** A stream that reads this much slower than things happen is cut; the console reconnects and reads anew. */
const BACKLOG_BYTES = 1_048_576

/** Binds the port, opens the socket if it is given; that is this user's alone. Throws PicoError `port.taken`. */
export async function listenAdmin(options: AdminOptions): Promise<AdminListener> {
  const tokens = new Tokens()
  const web = createServer()
  const remedy = 'PORT=0 PICOMESH_ADMIN_PORT=0 npm start'
  const listener = await listen(web, '127.0.0.1', options.port, remedy, options.onFault)
  const link = () => `${listener.url}/#token=${tokens.issue()}`
  web.on('request', webApp(options, listener, tokens))
  const local = createServer(localApp(options, tokens, link))
  let socket: string | undefined
  const openSocket = async (path: string) => {
    await listenLocal(local, path, options.onFault)
    socket = path
  }
  if (options.socket !== undefined) await openSocket(options.socket)
  return { url: listener.url, link, openSocket, close: grace_ms => closeBoth(listener, local, socket, grace_ms) }
}

/** One-time tokens of links, sessions of browsers, one bearer token of this run. Only digests are kept. */
class Tokens {
  readonly #links = new Set<string>()
  readonly #sessions = new Set<string>()
  readonly bearer = newToken()

  issue(): string {
    const token = newToken()
    this.#links.add(digest(token))
    const [oldest] = this.#links
    if (this.#links.size > LINKS && oldest !== undefined) this.#links.delete(oldest)
    return token
  }

  /** A session for a link's token, once. */
  exchange(token: string): string | undefined {
    if (!this.#links.delete(digest(token))) return undefined
    const session = newToken()
    this.#sessions.add(digest(session))
    return session
  }

  isSession(token: string | undefined): boolean {
    return token !== undefined && this.#sessions.has(digest(token))
  }

  isBearer(token: string | undefined): boolean {
    return token !== undefined && timingSafeEqual(Buffer.from(digest(token)), Buffer.from(digest(this.bearer)))
  }
}

function webApp(options: AdminOptions, listener: Listener, tokens: Tokens): Express {
  const app = bareApp()
  const cookie = `picomesh_${listener.port}`
  app.use(headers, knownHost(listener.port), sameOrigin)
  app.post('/api/session', asJson, (request: Request, response: Response) => {
    const session = tokens.exchange(String((request.body as JsonObject).token ?? ''))
    if (session === undefined)
      throw new PicoError('usage.unauthorized', 'This link was used already: `picomesh status` shows a new one.')
    response.cookie(cookie, session, { httpOnly: true, sameSite: 'strict', path: '/' })
    response.status(204).end()
  })
  app.use('/api', (request, _response, next) => {
    const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (!tokens.isBearer(bearer) && !tokens.isSession(cookieOf(request, cookie)))
      throw new PicoError('usage.unauthorized', 'Open the link that `picomesh status` shows.')
    next()
  })
  addApi(app, options)
  app.use(express.static(options.ui, { index: 'index.html', maxAge: 0 }))
  return withErrors(app, options)
}

/** Who can open the socket is the owner; nothing else is asked. */
function localApp(options: AdminOptions, tokens: Tokens, link: () => string): Express {
  const app = bareApp()
  app.get(
    '/api/link',
    (_request: Request, response: Response) => void response.json({ url: link(), bearer: tokens.bearer }),
  )
  addApi(app, options)
  return withErrors(app, options)
}

function bareApp(): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  return app
}

function addApi(app: Express, { agent }: AdminOptions): void {
  app.get('/api/session', (_request: Request, response: Response) => void response.status(204).end())
  app.post('/api/verb', asJson, async (request: Request, response: Response) => {
    const { verb, args = {} } = request.body as { verb?: unknown; args?: unknown }
    if (typeof verb !== 'string' || args === null || typeof args !== 'object' || Array.isArray(args))
      throw new PicoError('usage', 'The body is {"verb": name, "args": object}.')
    response.json(await agent.verb(verb, args as JsonObject))
  })
  app.get('/api/stream', (_request, response) => stream(agent, response))
  app.use('/api', () => {
    throw new PicoError('usage.unknown_verb', 'There is nothing at this address.')
  })
}

/** Server-sent events (HTML, "Server-sent events"): one unnamed event for each thing that happens. */
function stream(agent: Agent, response: Response): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write('retry: 1000\n\n')
  const stop = agent.watch(event => {
    response.write(`data: ${JSON.stringify(event)}\n\n`)
    if (response.writableLength > BACKLOG_BYTES) response.destroy()
  })
  const beat = setInterval(() => response.write(':\n\n'), HEARTBEAT_MS)
  response.once('close', () => {
    clearInterval(beat)
    stop()
  })
}

const headers: RequestHandler = (request, response, next) => {
  response.set({
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  })
  if (request.path.startsWith('/api/')) response.set('cache-control', 'no-store')
  next()
}

/** A name that an attacker's DNS points here (rebinding) is not ours. */
function knownHost(port: number): RequestHandler {
  const known = new Set([`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`])
  return (request, _response, next) => {
    if (!known.has((request.headers.host ?? '').toLowerCase()))
      throw new PicoError('usage.forbidden', 'This host name is not ours.')
    next()
  }
}

/** Pages of other origins, other ports of this machine included, get nothing; links from them may open the console. */
const sameOrigin: RequestHandler = (request, _response, next) => {
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  const foreign =
    (origin !== undefined && origin !== `http://${host}`) ||
    (site !== undefined && site !== 'same-origin' && site !== 'none')
  const opensConsole =
    request.method === 'GET' && origin === undefined && request.headers['sec-fetch-mode'] === 'navigate'
  if (foreign && !(opensConsole && !request.path.startsWith('/api')))
    throw new PicoError('usage.forbidden', 'Requests from other origins are refused.')
  const unsafe = request.method !== 'GET' && request.method !== 'HEAD'
  if (unsafe && origin === undefined && request.headers.authorization === undefined)
    throw new PicoError('usage.forbidden', 'A request that changes something needs an Origin or a bearer token.')
  next()
}

const asJson: RequestHandler[] = [
  (request, _response, next) => {
    if (!request.is('application/json')) throw new PicoError('usage.media_type', 'Send JSON.')
    next()
  },
  express.json({ limit: '4mb' }),
]

function withErrors(app: Express, options: AdminOptions): Express {
  const handler: ErrorRequestHandler = (thrown, _request, response, _next) => {
    const error = fromParser(thrown) ?? asPicoError(thrown)
    if (error.code === 'engine.fault') options.onFault?.(error)
    if (response.headersSent) return void response.destroy()
    const { http } = refusedWith(error)
    // A moved pico is no redirect here: whoever sends a verb wants to be told where it went.
    const { connection, ...shown } = error.toJSON()
    const beside = connection === undefined ? {} : { connection }
    response.status(http === 308 ? 409 : http).json({ error: shown, ...beside })
  }
  app.use(() => {
    throw new PicoError('usage.unknown_verb', 'There is nothing at this address.')
  })
  app.use(handler)
  return app
}

/** What express.json throws. */
function fromParser(thrown: unknown): PicoError | undefined {
  const type = (thrown as { type?: unknown }).type
  if (type === 'entity.too.large') return new PicoError('usage.too_large', 'The body is too large.')
  if (typeof type === 'string' && /^(entity|encoding|charset|request)\./.test(type))
    return new PicoError('usage', 'The body is not JSON.')
  return undefined
}

async function listenLocal(server: Server, socket: string, onFault: AdminOptions['onFault']): Promise<void> {
  // Left by an engine that was killed: the store's lock says that none runs.
  await rm(socket, { force: true })
  await bound(server, { path: socket }, onFault)
  await chmod(socket, 0o600)
  // `logs -f` and long moves stay open.
  server.requestTimeout = 0
}

async function closeBoth(
  listener: Listener,
  local: Server,
  socket: string | undefined,
  grace_ms: number,
): Promise<void> {
  if (socket === undefined) return listener.close(grace_ms)
  await Promise.all([listener.close(grace_ms), closeServer(local, grace_ms)])
  await rm(socket, { force: true })
}

function cookieOf(request: Request, name: string): string | undefined {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [key, value] = part.trim().split('=')
    if (key === name) return value
  }
  return undefined
}

/** 192 bits; a console link with it stays within 80 columns. */
function newToken(): string {
  return randomBytes(24).toString('base64url')
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
