// The admin listener against the other pages of the machine: Host and Origin attacks, one-time links, cookies, bearer
// tokens, the live stream; and the local socket beside it.

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { type AdminListener, listenAdmin } from '../src/admin.ts'
import { errors, PicoError } from '../src/errors.ts'
import { type FakeAgent, fakeAgent, whoever } from './fake-agent.ts'

const folder = mkdtempSync(join(tmpdir(), 'picomesh-admin-'))
const socket = join(folder, 'engine.sock')
let agent: FakeAgent
let admin: AdminListener

beforeAll(async () => {
  writeFileSync(join(folder, 'index.html'), '<p>console</p>')
  const forward = whoever(() => agent)
  admin = await listenAdmin({ agent: forward, port: 0, ui: folder, socket })
})
afterAll(async () => {
  await admin.close(0)
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  agent = fakeAgent()
})

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** node:http, since fetch does not let a test choose Host and Sec-Fetch-Site. */
function go(
  method: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: string,
  local = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const where = local ? { socketPath: socket } : { host: '127.0.0.1', port: new URL(admin.url).port }
    const asking = request({ ...where, method, path, headers, agent: false }, response => {
      let text = ''
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    asking.on('error', reject).end(body)
  })
}

const JSON_TYPE = { 'content-type': 'application/json' }
const own = () => ({ ...JSON_TYPE, origin: admin.url })
const token = () => new URL(admin.link()).hash.replace('#token=', '')
const code = (answer: Answer) => (JSON.parse(answer.text) as { error: { code: string } }).error.code

async function signIn(): Promise<string> {
  const answer = await go('POST', '/api/session', own(), JSON.stringify({ token: token() }))
  return answer.headers['set-cookie']![0]!.split(';')[0]!
}
const status = JSON.stringify({ verb: 'status', args: {} })

describe('signing in', () => {
  test('a link works once; its cookie is for this port, unreadable and strict', async () => {
    const one = JSON.stringify({ token: token() })
    const first = await go('POST', '/api/session', own(), one)
    const port = new URL(admin.url).port
    expect(first.status).toBe(204)
    expect(first.headers['set-cookie']![0]).toMatch(
      new RegExp(`^picomesh_${port}=[\\w-]{32}; Path=/; HttpOnly; SameSite=Strict$`),
    )
    const again = await go('POST', '/api/session', own(), one)
    expect([again.status, code(again)]).toEqual([401, 'usage.unauthorized'])
  })
  test('without one every API is closed, a wrong one too', async () => {
    for (const headers of [own(), { ...own(), cookie: 'picomesh_1=x' }, { ...own(), authorization: 'Bearer wrong' }])
      expect((await go('POST', '/api/verb', headers, status)).status).toBe(401)
    expect((await go('GET', '/api/stream')).status).toBe(401)
    expect((await go('POST', '/api/session', own(), '{"token":""}')).status).toBe(401)
    expect(agent.asked.verbs).toEqual([])
  })
  test('old links go when too many are out', async () => {
    const first = token()
    for (let i = 0; i < 16; i++) token()
    expect((await go('POST', '/api/session', own(), JSON.stringify({ token: first }))).status).toBe(401)
  })
})

describe('verbs', () => {
  test('with the cookie or the bearer token', async () => {
    agent.answers.verb = { picos: 3 }
    const cookie = await signIn()
    const byCookie = await go('POST', '/api/verb', { ...own(), cookie }, status)
    expect([byCookie.status, JSON.parse(byCookie.text)]).toEqual([200, { picos: 3 }])
    const { bearer } = JSON.parse((await go('GET', '/api/link', {}, undefined, true)).text) as { bearer: string }
    expect((await go('POST', '/api/verb', { ...JSON_TYPE, authorization: `Bearer ${bearer}` }, status)).status).toBe(
      200,
    )
    expect((await go('GET', '/api/session', { cookie })).status).toBe(204)
  })
  test('refusals keep code, place and what stands beside them', async () => {
    const cookie = await signIn()
    const ask = () => go('POST', '/api/verb', { ...own(), cookie }, status)
    agent.answers.verb = new PicoError('krl.syntax', 'no', { file: 'a.krl', line: 3 })
    expect(await ask()).toMatchObject({
      status: 422,
      text: '{"error":{"file":"a.krl","line":3,"code":"krl.syntax","message":"no"}}',
    })
    agent.answers.verb = new PicoError('connection.pending', 'not yet', { connection: { connectionId: 'c' } })
    expect(JSON.parse((await ask()).text)).toEqual({
      error: { code: 'connection.pending', message: 'not yet' },
      connection: { connectionId: 'c' },
    })
    agent.answers.verb = new PicoError('pico.moved', 'gone', { movedTo: 'http://b' })
    expect(await ask()).toMatchObject({ status: 409, text: expect.stringContaining('"movedTo":"http://b"') })
  })
  test('no refusal looks like success, whatever its code', async () => {
    const cookie = await signIn()
    const successes: string[] = []
    for (const code of Object.keys(errors)) {
      agent.answers.verb = new PicoError(code, 'no')
      const { status: said } = await go('POST', '/api/verb', { ...own(), cookie }, status)
      if (said < 400) successes.push(code)
    }
    expect(successes).toEqual([])
  })
  test.each([
    ['text/plain', status, 415],
    ['application/json', '{', 400],
    ['application/json', '{"verb":1}', 400],
    ['application/json', '{"verb":"status","args":[]}', 400],
    ['application/json', `{"verb":"status","args":{"a":"${'x'.repeat(4_200_000)}"}}`, 413],
  ])('a body of %s is checked %#', async (type, body, expected) => {
    const cookie = await signIn()
    expect((await go('POST', '/api/verb', { 'content-type': type, origin: admin.url, cookie }, body)).status).toBe(
      expected,
    )
  })
})

describe('attacks', () => {
  test.each(['evil.example', 'evil.example:3001', '127.0.0.1', '127.0.0.1.evil.example:3001'])(
    'host %j is refused (DNS rebinding)',
    async host => {
      const cookie = await signIn()
      for (const path of ['/', '/api/session']) {
        const answer = await go('GET', path, { host, cookie })
        expect([403, 400]).toContain(answer.status)
      }
    },
  )
  test('localhost and ::1 are known names', async () => {
    const port = new URL(admin.url).port
    for (const host of [`localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
      expect((await go('GET', '/', { host })).status).toBe(200)
  })
  test.each(['http://evil.example', 'http://127.0.0.1:3000', 'null', 'https://127.0.0.1'])(
    'origin %s gets nothing, cookie or not',
    async origin => {
      const cookie = await signIn()
      for (const [method, path] of [
        ['POST', '/api/verb'],
        ['GET', '/api/stream'],
        ['GET', '/'],
        ['POST', '/api/session'],
      ] as const) {
        const answer = await go(method, path, { ...JSON_TYPE, cookie, origin }, method === 'POST' ? status : undefined)
        expect([path, answer.status, answer.headers['access-control-allow-origin']]).toEqual([path, 403, undefined])
      }
      expect(agent.asked.verbs).toEqual([])
    },
  )
  test('the site that the browser names is believed', async () => {
    const cookie = await signIn()
    for (const site of ['cross-site', 'same-site']) {
      expect((await go('GET', '/api/stream', { cookie, 'sec-fetch-site': site })).status).toBe(403)
      expect(
        (await go('GET', '/api/session', { cookie, 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate' })).status,
      ).toBe(403)
      expect((await go('GET', '/', { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate' })).status).toBe(200)
    }
  })
  test('a change by cookie needs an Origin', async () => {
    const cookie = await signIn()
    expect((await go('POST', '/api/verb', { ...JSON_TYPE, cookie }, status)).status).toBe(403)
  })
  test('the page may load only its own', async () => {
    const { headers, text } = await go('GET', '/')
    expect(text).toBe('<p>console</p>')
    expect(headers['content-security-policy']).toMatch(/default-src 'self'.*frame-ancestors 'none'/)
    expect([headers['x-content-type-options'], headers['x-powered-by'], headers['referrer-policy']]).toEqual([
      'nosniff',
      undefined,
      'no-referrer',
    ])
  })
  test('a link for the command line is not given to browsers', async () => {
    const cookie = await signIn()
    expect((await go('GET', '/api/link', { cookie })).status).toBe(404)
  })
  test('no file outside the console is served', async () => {
    for (const path of ['/../../etc/passwd', '/..%2f..%2fetc/passwd', '/%2e%2e/x'])
      expect([403, 404]).toContain((await go('GET', path)).status)
  })
})

describe('the stream', () => {
  test('sends what happens as it happens and stops watching when the reader leaves', async () => {
    const cookie = await signIn()
    const port = new URL(admin.url).port
    const lines: string[] = []
    await new Promise<void>(resolve => {
      const asking = request(
        { host: '127.0.0.1', port, path: '/api/stream', headers: { cookie }, agent: false },
        response => {
          expect(response.headers['content-type']).toBe('text/event-stream')
          response.on('error', () => {})
          response.on('data', chunk => {
            lines.push(...String(chunk).split('\n').filter(Boolean))
            if (lines.length === 1) agent.push({ kind: 'log', message: 'a\nb' })
            if (lines.length >= 2) {
              response.destroy()
              resolve()
            }
          })
        },
      )
      asking.end()
    })
    expect(lines).toEqual(['retry: 1000', 'data: {"kind":"log","message":"a\\nb"}'])
    for (let i = 0; i < 100 && agent.watchers() > 0; i++) await new Promise(resolve => setTimeout(resolve, 10))
    expect(agent.watchers()).toBe(0)
  })
})

describe('the local socket', () => {
  test('is this user’s alone and asks for no token', async () => {
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    agent.answers.verb = ['x']
    const answer = await go('POST', '/api/verb', JSON_TYPE, status, true)
    expect([answer.status, answer.text]).toEqual([200, '["x"]'])
  })
  test('gives console links', async () => {
    const { url } = JSON.parse((await go('GET', '/api/link', {}, undefined, true)).text) as { url: string }
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{32}$/)
  })
})
