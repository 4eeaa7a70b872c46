// What a caller is told by the status of an event or a query: 4xx is the caller's own channel, policy and request, and
// then nothing was done; what a rule fails at is 500, whatever it was (contract 4).

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { connect, LabEngine, served, unserve } from './lab.ts'

const RID = 'test.fails'
const FAILS = `ruleset ${RID} {
  meta { shares ran, reach }
  global {
    ran = function() { ent:ran }
    reach = function(eci) { ctx:query(eci, "${RID}", "ran") }
  }
  rule ran { select when test run fired { ent:ran := ent:ran.defaultsTo(0) + 1 } }
  rule reach { select when test reach
    pre { value = reach(event:attr("eci")) } }
  rule receive { select when test receive
    connection:receive("zz") setting(made) }
  rule made { select when test make
    ctx:install(event:attr("url")) setting(made) }
  rule install { select when test install
    ctx:install("http://127.0.0.1:1/none.krl") setting(made) }
  rule send { select when test send
    didcomm:send(event:attr("connection"), "notatype", {}) }
}`

let engine: LabEngine
let eci: string
let closed: string
let connection: string
const answer = async (path: string) => {
  const response = await fetch(`${engine.url}/c/${eci}/${path}`)
  const text = await response.text()
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member
  return [response.status, JSON.parse(text) as any, response.headers.get('retry-after')] as const
}

beforeAll(async () => {
  engine = await LabEngine.start()
  await engine.pico('lab', FAILS)
  await engine.pico('peer')
  const channel = (tag: string, queries: string) =>
    engine.verb('channel.new', { pico: 'lab', tags: [tag], events: 'test:*', queries })
  eci = (await channel('open', `${RID}/*`)).eci
  closed = (await channel('closed', '')).eci
  connection = (await connect(engine, 'peer', engine, 'lab')).invitee
})
afterAll(async () => {
  await engine.close()
  unserve()
})

describe('a rule that fails is 500, with what it failed at', () => {
  test.each([
    ['a query to no channel', () => 'test/reach?eci=nowhere', 'channel.unknown', 'reach'],
    ['a query that the channel does not take', () => `test/reach?eci=${closed}`, 'policy.denied', 'reach'],
    ['an invitation that is none', () => 'test/receive', 'invitation.malformed', 'receive'],
    ['a ruleset that does not come', () => 'test/install', 'ruleset.unreachable', 'install'],
    ['a message of no type', () => `test/send?connection=${connection}`, 'message.malformed', 'send'],
  ])('%s', async (_, event, code, rule) => {
    const failed = [500, { error: expect.objectContaining({ code, rid: RID, rule }) }, null]
    expect(await answer(`event-wait/${event()}`)).toEqual(failed)
    expect(await answer(`event/${event().replace(/(\?|$)/, `/query/${RID}/ran$1`)}`)).toEqual(failed)
  })

  test('a shared function too', async () => {
    const failed = [500, { error: expect.objectContaining({ code: 'channel.unknown', rid: RID }) }, null]
    expect(await answer(`query/${RID}/reach?eci=nowhere`)).toEqual(failed)
    expect(await answer(`event/test/run/query/${RID}/reach?eci=nowhere`)).toEqual(failed)
  })

  test('and counts against nobody', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 300 }, async () => (await answer('event-wait/test/reach?eci=nowhere'))[0]),
    )
    expect(new Set(statuses)).toEqual(new Set([500]))
  })

  test('while the caller’s own channel, policy and body stay 4xx', async () => {
    expect((await answer('event-wait/other/run'))[0]).toBe(403)
    expect((await answer(`query/${RID}/nothing`))[0]).toBe(404)
    expect((await fetch(`${engine.url}/c/nowhere/event-wait/test/run`)).status).toBe(404)
  })
})

describe('an event whose query is refused', () => {
  const ran = async () => (await answer(`query/${RID}/ran`))[1] as number | null
  const refused = async (path: string, key?: string) => {
    const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key }
    const response = await fetch(`${engine.url}/c/${path}`, { method: 'POST', headers })
    return [response.status, ((await response.json()) as { error?: { code: string } }).error?.code]
  }

  test('by the channel is not raised', async () => {
    const before = await ran()
    expect(await refused(`${closed}/event/test/run/query/${RID}/ran`)).toEqual([403, 'policy.denied'])
    expect(await ran()).toBe(before)
  })

  test('by the pico keeps nothing, its id neither', async () => {
    const before = (await ran()) ?? 0
    const { eci: wide } = await engine.verb('channel.new', { pico: 'lab', tags: ['wide'], events: '*', queries: '*' })
    expect(await refused(`${wide}/event/test/run/query/no.such/ran`, 'k')).toEqual([404, 'ruleset.unknown'])
    expect(await refused(`${wide}/event/test/run/query/${RID}/none`, 'k')).toEqual([404, 'query.unknown'])
    expect(await ran()).toBe(before === 0 ? null : before)
    expect((await refused(`${wide}/event/test/run/query/${RID}/ran`, 'k'))[0]).toBe(200)
    expect(await ran()).toBe(before + 1)
  })

  test('is raised when it brings the ruleset that answers', async () => {
    const url = await served('ruleset test.made { meta { shares x } global { x = function() { 7 } } }')
    const { eci: wide } = await engine.verb('channel.new', { pico: 'lab', tags: ['wide'], events: '*', queries: '*' })
    const response = await fetch(`${engine.url}/c/${wide}/event/test/make/query/test.made/x?url=${url}`)
    expect([response.status, await response.json()]).toEqual([200, 7])
  })
})
