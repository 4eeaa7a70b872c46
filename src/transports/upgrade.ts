// A request that offers another protocol than WebSocket is answered in HTTP/1.1 as if it offered none (RFC 9110 7.8);
// Java's HTTP client offers HTTP/2 unasked. Node 20 cannot decline: with a listener for upgrades it takes the parser off
// the connection. So the head is put back without the offer, in front of what follows it, and the connection begins
// again. Every limit of the listener holds there as anywhere.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Does the request offer WebSocket, and nothing else? */
export function offersWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** The last response of each connection; the listener notes it when a request comes. */
export const lastResponse = new WeakMap<Duplex, ServerResponse>()

/** Serves the requests of a server whose offers are declined. */
export class Declined {
  readonly #server: Server
  /** Connections that wait for it: the server knows nothing of them meanwhile. */
  readonly #waiting = new Set<Duplex>()

  constructor(server: Server) {
    this.#server = server
    // What is beyond the count of headers would be missing in the new head, the length of the body even. Their size is
    // limited anyway.
    server.maxHeadersCount = 0
  }

  /** Takes what an `upgrade` event brings. What was asked before on the connection is answered before. */
  serve(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // At once: a stream that has ended takes nothing back.
    socket.unshift(Buffer.concat([withoutOffer(request), head]))
    const before = lastResponse.get(socket)
    // A response is destroyed when all of it was sent, or its connection is gone.
    if (before === undefined || before.destroyed) this.#again(request, socket)
    else this.#wait(before, request, socket)
  }

  /** Ends the connections that wait; the others are the server's. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy()
  }

  #wait(before: ServerResponse, request: IncomingMessage, socket: Duplex): void {
    const broken = () => socket.destroy()
    const gone = () => this.#waiting.delete(socket)
    this.#waiting.add(socket.on('error', broken).on('close', gone))
    before.once('close', () => {
      gone()
      socket.off('error', broken).off('close', gone)
      this.#again(request, socket)
    })
  }

  #again(request: IncomingMessage, socket: Duplex): void {
    // The response before may have been the last of its connection.
    if (!socket.writable) return void socket.destroy()
    // Begun between requests; Node forgets to stop it when it lets the connection go.
    request.socket.setTimeout(0)
    this.#server.emit('connection', socket)
  }
}

const OFFER = /^(upgrade|http2-settings)$/i

/** Never longer than the head that came: it fits the same limit. */
function withoutOffer({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const value = /^connection$/i.test(name) ? withoutOptions(rawHeaders[i + 1]!) : rawHeaders[i + 1]
    if (!OFFER.test(name) && value !== undefined) lines.push(`${name}:${value}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

/** The options of a connection without those that belong to the offer; undefined when none is left. */
function withoutOptions(connection: string): string | undefined {
  const options = connection.split(',').filter(option => !OFFER.test(option.trim()))
  return options.length === 0 ? undefined : options.join(',')
}
