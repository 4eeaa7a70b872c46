// The command line's way to a running engine: the local socket that engine.json names (contract 3). Verbs go as POST
// /api/verb, the live stream comes as server-sent events; src/admin.ts is the other end.

import { type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { PicoError } from './errors.ts'
import { readEngineFile } from './home.ts'
import type { Json, JsonObject } from './ports.ts'

/** No engine answers for this home: exit code 3. */
export class NoEngine extends Error {
  constructor(home: string) {
    super(`no engine is running for ${home}: start one with \`picomesh start\``)
  }
}

/** A refusal as the engine put it: `body` is `{error: {code, message, …place}}` with what stands beside it. */
export class Refused extends Error {
  readonly body: JsonObject
  constructor(body: JsonObject, message: string) {
    super(message)
    this.body = body
  }
}

/** Asks one verb. Throws NoEngine, Refused. Waits as long as the engine works on it. */
export async function askEngine(home: string, verb: string, args: JsonObject): Promise<Json> {
  return (await answerOf(await send(home, 'POST', '/api/verb', JSON.stringify({ verb, args })))) as Json
}

/** A new console link with a one-time token. */
export async function consoleLink(home: string): Promise<string> {
  return ((await answerOf(await send(home, 'GET', '/api/link'))) as { url: string }).url
}

/** Calls `listener` for each event; `ended` resolves when the engine is gone or `stop` was called. Throws NoEngine, Refused. */
export async function followEngine(
  home: string,
  listener: (event: JsonObject) => void,
): Promise<{ ended: Promise<void>; stop(): void }> {
  const response = await send(home, 'GET', '/api/stream')
  if (response.statusCode !== 200) await answerOf(response)
  const lines = createInterface({ input: response })
  // A reader's line hands the error of its source on; `ended` says it.
  lines.on('error', () => {})
  lines.on('line', line => {
    if (line.startsWith('data: ')) listener(JSON.parse(line.slice(6)) as JsonObject)
  })
  const ended = new Promise<void>(resolve => {
    response.once('close', resolve).once('error', () => resolve())
  })
  return { ended, stop: () => response.destroy() }
}

async function send(home: string, method: string, path: string, body?: string): Promise<IncomingMessage> {
  const engine = await readEngineFile(home)
  if (engine === undefined) throw new NoEngine(home)
  const headers =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: engine.socket, path, method, headers, agent: false }, resolve)
    asking.once('error', (error: NodeJS.ErrnoException) => reject(gone(error, home)))
    asking.end(body)
  })
}

/** Nobody listens: no engine. It went away while it worked: the caller cannot know how far it came. */
function gone(error: NodeJS.ErrnoException, home: string): Error {
  if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') return new NoEngine(home)
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new PicoError('usage.forbidden', `The engine of ${home} belongs to another user.`)
  return new PicoError(
    'engine.stopping',
    'The engine went away before it answered; repeating with the same id is safe.',
  )
}

async function answerOf(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const body = (text === '' ? null : JSON.parse(text)) as JsonObject & { error?: { message?: string } }
  if (response.statusCode !== undefined && response.statusCode >= 400)
    throw new Refused(body, body.error?.message ?? 'refused')
  return body
}
