// The public listener, route by route and status by status (contract 4), over real sockets.

import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { PicoError } from '../src/errors.ts'
import { listenPublic } from '../src/transports/http.ts'
import { STANDARD_LIMITS, withinDepth } from '../src/transports/limits.ts'
import type { Listener } from '../src/transports/listen.ts'
import { type FakeAgent, fakeAgent, whoever } from './fake-agent.ts'

const V1 = 'application/ssi-agent-wire'
let agent: FakeAgent
let listener: Listener

beforeAll(async () => {
  const forward: FakeAgent = whoever(() => agent)
  listener = await listenPublic({
    agent: forward,
    host: '127.0.0.1',
    port: 0,
    limits: { ...STANDARD_LIMITS, refused_per_second: 100_000, event_bytes: 2000, envelope_bytes: 3000 },
  })
})
afterAll(() => listener.close(0))
beforeEach(() => {
  agent = fakeAgent()
})

const go = (path: string, init: RequestInit = {}) => fetch(`${listener.url}${path}`, { redirect: 'manual', ...init })
const post = (path: string, body: string, type: string, headers: Record<string, string> = {}) =>
  go(path, { method: 'POST', body, headers: { 'content-type': type, ...headers } })
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !holds(); i++) await sleep(10)
}
const code = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code

describe('POST /didcomm', () => {
  test.each([
    'application/ssi-agent-wire',
    'application/didcomm-envelope-enc',
    'application/didcomm-encrypted+json',
    'application/json; charset=utf-8',
  ])('takes %s and says 202 without a body', async type => {
    const response = await post('/didcomm', '{"protected":"x"}', type)
    expect([response.status, await response.text()]).toEqual([202, ''])
    expect(agent.asked.envelopes).toEqual([{ text: '{"protected":"x"}', live: false }])
  })
  test('takes any path below', async () => {
    expect((await post('/didcomm/a/b', '{}', V1)).status).toBe(202)
  })
  test('gives the envelope of return-route with 200', async () => {
    agent.answers.receive = {
      status: 200,
      body: Buffer.from('{"re":1}'),
      contentType: 'application/didcomm-envelope-enc',
    }
    const response = await post('/didcomm', '{}', V1)
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      'application/didcomm-envelope-enc',
      '{"re":1}',
    ])
  })
  test('tells whether that envelope went out, so that the outbox sends what did not', async () => {
    const carried: boolean[] = []
    const reply = { status: 200, body: Buffer.from('{"re":1}'), carried: (out: boolean) => carried.push(out) } as const
    agent.answers.receive = reply
    await (await post('/didcomm', '{}', V1)).text()
    await until(() => carried.length === 1)
    // A socket of its own, so that its end is seen here: only then is there no line to answer on.
    const socket = once(listener.server, 'connection') as Promise<[Socket]>
    const headers = { 'content-type': V1 }
    const asking = request(`${listener.url}/didcomm`, { method: 'POST', agent: false, headers })
    const failed = once(asking, 'error')
    agent.receive = async () => {
      const closed = once((await socket)[0], 'close')
      asking.destroy(new Error('gone'))
      await closed
      return reply
    }
    asking.end('{}')
    await failed
    await until(() => carried.length === 2)
    expect(carried).toEqual([true, false])
  }, 30_000)
  test.each([
    [400, 'envelope.malformed'],
    [404, 'envelope.unknown_recipient'],
    [413, 'usage.too_large'],
    [429, 'usage.rate'],
    [503, 'engine.busy'],
  ] as const)('passes %i on', async (status, expected) => {
    agent.answers.receive = { status, ...(status === 503 ? { retryAfter: 7 } : {}) }
    const response = await post('/didcomm', '{}', V1)
    expect([response.status, await code(response)]).toEqual([status, expected])
    expect(response.headers.get('retry-after')).toBe({ 503: '7', 429: '1' }[status as number] ?? null)
  })
  test('refuses other media types, methods and sizes by itself', async () => {
    expect((await post('/didcomm', 'x', 'text/plain')).status).toBe(415)
    expect((await go('/didcomm', { method: 'POST', body: new Uint8Array([1]) })).status).toBe(415)
    const wrong = await go('/didcomm')
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
    expect((await post('/didcomm', `"${'x'.repeat(3000)}"`, V1)).status).toBe(413)
    expect(agent.asked.envelopes.length).toBe(0)
  })
  test('says of what the inbox refuses whether it is too deep', async () => {
    agent.answers.receive = { status: 400, refused: true }
    expect(await code(await post('/didcomm', '['.repeat(65), V1))).toBe('usage.too_deep')
    expect(await code(await post('/didcomm', '['.repeat(64), V1))).toBe('envelope.malformed')
  })
  test('lets no other origin in', async () => {
    const response = await go('/didcomm', { method: 'OPTIONS', headers: { origin: 'http://evil.example' } })
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([405, null])
  })
  test('a body far above the limit gets its 413, not a reset', async () => {
    expect((await post('/didcomm', 'x'.repeat(2_000_000), V1)).status).toBe(413)
  })
})

describe('events', () => {
  test('event answers the eid, event-wait the directives', async () => {
    agent.answers.event = { eid: 'e7', directives: [{ name: 'say', options: {}, meta: {} }] }
    expect(await (await go('/c/ECI/event/d/n?a=1')).json()).toBe('e7')
    expect(await (await go('/c/ECI/event-wait/d/n')).json()).toEqual(agent.answers.event)
    expect(agent.asked.events.map(({ eci, domain, name, wait }) => ({ eci, domain, name, wait }))).toEqual([
      { eci: 'ECI', domain: 'd', name: 'n', wait: false },
      { eci: 'ECI', domain: 'd', name: 'n', wait: true },
    ])
  })
  test('a replayed answer says so', async () => {
    agent.answers.event = { eid: 'e7', directives: [], replayed: true }
    expect(await (await go('/c/ECI/event-wait/d/n')).json()).toEqual({ eid: 'e7', directives: [], replayed: true })
  })
  test('merges query string and body, the body wins, lists stay lists', async () => {
    await post('/c/ECI/event/d/n?a=1&b=2&c=3&c=4', '{"b":{"x":[1]}}', 'application/json')
    await post('/c/ECI/event/d/n?a=1', 'b=x+y&b=%C3%A9', 'application/x-www-form-urlencoded; charset=utf-8')
    const [json, form] = agent.asked.events.map(({ attrs: { _headers, ...rest } }) => rest)
    expect(json).toEqual({ a: '1', b: { x: [1] }, c: ['3', '4'] })
    expect(form).toEqual({ a: '1', b: ['x y', 'é'] })
  })
  test('a member named __proto__ is an attribute, nothing more', async () => {
    await post('/c/ECI/event/d/n', '{"__proto__":{"polluted":1}}', 'application/json')
    expect(Object.hasOwn(agent.asked.events[0]!.attrs, '__proto__')).toBe(true)
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })
  test('_headers holds no credentials', async () => {
    const secret = {
      authorization: 'Bearer x',
      cookie: 'a=b',
      'proxy-authorization': 'x',
      'x-api-key': 'x',
      'x-csrf-token': 'x',
      'idempotency-key': 'k',
    }
    await new Promise(resolve =>
      request(`${listener.url}/c/ECI/event/d/n`, { headers: { ...secret, 'x-other': 'yes' } }, resolve).end(),
    )
    const shown = agent.asked.events[0]!.attrs._headers as Record<string, string>
    expect(shown['x-other']).toBe('yes')
    expect(Object.keys(shown).filter(name => name in secret)).toEqual([])
  })
  test('hands the Idempotency-Key on', async () => {
    await post('/c/ECI/event/d/n', '{}', 'application/json', { 'idempotency-key': 'k1' })
    expect(agent.asked.events[0]!.id).toBe('k1')
    expect((await post('/c/ECI/event/d/n', '{}', 'application/json', { 'idempotency-key': '' })).status).toBe(400)
    expect(
      (await post('/c/ECI/event/d/n', '{}', 'application/json', { 'idempotency-key': 'k'.repeat(256) })).status,
    ).toBe(400)
    expect(
      (await post('/c/ECI/event/d/n', '{}', 'application/json', { 'idempotency-key': 'k'.repeat(255) })).status,
    ).toBe(200)
  })
  test('event and query in one', async () => {
    agent.answers.event = { eid: 'e', directives: [], value: { n: 3 } }
    const response = await go('/c/ECI/event/d/n/query/my.rid/fn?x=1')
    expect(await response.json()).toEqual({ n: 3 })
    expect(agent.asked.events[0]).toMatchObject({ wait: true, query: { rid: 'my.rid', name: 'fn' } })
  })
  test('parts of the path are decoded, broken ones refused', async () => {
    await go('/c/ECI/event/d%2Fe/n%20m/')
    expect(agent.asked.events[0]).toMatchObject({ domain: 'd/e', name: 'n m' })
    expect((await go('/c/ECI/event/%ZZ/n')).status).toBe(400)
  })
  test.each([
    ['text/plain', 'a=1', 415],
    ['multipart/form-data; boundary=x', 'x', 415],
    ['application/json', '{', 400],
    ['application/json', '[1]', 400],
    ['application/json', '7', 400],
    ['application/json', `{"a":${'['.repeat(64)}${']'.repeat(64)}}`, 400],
    ['application/json', `{"a":"${'x'.repeat(2000)}"}`, 413],
    ['application/problem+json', '{"a":1}', 200],
  ])('body of %s %j: %i', async (type, body, status) => {
    expect((await post('/c/ECI/event/d/n', body, type)).status).toBe(status)
  })
})

describe('queries', () => {
  test('the value as JSON', async () => {
    agent.answers.query = { a: [1, null] }
    const response = await go('/c/ECI/query/io.x.y/fn?k=v')
    expect([response.headers.get('content-type'), await response.json()]).toEqual([
      'application/json; charset=utf-8',
      { a: [1, null] },
    ])
    expect(agent.asked.queries[0]).toMatchObject({ eci: 'ECI', rid: 'io.x.y', name: 'fn', args: { k: 'v' } })
  })
  test('.html and .txt set the type', async () => {
    agent.answers.query = '<h1>x</h1>'
    const html = await go('/c/ECI/query/r/page.html')
    expect([html.headers.get('content-type'), await html.text()]).toEqual(['text/html; charset=utf-8', '<h1>x</h1>'])
    const text = await go('/sky/cloud/ECI/r/page.txt')
    expect(text.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(agent.asked.queries.map(({ name }) => name)).toEqual(['page', 'page'])
  })
  test('POST asks too, with the body as arguments', async () => {
    await post('/c/ECI/query/r/fn', '{"a":1}', 'application/json')
    expect(agent.asked.queries[0]!.args.a).toBe(1)
  })
})

describe('/sky/event', () => {
  test('is event-wait; an eid other than none becomes __eid', async () => {
    await go('/sky/event/ECI/none/d/n')
    await go('/sky/event/ECI/1556/d/n')
    expect(agent.asked.events.map(({ wait, attrs }) => [wait, attrs.__eid])).toEqual([
      [true, undefined],
      [true, '1556'],
    ])
  })
  test('_cookie and _redirect', async () => {
    agent.answers.event = {
      eid: 'e',
      directives: [
        { name: '_cookie', options: { cookie: 'a=b; Path=/c' } },
        { name: '_redirect', options: { url: 'https://example.org/x' } },
      ],
    }
    const response = await go('/sky/event/ECI/none/d/n')
    expect([response.status, response.headers.get('location'), response.headers.get('set-cookie')]).toEqual([
      302,
      'https://example.org/x',
      'a=b; Path=/c',
    ])
  })
  test('values that split headers or run scripts are left out', async () => {
    agent.answers.event = {
      eid: 'e',
      directives: [
        { name: '_cookie', options: { cookie: 'a\r\nX: y' } },
        { name: '_redirect', options: { url: 'javascript:alert(1)' } },
      ],
    }
    const response = await go('/sky/event/ECI/none/d/n')
    expect([response.status, response.headers.get('set-cookie'), response.headers.get('x')]).toEqual([200, null, null])
  })
})

describe('refusals', () => {
  test.each([
    ['event.malformed', 400],
    ['policy.denied', 403],
    ['channel.unknown', 404],
    ['ruleset.unknown', 404],
    ['query.unknown', 404],
    ['event.conflict', 422],
    ['ruleset.failed', 500],
    ['wallet.locked', 503],
    ['engine.busy', 503],
    ['pico.frozen', 503],
    // The inbox says 202 to these; whoever asks is told.
    ['message.malformed', 400],
    ['key.not_authorized', 400],
  ])('%s is %i on events and queries', async (name, status) => {
    agent.answers.event = agent.answers.query = new PicoError(name, 'because', {
      rid: 'r',
      rule: 'u',
      line: 3,
      column: 4,
    })
    for (const path of [
      '/c/E/event/d/n',
      '/c/E/event-wait/d/n',
      '/c/E/query/r/f',
      '/c/E/event/d/n/query/r/f',
      '/sky/event/E/none/d/n',
      '/sky/cloud/E/r/f',
    ]) {
      const response = await go(path)
      expect([path, response.status, await response.json()]).toEqual([
        path,
        status,
        { error: { code: name, message: 'because', rid: 'r', rule: 'u', line: 3, column: 4 } },
      ])
      expect(response.headers.get('retry-after')).toBe(status === 503 ? '1' : null)
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
    }
  })
  test('a pico that moved: 308 to the same path and query there', async () => {
    agent.answers.event = agent.answers.query = new PicoError('pico.moved', 'elsewhere', {
      movedTo: 'https://b.example/',
    })
    for (const path of ['/c/E/event/d/n?a=1', '/sky/cloud/E/r/f?b=%20']) {
      const response = await go(path, { method: 'POST' })
      expect([response.status, response.headers.get('location')]).toEqual([308, `https://b.example${path}`])
      expect(await code(response)).toBe('pico.moved')
    }
  })
  test('other origins may read them too, also what cannot be decoded and a bug', async () => {
    agent.query = async () => {
      throw new TypeError('a bug')
    }
    for (const [path, status] of [
      ['/c/%zz/event/a/b', 400],
      ['/sky/cloud/%zz/r/f', 400],
      ['/c/E/query/r/f', 500],
      ['/c', 404],
    ] as const) {
      const response = await go(path)
      expect([path, response.status, response.headers.get('access-control-allow-origin')]).toEqual([path, status, '*'])
    }
    expect((await go('/%zz')).headers.get('access-control-allow-origin')).toBeNull()
  })
  test('say in Retry-After, and only there, when to come again', async () => {
    agent.answers.query = new PicoError('pico.frozen', 'because', { retryAfter_s: 7 })
    const response = await go('/c/E/query/r/f')
    expect([response.status, response.headers.get('retry-after'), await response.json()]).toEqual([
      503,
      '7',
      { error: { code: 'pico.frozen', message: 'because' } },
    ])
  })
  test('a bug is 500 without its text', async () => {
    agent.query = async () => {
      throw new TypeError('secret detail')
    }
    const response = await go('/c/E/query/r/f')
    expect([response.status, await response.text()]).toEqual([500, expect.not.stringContaining('secret detail')])
  })
  test.each([
    '/c',
    '/c/E',
    '/c/E/event/d',
    '/c/E/event/d/n/x',
    '/c/E/event/d/n/quer/r/f',
    '/c/E/event//n',
    '/sky/event/E/d/n',
    '/sky/other/E/r/f',
    '/',
    '/x',
    '/status',
    '/status/x',
    '/i',
    '/i/a/b',
  ])('nothing at %s', async path => {
    expect((await go(path)).status).toBe(404)
  })
  test.each(['PUT', 'DELETE', 'PATCH', 'HEAD'])('%s is no way to raise an event', async method => {
    const response = await go('/c/E/event/d/n', { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST'])
    expect(agent.asked.events).toEqual([])
  })
  test('preflight is answered on classic routes only', async () => {
    const yes = await go('/c/E/event/d/n', { method: 'OPTIONS' })
    expect([
      yes.status,
      yes.headers.get('access-control-allow-methods'),
      yes.headers.get('access-control-allow-headers'),
    ]).toEqual([204, 'GET, POST', 'content-type, idempotency-key'])
    for (const path of ['/i/x', '/status/live', '/didcomm']) {
      const no = await go(path, { method: 'OPTIONS' })
      expect([path, no.status, no.headers.get('access-control-allow-origin')]).toEqual([path, 405, null])
    }
  })
})

describe('/i/{id}', () => {
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
  test('JSON for agents', async () => {
    for (const accept of ['application/json', '*/*', 'text/html, application/json']) {
      const response = await go('/i/abc', { headers: { accept } })
      expect([response.status, ((await response.json()) as { '@id': string })['@id']]).toEqual([200, 'abc'])
      expect(response.headers.get('vary')).toBe('accept')
    }
  })
  test('a page for browsers, its label escaped, nothing from elsewhere', async () => {
    const response = await go('/i/abc', { headers: browser })
    const page = await response.text()
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(page).toContain('&#60;script&#62;alert(&#34;x&#34;)&#60;/script&#62; invites you')
    expect(page).toContain('didcomm://invite?oob=abc')
    expect(page).not.toMatch(/<script|src=|<link|url\(/)
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  })
  test('of a pico that moved: 308 to the same path there, in both forms', async () => {
    agent.invitation = async () => {
      throw new PicoError('pico.moved', 'elsewhere', { movedTo: 'https://b.example' })
    }
    for (const headers of [{}, browser]) {
      const response = await go('/i/abc', { headers })
      expect([response.status, response.headers.get('location')]).toEqual([308, 'https://b.example/i/abc'])
    }
  })
  test('missing 404, used and expired 410, in both forms', async () => {
    for (const [id, status] of [
      ['missing', 404],
      ['used', 410],
      ['late', 410],
    ] as const) {
      expect((await go(`/i/${id}`)).status).toBe(status)
      expect((await go(`/i/${id}`, { headers: browser })).status).toBe(status)
    }
  })
})

describe('/status', () => {
  test('live whatever the engine does, ready with a reason', async () => {
    agent.answers.ready = { ready: false, reason: 'locked' }
    expect((await go('/status/live')).status).toBe(200)
    const response = await go('/status/ready')
    expect([response.status, await response.json()]).toEqual([503, { ready: false, reason: 'locked' }])
    agent.answers.ready = { ready: true }
    expect((await go('/status/ready')).status).toBe(200)
  })
})

describe('the connection', () => {
  test('is kept for more than 75 s', () => {
    expect(listener.server.keepAliveTimeout).toBeGreaterThanOrEqual(75_000)
  })
  test('headers above the limit are 431', async () => {
    const status = await new Promise(resolve =>
      request(`${listener.url}/status/live`, { headers: { 'x-long': 'x'.repeat(17_000) } }, response =>
        resolve(response.statusCode),
      ).end(),
    )
    expect(status).toBe(431)
  })
  test('what is no HTTP is 400 and closed', async () => {
    const text = await new Promise<string>(resolve => {
      const socket = connect(listener.port, '127.0.0.1', () => socket.write('hello\r\n\r\n'))
      let got = ''
      socket.on('data', chunk => (got += chunk)).on('close', () => resolve(got))
    })
    expect(text).toMatch(/^HTTP\/1.1 400 /)
  })
  test('a taken port is said in one line with the way round', async () => {
    const again = listenPublic({ agent, host: '127.0.0.1', port: listener.port, limits: STANDARD_LIMITS })
    await expect(again).rejects.toMatchObject({ code: 'port.taken', message: expect.stringContaining('PORT=0') })
  })
  test('that cannot be accepted is reported once, and the others go on', async () => {
    const faults: string[] = []
    const own = await listenPublic({
      agent,
      host: '127.0.0.1',
      port: 0,
      limits: STANDARD_LIMITS,
      onFault: error => faults.push(`${error.code} ${error.message}`),
    })
    try {
      for (let i = 0; i < 3; i++) own.server.emit('error', Object.assign(new Error('accept'), { code: 'EMFILE' }))
      expect(faults).toEqual(['transport.refused A connection could not be accepted: EMFILE'])
      expect((await fetch(`${own.url}/status/live`)).status).toBe(200)
    } finally {
      await own.close(0)
    }
  })
  test('closing lets a request in hand finish', async () => {
    let release = (_: string) => {}
    const slow = fakeAgent()
    const begun = new Promise<void>(begin => {
      slow.query = () => {
        begin()
        return new Promise(resolve => {
          release = resolve
        })
      }
    })
    const own = await listenPublic({ agent: slow, host: '127.0.0.1', port: 0, limits: STANDARD_LIMITS })
    const asked = fetch(`${own.url}/c/E/query/r/f`)
    await begun
    const closed = own.close(2000)
    release('done')
    expect(await (await asked).json()).toBe('done')
    await closed
    await expect(fetch(`${own.url}/status/live`)).rejects.toThrow()
  })
})

describe('refused requests are rationed by address', () => {
  test('429 after the ration, while accepted ones never count', async () => {
    const own = await listenPublic({
      agent: fakeAgent(),
      host: '127.0.0.1',
      port: 0,
      limits: { ...STANDARD_LIMITS, refused_per_second: 5 },
    })
    const statuses = async (path: string, n: number) => {
      const all: number[] = []
      for (let i = 0; i < n; i++) all.push((await fetch(`${own.url}${path}`)).status)
      return all
    }
    try {
      expect(new Set(await statuses('/c/E/query/r/f', 20))).toEqual(new Set([200]))
      await new Promise(resolve => setTimeout(resolve, 1000 - (Date.now() % 1000) + 5))
      expect(await statuses('/nothing', 7)).toEqual([404, 404, 404, 404, 404, 429, 429])
      const held = await fetch(`${own.url}/nothing`)
      expect([held.status, held.headers.get('retry-after'), await code(held)]).toEqual([429, '1', 'usage.rate'])
      await new Promise(resolve => setTimeout(resolve, 1000 - (Date.now() % 1000) + 5))
      expect(await statuses('/nothing', 1)).toEqual([404])
    } finally {
      await own.close(0)
    }
  })

  describe('and past the ration', () => {
    let own: Listener
    const ask = (path: string, init: RequestInit = {}) => fetch(`${own.url}${path}`, init)
    const send = (path: string, body: string, type: string) =>
      ask(path, { method: 'POST', body, headers: { 'content-type': type } })
    beforeEach(async () => {
      const limits = { ...STANDARD_LIMITS, refused_per_second: 1, envelope_bytes: 1000 }
      own = await listenPublic({ agent, host: '127.0.0.1', port: 0, limits })
      // The ration is that of a second: all of a test happens in one.
      await sleep(1000 - (Date.now() % 1000) + 5)
      expect((await ask('/nothing')).status).toBe(404)
      expect((await ask('/nothing')).status).toBe(429)
    })
    afterEach(() => own.close(0))

    test('good requests of the same address go through', async () => {
      expect((await ask('/c/E/query/r/f')).status).toBe(200)
      expect((await send('/c/E/event-wait/d/n', '{"a":1}', 'application/json')).status).toBe(200)
      expect((await send('/didcomm', '{}', V1)).status).toBe(202)
      expect((await ask('/i/abc')).status).toBe(200)
      agent.answers.ready = { ready: false, reason: 'locked' }
      expect([(await ask('/status/ready')).status, (await ask('/status/live')).status]).toEqual([503, 200])
      expect((await ask('/nothing')).status).toBe(429)
    })
    test('what would be refused is 429, whatever it is', async () => {
      agent.answers.receive = { status: 404, refused: true }
      agent.answers.event = new PicoError('policy.denied', 'no')
      expect((await send('/didcomm', '{}', V1)).status).toBe(429)
      expect((await send('/didcomm', '[[', 'text/plain')).status).toBe(429)
      expect((await ask('/i/missing')).status).toBe(429)
      const denied = await ask('/c/E/event/d/n')
      expect([denied.status, denied.headers.get('access-control-allow-origin')]).toEqual([429, '*'])
    })
    const firstLine = async (head: string, body: string) => {
      const sent = connect(own.port, '127.0.0.1')
      sent.write(`POST ${head} HTTP/1.1\r\nhost: x\r\ncontent-type: ${V1}\r\ncontent-length: 5000000\r\n\r\n${body}`)
      const [answer] = await once(sent, 'data')
      sent.destroy()
      return String(answer).split('\r\n')[0]
    }
    test('an unknown ECI is refused before its body has come', async () => {
      agent.missing.add('E')
      expect(await firstLine('/c/E/event/d/n', '{')).toContain(' 429 ')
      expect(await firstLine('/c/E/query/r/f', '')).toContain(' 429 ')
    })
    test('no body is read beyond its limit', async () => {
      expect(await firstLine('/didcomm', 'x'.repeat(2000))).toContain(' 429 ')
    })
    test('a refusal behind 202 stays hidden', async () => {
      agent.answers.receive = { status: 202, refused: true }
      expect((await send('/didcomm', '{}', V1)).status).toBe(202)
    })
  })
})

describe('withinDepth', () => {
  test.each([
    ['[[]]', 2, true],
    ['[[]]', 1, false],
    ['"[[[["', 1, true],
    ['{"a":"\\"[["}', 1, true],
    ['[{},{},[]]', 2, true],
    [`"${'\\\\'.repeat(3)}[["`, 1, true],
  ])('%s within %i: %s', (text, levels, expected) => {
    expect(withinDepth(Buffer.from(text), levels)).toBe(expected)
  })
})
