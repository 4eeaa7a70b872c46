// The life of an engine as a process (contract 2): what a start after a move finds, what a stop says to those who wait.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, expect, jest, test } from '@jest/globals'
import { EngineProcess, freePort, until } from '../examples/engine-process.ts'
import { followEngine } from '../src/local.ts'
import type { JsonObject } from '../src/ports.ts'

jest.setTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), 'picomesh-life-'))
afterAll(() => rmSync(folder, { recursive: true }))
const engines: EngineProcess[] = []
afterEach(async () => {
  await Promise.all(engines.splice(0).map(engine => engine.kill()))
})

async function started(name: string): Promise<EngineProcess> {
  const engine = await EngineProcess.start({ home: join(folder, name), port: await freePort() })
  engines.push(engine)
  return engine
}
const invitationOf = (engine: EngineProcess) => /\S+\/i\/(\S+)/.exec(engine.output)?.[1] as string

test('an engine whose root moved away starts again, with an invitation of its new root', async () => {
  const [a, b] = await Promise.all([started('source'), started('target')])
  const { ticket } = await b.verb('move.ticket')
  expect(await a.verb('move.run', { pico: 'root', ticket: String(ticket) })).toMatchObject({ state: 'active' })
  expect(await a.stop()).toBe(0)
  const again = await a.restart()
  engines.push(again)
  expect(invitationOf(again)).not.toBe(invitationOf(a))
  const { label } = (await (await fetch(`${again.url}/i/${invitationOf(again)}`)).json()) as JsonObject
  expect(label).toBe('root')
  // It stays the same from then on.
  expect(await again.stop()).toBe(0)
  const third = await again.restart()
  engines.push(third)
  expect(invitationOf(third)).toBe(invitationOf(again))
})

const WAITER = (url: string) => `ruleset test.waiter {
  meta { shares ask }
  global { ask = function() { http:get("${url}") } }
  rule wait { select when test wait  http:get("${url}") setting(answer)  fired { ent:got := answer{"status_code"} } } }`

/** Somebody who takes requests and never answers; `asked` counts them. */
async function silent(): Promise<{ url: string; asked: () => number }> {
  let asked = 0
  const server = createServer(() => void asked++)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked: () => asked }
}
const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

/** An engine with a pico whose step on `test:wait` waits for somebody who never answers; the path that raises it. */
async function waiting(name: string) {
  const [engine, nobody] = [await started(name), await silent()]
  const file = join(folder, `${name}.krl`)
  writeFileSync(file, WAITER(nobody.url))
  await engine.verb('pico.new', { name: 'slow', rulesets: [pathToFileURL(file).href] })
  const { eci } = await engine.verb('channel.new', { pico: 'slow', tags: ['t'], events: 'test:*', queries: '*/*' })
  const event = `${engine.url}/c/${String(eci)}/event-wait/test/wait`
  const query = `${engine.url}/c/${String(eci)}/query/test.waiter/ask`
  const waits = (count: number) => until('the steps to wait', 5_000, async () => nobody.asked() === count)
  return { engine, event, query, waits }
}

test('a stop tells those whose steps wait for an effect to come again, and takes nobody new', async () => {
  const { engine, event, waits } = await waiting('stops')
  const { port } = new URL(engine.url)
  const asked = [fetch(event, { method: 'POST' }), fetch(event, { method: 'POST' })]
  const command = engine.verb('event', { pico: 'slow', domain: 'test', type: 'wait', attrs: {}, wait: true })
  const refused = command.catch((error: { body?: JsonObject }) => error.body)
  await waits(1)
  const begun = Date.now()
  const stopped = engine.stop()
  const told = await Promise.all(asked.map(async one => [(await one).status, await (await one).json()]))
  const stopping = { error: expect.objectContaining({ code: 'engine.stopping' }) }
  expect(told).toEqual([
    [503, stopping],
    [503, stopping],
  ])
  expect(await refused).toEqual(stopping)
  const late = new Promise(resolve =>
    connect(Number(port), '127.0.0.1').once('error', resolve).once('connect', resolve),
  )
  expect(await late).toMatchObject({ code: 'ECONNREFUSED' })
  expect(await stopped).toBe(0)
  expect(Date.now() - begun).toBeLessThan(2_000)
})

test('a stop tells those who ask and those who wait for a peer', async () => {
  const [{ engine, query, waits }, peer] = await Promise.all([waiting('asked'), started('gone')])
  const { url } = await peer.verb('invite', { pico: 'root', version: 'v1', multi: false, approve: false })
  await peer.kill()
  const body = (error: { body?: JsonObject }) => error.body
  const asked = fetch(query)
  const owners = engine.verb('query', { pico: 'slow', rid: 'test.waiter', name: 'ask', args: {} }).catch(body)
  const accepted = engine.verb('accept', { pico: 'root', invitation: String(url), wait: true }).catch(body)
  await waits(2)
  await until('the invitation to be accepted', 5_000, async () => {
    const all = await engine.verb<JsonObject[]>('connection.ls', { pico: 'root' })
    return all.some(({ state }) => state === 'requested')
  })
  const stopped = engine.stop()
  const stopping = { error: expect.objectContaining({ code: 'engine.stopping' }) }
  const answer = await asked
  expect([answer.status, await answer.json(), await owners, await accepted]).toEqual([
    503,
    stopping,
    stopping,
    stopping,
  ])
  expect(await stopped).toBe(0)
})

test.each(['SIGTERM', 'SIGINT'] as const)('a stop goes on to its end whatever %s comes meanwhile', async signal => {
  const engine = await started(`twice-${signal}`)
  const { home } = engine.options
  // Who follows the log is cut last of all: until then the engine is stopping.
  const { ended } = await followEngine(home, () => undefined)
  process.kill(engine.file.pid, signal)
  await sleep(100)
  for (const again of [signal, 'SIGINT', 'SIGTERM'] as const) process.kill(engine.file.pid, again)
  await ended.catch(() => undefined)
  expect(await engine.stop()).toBe(0)
  expect(existsSync(join(home, 'engine.json'))).toBe(false)
})

test('a stop waits for no WebSocket whose peer does not answer the close', async () => {
  const engine = await started('silent-peer')
  const line = connect(Number(new URL(engine.url).port), '127.0.0.1')
  line.write(
    'GET /didcomm HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  await new Promise(resolve => line.once('data', resolve))
  const begun = Date.now()
  expect(await engine.stop()).toBe(0)
  line.destroy()
  expect(Date.now() - begun).toBeLessThan(3_000)
  expect(existsSync(join(engine.options.home, 'engine.json'))).toBe(false)
})
