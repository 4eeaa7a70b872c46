// A WebSocket at /didcomm: one envelope a frame, both ways; the line itself is the return route (RFC 0092, RFC 0025
// "WebSockets"). Frames of one socket are taken in order, the next one is read when the last is durable.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Agent } from '../agent.ts'
import { type Limits, RefusalMeter } from './limits.ts'
import type { Listener } from './listen.ts'
import { Declined, offersWebSocket } from './upgrade.ts'

/** A peer that answers no ping for this long is gone. */
const PING_MS = 30_000
/** RFC 6455 7.4.1. */
const CLOSE = { leaving: 1001, refused: 1008, later: 1013 } as const

/** Takes upgrades on the public listener, declines those to anything else. The returned function closes every socket. */
export function acceptWebSockets(listener: Listener, agent: Agent, limits: Limits): () => void {
  const meter = new RefusalMeter(limits.refused_per_second, () => Date.now())
  const server = new WebSocketServer({ noServer: true, maxPayload: limits.envelope_bytes, perMessageDeflate: false })
  const declined = new Declined(listener.server)
  listener.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!offersWebSocket(request)) return declined.serve(request, socket, head)
    const path = (request.url ?? '').split('?')[0]!
    socket.on('error', () => socket.destroy())
    if (!/^\/didcomm(\/|$)/.test(path))
      return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    server.handleUpgrade(request, socket, head, line =>
      serve(line, agent, limits, meter, request.socket.remoteAddress ?? ''),
    )
  })
  const pings = setInterval(() => server.clients.forEach(ping), PING_MS)
  pings.unref()
  return () => {
    clearInterval(pings)
    declined.close()
    for (const line of server.clients) line.close(CLOSE.leaving)
    server.close()
  }
}

const silent = new WeakSet<WebSocket>()

function ping(line: WebSocket): void {
  if (silent.has(line)) line.terminate()
  else line.ping()
  silent.add(line)
}

/** A bad frame is only dropped and counted; when the second's ration is gone the line that brought it is closed. Good
 *  frames are taken whatever else the address sends: see `rationed` in http.ts. */
function serve(line: WebSocket, agent: Agent, limits: Limits, meter: RefusalMeter, address: string): void {
  const reply = (envelope: Uint8Array) => {
    // Who does not read gets no more than one envelope's worth of memory; the outbox has the rest.
    if (line.readyState !== line.OPEN || line.bufferedAmount > limits.envelope_bytes) return false
    line.send(envelope)
    return true
  }
  // Frames that came behind the one a line was closed for are not looked at; the peer sends them again.
  let cut = false
  const refuse = () => {
    meter.refused(address)
    cut = meter.exhausted(address)
    if (cut) line.close(CLOSE.refused)
  }
  const take = async (frame: Uint8Array) => {
    if (cut) return
    const received = await agent.receive(frame, { live: true, reply })
    if (received.status === 503) return line.close(CLOSE.later)
    if (received.status >= 400) return refuse()
    if (received.refused) meter.refused(address)
    if (received.body === undefined) return
    const out = reply(received.body)
    received.carried?.(out)
  }
  let queue = Promise.resolve()
  line.on('message', data => {
    line.pause()
    queue = queue
      .then(() => take(bytesOf(data as Buffer | ArrayBuffer | Buffer[])))
      .then(
        () => line.resume(),
        () => line.close(CLOSE.later),
      )
  })
  line.on('pong', () => silent.delete(line))
  line.on('error', () => line.terminate())
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}
