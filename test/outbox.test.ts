// What becomes of a letter by what the other side answers: taken, given up, or tried again (DESIGN 4, Outbox).

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Engine } from '../src/engine.ts'
import { Keyrings } from '../src/inbox.ts'
import { Outbox } from '../src/outbox.ts'
import type { HttpRequest, Letter } from '../src/ports.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import type { Posted } from '../src/transports/client.ts'
import { toyEngine } from './toy-core.ts'

const packed = { names: [], envelope: new Uint8Array([1]), contentType: 'x/y', uri: 'http://peer.test/didcomm' }
const head = { id: 'letter-1', lane: 'l', created: 0, expires: 1, report: false }
const message: Letter = { ...head, body: { kind: 'didcomm', version: 'v1', from: 'did:a', to: 'did:b', plaintext: {} } }
const event: Letter = {
  ...head,
  body: { kind: 'event', eci: 'e', domain: 'd', name: 'n', attrs: {}, host: 'http://other.test' },
}

let engine: Engine
beforeAll(async () => {
  engine = (await toyEngine(new MemoryStore())).engine
  // Every letter packs to the same envelope.
  engine.read = async () => packed as never
})
afterAll(() => engine.stop())

/** An outbox whose every post and request is answered so. */
function outbox(posted: Posted) {
  const requests: HttpRequest[] = []
  const received: Uint8Array[] = []
  const made = new Outbox({
    engine: () => engine,
    keyrings: new Keyrings(),
    client: {
      post: async () => posted,
      request: async request => {
        requests.push(request)
        return { status_code: posted.status, status_line: posted.reason ?? '' }
      },
      lookup: undefined as never,
      close: () => undefined,
    },
    sources: undefined as never,
    baseUrl: () => 'http://here.test',
    receive: async envelope => {
      received.push(envelope)
      return 202
    },
    live: () => undefined,
  })
  return { made, requests, received }
}

describe('a message', () => {
  test.each([
    [200, { taken: true }],
    [202, { taken: true }],
    [400, { refused: 'http.400' }],
    [413, { refused: 'http.413' }],
    [415, { refused: 'http.415' }],
    [404, { retry: 'http.404' }],
    [410, { retry: 'http.410' }],
    [429, { retry: 'http.429' }],
    [503, { retry: 'http.503' }],
    [0, { retry: 'ECONNREFUSED' }],
  ])('that is answered %i: %j', async (status, outcome) => {
    const { made } = outbox({ status, ...(status === 0 ? { reason: 'ECONNREFUSED' } : {}) })
    expect(await made.deliver(message, 'p')).toEqual(outcome)
  })
  test('whose answer is an envelope brings that envelope to the inbox', async () => {
    const body = new Uint8Array([2, 3])
    const { made, received } = outbox({ status: 200, body, contentType: 'x/z' })
    expect(await made.deliver(message, 'p')).toEqual({ taken: true })
    expect(received).toEqual([body])
  })
})

describe('an event for another engine', () => {
  test.each([
    [200, { taken: true }],
    [400, { refused: 'http.400' }],
    [403, { refused: 'http.403' }],
    [413, { refused: 'http.413' }],
    [422, { refused: 'http.422' }],
    [404, { retry: 'http.404' }],
    [503, { retry: 'http.503' }],
  ])('that is answered %i: %j; its id is the Idempotency-Key', async (status, outcome) => {
    const { made, requests } = outbox({ status })
    expect(await made.deliver(event, 'p')).toEqual(outcome)
    expect(requests[0]?.headers['idempotency-key']).toBe('letter-1')
  })
})
