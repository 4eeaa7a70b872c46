// WebSockets at /didcomm: envelopes both ways on one line, in order, within the limits.

import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { WebSocket } from 'ws'
import { STANDARD_LIMITS } from '../src/transports/limits.ts'
import type { Listener } from '../src/transports/listen.ts'
import { type FakeAgent, fakeAgent, listening } from './fake-agent.ts'

let agent: FakeAgent
let listener: Listener
const limits = { ...STANDARD_LIMITS, envelope_bytes: 1000, refused_per_second: 3 }

beforeAll(async () => {
  listener = await listening(() => agent, limits)
})
afterAll(async () => {
  await listener.close(0)
})
beforeEach(() => {
  agent = fakeAgent()
})

async function open(path = '/didcomm'): Promise<WebSocket> {
  const line = new WebSocket(listener.url.replace('http', 'ws') + path)
  await once(line, 'open')
  return line
}
const next = async (line: WebSocket) => String((await once(line, 'message'))[0])

test('an envelope in, the replies out on the same line, text or binary', async () => {
  const line = await open()
  line.send('{"echo":1}')
  expect(await next(line)).toBe('reply to {"echo":1}')
  line.send(Buffer.from('{"echo":2}'))
  expect(await next(line)).toBe('reply to {"echo":2}')
  expect(agent.asked.envelopes.every(({ live }) => live)).toBe(true)
  line.close()
})

test('frames are taken in order, one after another', async () => {
  const line = await open()
  let running = 0
  let most = 0
  const order: string[] = []
  agent.receive = async envelope => {
    most = Math.max(most, ++running)
    await new Promise(resolve => setTimeout(resolve, order.length === 0 ? 20 : 1))
    order.push(Buffer.from(envelope).toString())
    running--
    return { status: 200, body: envelope }
  }
  const sent = Array.from({ length: 10 }, (_, i) => `{"n":${i}}`)
  const got: string[] = []
  const all = new Promise<void>(resolve =>
    line.on('message', data => got.push(String(data)) === sent.length && resolve()),
  )
  for (const frame of sent) line.send(frame)
  await all
  expect([order, got, most]).toEqual([sent, sent, 1])
  line.close()
})

test('a frame above the limit closes the line with 1009', async () => {
  const line = await open()
  line.send('x'.repeat(1001))
  expect((await once(line, 'close'))[0]).toBe(1009)
  expect(agent.asked.envelopes).toEqual([])
})

test('locked or full closes with 1013: try again later', async () => {
  agent.answers.receive = { status: 503 }
  const line = await open('/didcomm/below')
  line.send('{}')
  expect((await once(line, 'close'))[0]).toBe(1013)
})

test('bad frames are dropped until the ration is gone', async () => {
  agent.answers.receive = { status: 400 }
  const line = await open()
  for (let i = 0; i < 8; i++) line.send('nonsense')
  expect([1008, 1013]).toContain((await once(line, 'close'))[0])
  expect(agent.asked.envelopes.length).toBeLessThanOrEqual(6)
})

test('past the ration good frames of the same address are taken, a bad one ends its line', async () => {
  agent.receive = async envelope => ({ status: String(envelope) === 'bad' ? 404 : 202 })
  const [good, bad] = [await open(), await open()]
  // The ration is that of a second: all of this happens in one.
  await new Promise(resolve => setTimeout(resolve, 1000 - (Date.now() % 1000) + 5))
  for (let i = 0; i < 4; i++) bad.send('bad')
  expect((await once(bad, 'close'))[0]).toBe(1008)
  agent = fakeAgent()
  good.send('{"echo":1}')
  expect(await next(good)).toBe('reply to {"echo":1}')
  good.close()
})

test('what a peer does not read is given back beyond one envelope', async () => {
  const line = await open()
  const outcomes: boolean[] = []
  const done = new Promise<void>(resolve => {
    agent.receive = async (_, { reply }) => {
      // More than the buffers of two sockets hold.
      for (let i = 0; i < 100_000 && outcomes.at(-1) !== false; i++) outcomes.push(reply?.(Buffer.alloc(1000)) ?? true)
      resolve()
      return { status: 202 }
    }
  })
  line.pause()
  line.send('{}')
  await done
  expect(outcomes.at(-1)).toBe(false)
  line.terminate()
})

test('an upgrade elsewhere is 404', async () => {
  const line = new WebSocket(`${listener.url.replace('http', 'ws')}/c/x`)
  const [error] = await once(line, 'error')
  expect(String(error)).toContain('404')
})
