// What a caller is told by the status of an event or a query: 4xx is the caller's own channel, policy and request, and
// then nothing was done; what a rule fails at is 500, whatever it was (contract 4).

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { connect, LabEngine, unserve } from './lab.ts'

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
