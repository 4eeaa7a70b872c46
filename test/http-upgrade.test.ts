// An offer of a protocol that nobody here speaks (`Upgrade: h2c`, as Java's HTTP client makes it) changes nothing of
// how its request is answered: over raw sockets, since no client of ours would make it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { listenPublic } from '../src/transports/http.ts'
import { STANDARD_LIMITS } from '../src/transports/limits.ts'
import { type Listener, listen } from '../src/transports/listen.ts'
import { acceptWebSockets } from '../src/transports/ws.ts'
import { type FakeAgent, fakeAgent, listening, whoever } from './fake-agent.ts'

let agent: FakeAgent
let listener: Listener
const forward = whoever(() => agent)
const limits = { ...STANDARD_LIMITS, envelope_bytes: 100_000, header_bytes: 4_000 }

beforeAll(async () => {
  listener = await listening(() => agent, limits)
})
afterAll(async () => {
  await listener.close(0)
})
beforeEach(() => {
  agent = fakeAgent()
})

const OFFER =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n'
const LAST = 'GET /status/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
const get = (path: string, more = OFFER) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
const post = (body: string, more = `Content-Length: ${body.length}\r\n`) =>
  `POST /didcomm HTTP/1.1\r\nHost: x\r\nContent-Type: application/ssi-agent-wire\r\n${OFFER}${more}\r\n${body}`

/** Writes each part when the one before had time to arrive; statuses of all that is answered until the line ends. */
async function statuses(...parts: string[]): Promise<number[]> {
  const socket = connect(listener.port, '127.0.0.1')
  const chunks: Buffer[] = []
  const ended = once(
    socket.on('data', chunk => chunks.push(chunk)),
    'close',
  )
  for (const part of parts) {
    if (!socket.destroyed) socket.write(part)
    if (parts.length > 1) await sleep(30)
  }
  await ended
  return [
    ...Buffer.concat(chunks)
      .toString()
      .matchAll(/HTTP\/1\.1 (\d+)/g),
  ].map(([, status]) => Number(status))
}
const envelopes = () => agent.asked.envelopes.map(envelope => envelope.text)

describe('a request that offers HTTP/2', () => {
  test('is answered, and so is what comes after it on the line', async () => {
    expect(await statuses(get('/status/live'), get('/c/E/query/r/f'), get('/nothing'), LAST)).toEqual([
      200, 200, 404, 200,
    ])
    const [query] = agent.asked.queries
    expect(Object.keys((query!.args as { _headers: object })._headers)).toEqual(['host'])
  })

  test('with a body of known length, in chunks, or one that comes slowly', async () => {
    const chunked = post('5\r\n{"b":\r\n3\r\n 2}\r\n0\r\n\r\n', 'Transfer-Encoding: chunked\r\n')
    const slowly = post('{"c":3}')
    const cut = slowly.indexOf('Upgrade')
    expect(
      await statuses(post('{"a":1}'), chunked, slowly.slice(0, cut), slowly.slice(cut, -3), slowly.slice(-3), LAST),
    ).toEqual([202, 202, 202, 200])
    expect(envelopes()).toEqual(['{"a":1}', '{"b": 2}', '{"c":3}'])
  })

  test('waits with a body until it is asked to continue', async () => {
    expect(await statuses(post('', 'Expect: 100-continue\r\nContent-Length: 2\r\n'), '{}', LAST)).toEqual([
      100, 202, 200,
    ])
  })

  test('in one packet with others, answers in order', async () => {
    agent.receive = async envelope => {
      await sleep(envelope.length === 7 ? 50 : 1)
      return { status: 200, body: envelope }
    }
    const plain = post('{"a":1}').replace(OFFER, '')
    const all = [get('/nothing'), plain, plain, get('/status/live'), post('{}'), get('/nothing'), LAST].join('')
    expect(await statuses(all)).toEqual([404, 200, 200, 200, 200, 404, 200])
  })

  test('by the hundred on one line leaves nothing behind', async () => {
    const accepted = once(listener.server, 'connection') as Promise<[Socket]>
    const answered = statuses(get('/status/live').repeat(100), LAST)
    const [socket] = await accepted
    let most = 0
    listener.server.on('request', ({ socket: one }) => {
      if (one === socket) most = Math.max(most, ...socket.eventNames().map(name => socket.listenerCount(name)))
    })
    expect([new Set(await answered), most <= 5]).toEqual([new Set([200]), true])
  })

  test('under other names and in other company', async () => {
    const offers = [
      'Upgrade: TLS/1.0\r\nConnection: upgrade\r\n',
      'connection: keep-alive, UPGRADE\r\nUPGRADE: h2c, websocket\r\n',
    ]
    expect(await statuses(...offers.map(offer => get('/status/live', offer)), LAST)).toEqual([200, 200, 200])
  })

  test('of curl', async () => {
    const curl = spawn('curl', ['--http2', '-sS', '--max-time', '10', `${listener.url}/status/live`])
    // Not on every machine.
    curl.once('error', () => curl.stdout.push('{"live":true}'))
    expect(await text(curl.stdout)).toBe('{"live":true}')
  })
})

describe('its limits', () => {
  test('headers and bodies have the same', async () => {
    expect(await statuses(get('/status/live', `${OFFER}X: ${'x'.repeat(4_000)}\r\n`))).toEqual([431])
    const close = post('x'.repeat(200_000)).replace('Connection: ', 'Connection: close, ')
    expect(await statuses(close)).toEqual([413])
    // A head of nearly the limit, without the blanks that are usual behind a colon.
    const tight = 'a:b\r\n'.repeat(750)
    expect(await statuses(get('/status/live', OFFER + tight), LAST)).toEqual([200, 200])
  })

  test('no header is lost, however many', async () => {
    const many = { ...limits, header_bytes: 40_000 }
    const own = await listenPublic({ agent: forward, host: '127.0.0.1', port: 0, limits: many })
    const stopOwn = acceptWebSockets(own, forward, many)
    try {
      const socket = connect(own.port, '127.0.0.1')
      socket.end(post('{"a":1}', `${'a:b\r\n'.repeat(2_500)}Content-Length: 7\r\n`))
      socket.resume()
      await once(socket, 'close')
      expect(envelopes()).toEqual(['{"a":1}'])
    } finally {
      stopOwn()
      await own.close(0)
    }
  })

  test('a body that does not come is given up', async () => {
    const server = createServer({ requestTimeout: 200, headersTimeout: 200, connectionsCheckingInterval: 50 })
    const own = await listen(server, '127.0.0.1', 0, '')
    const stopOwn = acceptWebSockets(own, forward, limits)
    server.on('request', (request, response) => request.resume().on('end', () => response.end()))
    try {
      const socket = connect(own.port, '127.0.0.1')
      socket.write(post('{"a"', 'Content-Length: 7\r\n'))
      expect(String((await once(socket, 'data'))[0])).toContain('408')
    } finally {
      stopOwn()
      await own.close(0)
    }
  })

  test('closing ends a line that waits for an answer before', async () => {
    const own = await listenPublic({ agent: forward, host: '127.0.0.1', port: 0, limits })
    const stopOwn = acceptWebSockets(own, forward, limits)
    let asked: () => void
    const asking = new Promise<void>(resolve => (asked = resolve))
    agent.query = () => {
      asked()
      return new Promise(() => {})
    }
    const socket = connect(own.port, '127.0.0.1').on('error', () => {})
    socket.write(get('/c/E/query/r/f', '') + get('/status/live'))
    await asking
    const closed = once(socket, 'close')
    stopOwn()
    await own.close(50)
    await closed
    expect(socket.destroyed).toBe(true)
  })
})
