// The load generator: a process of its own. It connects to every invitation, packs all messages of a turn, then sends
// them over one HTTP connection for each, the next when the answer to the last has come. A line of JSON on standard
// input asks for a turn `{messages}`, a line on standard output answers `{seconds}`.

import { createServer } from 'node:http'
import { type AddressInfo, connect as dial, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { connect, type Peer } from './peer.ts'

type Json = { readonly [member: string]: unknown }

export interface Task {
  readonly didcommUrl: string
  readonly invitations: readonly Json[]
  /** What is sent: a basic message, or an event over the pico protocol. */
  readonly kind: 'message' | 'event'
}

/** One HTTP connection, one request in flight. */
class Line {
  private readonly socket: Socket
  private readonly url: URL
  private received = ''
  private answered: (status: number, body: string) => void = () => undefined
  private failed: (error: Error) => void = () => undefined

  constructor(url: URL) {
    this.url = url
    this.socket = dial({ host: url.hostname, port: Number(url.port), noDelay: true })
    this.socket.setEncoding('latin1')
    this.socket.on('data', (chunk: string) => this.read(chunk))
    this.socket.on('error', error => this.failed(error))
    this.socket.on('close', () => this.failed(new Error('the server closed the line')))
  }

  /** The request as it goes over the line, made before the clock starts. */
  request(envelope: Uint8Array): Buffer {
    const head = `POST ${this.url.pathname} HTTP/1.1\r\nhost: ${this.url.host}\r\ncontent-type: application/ssi-agent-wire\r\ncontent-length: ${envelope.length}\r\n\r\n`
    return Buffer.concat([Buffer.from(head, 'latin1'), envelope])
  }

  send(request: Buffer): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      this.answered = (status, body) => resolve({ status, body })
      this.failed = reject
      this.socket.write(request)
    })
  }

  end(): void {
    this.failed = () => undefined
    this.socket.end()
  }

  private read(chunk: string): void {
    this.received += chunk
    const end = this.received.indexOf('\r\n\r\n')
    if (end < 0) return
    const length = Number(/content-length: (\d+)/i.exec(this.received)?.[1] ?? 0)
    if (this.received.length < end + 4 + length) return
    const body = this.received.slice(end + 4, end + 4 + length)
    const status = Number(this.received.slice(9, 12))
    this.received = this.received.slice(end + 4 + length)
    this.answered(status, body)
  }
}

interface Lane {
  readonly line: Line
  readonly peer: Peer
}

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const next = async () => {
  const { value, done } = await input.next()
  return done ? undefined : (JSON.parse(value) as unknown)
}

// What the engine sends of its own accord (it asks its peers what they speak) is taken and thrown away.
const sink = createServer((request, response) => {
  request.resume()
  request.on('end', () => response.writeHead(202).end())
})
await new Promise<void>(resolve => sink.listen(0, '127.0.0.1', resolve))
const endpoint = `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`

const task = (await next()) as Task
const lanes: Lane[] = []
for (const invitation of task.invitations) {
  const line = new Line(new URL(task.didcommUrl))
  const peer = await connect(invitation, endpoint, async envelope => {
    const { status, body } = await line.send(line.request(envelope))
    return status === 200 ? Buffer.from(body, 'latin1') : undefined
  })
  lanes.push({ line, peer })
}
answer({ connected: lanes.length })
let count = 0
for (let turn = await next(); turn !== undefined; turn = await next())
  answer({ seconds: await run((turn as { messages: number }).messages) })
for (const { line } of lanes) line.end()
sink.close()

async function run(messages: number): Promise<number> {
  const each = Math.floor(messages / lanes.length)
  const packed = lanes.map(({ line, peer }) =>
    Array.from({ length: each }, () => line.request(peer.pack(message(task.kind, count++)))),
  )
  const start = performance.now()
  await Promise.all(lanes.map(({ line }, n) => sendAll(line, packed[n] as Buffer[])))
  return (performance.now() - start) / 1000
}

async function sendAll(line: Line, requests: readonly Buffer[]): Promise<void> {
  for (const request of requests) {
    const { status } = await line.send(request)
    if (status !== 202) throw new Error(`a message was answered ${status}`)
  }
}

function message(kind: Task['kind'], n: number): Json {
  const id = `bench-${process.pid}-${n}`
  const text = `message ${n} `.padEnd(600, 'x')
  return kind === 'message'
    ? {
        '@type': 'https://didcomm.org/basicmessage/1.0/message',
        '@id': id,
        sent_time: new Date().toISOString(),
        content: text,
      }
    : {
        '@type': 'https://picomesh.dev/pico/1.0/event',
        '@id': id,
        domain: 'bench',
        type: 'tick',
        attrs: { temperature: n % 40, note: text },
      }
}

function answer(value: Json): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
