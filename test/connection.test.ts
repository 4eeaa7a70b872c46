// Picos of two engines and the wire between them: invitations, handshakes of both versions, policies, the pico
// protocol, what rules see on both sides, what is refused (DESIGN 3, 5; aca-pico-and-mapping 6.2).

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { LIMIT } from '../src/pico.ts'
import type { JsonObject } from '../src/ports.ts'
import { connect, LabEngine, unserve, until } from './lab.ts'

const WATCHER = `ruleset test.watcher {
  meta { shares seen, got, answers, hello }
  global {
    seen = function(domain) { ent:seen.defaultsTo([]).filter(function(e) { domain.isnull() || e{"domain"} == domain }) }
    got = function() { ent:got.defaultsTo([]) }
    answers = function() { ent:answers.defaultsTo([]) }
    hello = function(name) { "hello " + name }
  }
  rule connections { select when connection established or connection failed or connection closed or connection request_received
    fired { ent:seen := ent:seen.defaultsTo([]).append([{"domain": event:domain, "name": event:name, "attrs": event:attrs}]) } }
  rule messages { select when didcomm_basicmessage message
    fired { ent:got := ent:got.defaultsTo([]).append([event:attr("body"){"content"}]) } }
  rule rejected { select when didcomm message_rejected or didcomm problem_reported
    fired { ent:seen := ent:seen.defaultsTo([]).append([{"domain": event:domain, "name": event:name, "attrs": event:attrs}]) } }
  rule work { select when test work
    fired { ent:got := ent:got.defaultsTo([]).append([event:attr("n")]) } }
  rule answer { select when didcomm_pico answer
    fired { ent:answers := ent:answers.defaultsTo([]).append([event:attr("body")]) } }
  rule ask { select when test ask
    connection:query(event:attr("connection"), "test.watcher", "hello", {"name": "rule"}) }
  rule own { select when didcomm_tictactoe move
    fired { ent:got := ent:got.defaultsTo([]).append([event:attr("body"){"cell"}]) } }
}`
const RID = 'test.watcher'

let a: LabEngine
let b: LabEngine
const seen = async (engine: LabEngine, pico: string, name: string) =>
  ((await engine.query(pico, RID, 'seen')) as { name: string; attrs: JsonObject }[]).filter(
    event => event.name === name,
  )
const got = (engine: LabEngine, pico: string) => engine.query(pico, RID, 'got')

beforeAll(async () => {
  ;[a, b] = await Promise.all([LabEngine.start(), LabEngine.start()])
  await a.pico('ann', WATCHER)
  await b.pico('bob', WATCHER)
})
afterAll(async () => {
  await Promise.all([a.close(), b.close()])
  unserve()
})

describe.each(['v1', 'v2'] as const)('over %s', version => {
  let ids: { inviter: string; invitee: string }

  test('an invitation makes one connection on each side, told alike to both', async () => {
    ids = await connect(a, 'ann', b, 'bob', { version, events: 'test:work', queries: `${RID}/hello` })
    const [mine, theirs] = await Promise.all([
      a.verb('connection.show', { pico: 'ann', connection: ids.inviter }),
      b.verb('connection.show', { pico: 'bob', connection: ids.invitee }),
    ])
    expect(mine).toMatchObject({
      state: 'established',
      role: 'inviter',
      version,
      myDid: theirs.theirDid,
      theirDid: theirs.myDid,
    })
    expect(theirs).toMatchObject({
      state: 'established',
      role: 'invitee',
      version,
      label: 'ann',
      invitationId: mine.invitationId,
    })
    expect(mine.myDid).toMatch(version === 'v1' ? /^did:peer:4zQm[^:]+$/ : /^did:peer:2/)
    for (const [engine, pico, record] of [
      [a, 'ann', mine],
      [b, 'bob', theirs],
    ] as const) {
      const events = (await seen(engine, pico, 'established')).filter(e => e.attrs.connectionId === record.connectionId)
      expect(events).toHaveLength(1)
      const { connectionId, role, label, myDid, theirDid, invitationId } = record
      expect(events[0]?.attrs).toEqual({ connectionId, role, label, myDid, theirDid, invitationId })
    }
  })

  test('pings are answered and messages arrive once, in order', async () => {
    expect(await b.verb('ping', { pico: 'bob', connection: ids.invitee })).toMatchObject({ ok: true })
    expect(await a.verb('ping', { pico: 'ann', connection: ids.inviter })).toMatchObject({ ok: true })
    const before = (await got(a, 'ann')).length
    for (let n = 0; n < 10; n++)
      await b.verb('msg.send', { pico: 'bob', connection: ids.invitee, text: `${version} ${n}` })
    await until('ten messages', async () => (await got(a, 'ann')).length === before + 10)
    expect((await got(a, 'ann')).slice(before)).toEqual(Array.from({ length: 10 }, (_, n) => `${version} ${n}`))
    const list = await a.verb('msg.ls', { pico: 'ann', connection: ids.inviter })
    expect(list.at(-1)).toMatchObject({ direction: 'in', text: `${version} 9`, connectionId: ids.inviter })
  })

  test('a message sent again under its id applies once', async () => {
    const before = (await got(a, 'ann')).length
    const first = await b.verb('msg.send', {
      pico: 'bob',
      connection: ids.invitee,
      text: 'one',
      id: `same-${version}-1`,
    })
    expect(
      await b.verb('msg.send', { pico: 'bob', connection: ids.invitee, text: 'one', id: `same-${version}-1` }),
    ).toEqual(first)
    await until('it', async () => (await got(a, 'ann')).length > before)
    expect((await got(a, 'ann')).length).toBe(before + 1)
  })

  test('pico events and queries pass where the policy allows them', async () => {
    await b.verb('pico-event', {
      pico: 'bob',
      connection: ids.invitee,
      domain: 'test',
      type: 'work',
      attrs: { n: `${version}-work` },
    })
    await until('the event', async () => (await got(a, 'ann')).includes(`${version}-work`))
    expect(
      await b.verb('pico-query', {
        pico: 'bob',
        connection: ids.invitee,
        rid: RID,
        name: 'hello',
        args: { name: 'you' },
      }),
    ).toBe('hello you')
    const asked = (await b.query('bob', RID, 'answers')).length
    await b.event('bob', 'test', 'ask', { connection: ids.invitee })
    await until('the rule’s answer', async () => (await b.query('bob', RID, 'answers')).length > asked)
    expect((await b.query('bob', RID, 'answers')).at(-1)).toEqual({ value: 'hello rule' })
  })

  test('what the policy does not allow is refused, told to rules and to the peer', async () => {
    const before = (await got(a, 'ann')).length
    await b.verb('pico-event', {
      pico: 'bob',
      connection: ids.invitee,
      domain: 'wrangler',
      type: 'new_child_request',
      attrs: { name: 'evil' },
    })
    const [told] = await until('the rejection', async () => {
      const all = (await seen(a, 'ann', 'message_rejected')).filter(e => e.attrs.connectionId === ids.inviter)
      return all.length > 0 && all
    })
    expect(told?.attrs.reason).toBe('policy.denied')
    await until('the problem report', async () =>
      (await seen(b, 'bob', 'problem_reported')).some(e => e.attrs.connectionId === ids.invitee),
    )
    expect((await got(a, 'ann')).length).toBe(before)
    expect(await a.query('ann', 'io.picolabs.wrangler', 'children')).toEqual([])
    const query = { pico: 'bob', connection: ids.invitee, rid: 'io.picolabs.wrangler', name: 'children', args: {} }
    expect(await b.refusal('pico-query', query)).toBe('policy.denied')
  })

  test('a type that rules speak is theirs; one that nobody speaks is reported', async () => {
    await b.verb('didcomm.send', {
      pico: 'bob',
      connection: ids.invitee,
      type: 'https://example.org/tictactoe/1.0/move',
      body: { cell: `${version}-b2` },
    })
    await until('the move', async () => (await got(a, 'ann')).includes(`${version}-b2`))
    const before = (await seen(b, 'bob', 'problem_reported')).length
    await b.verb('didcomm.send', {
      pico: 'bob',
      connection: ids.invitee,
      type: 'https://example.org/chess/1.0/move',
      body: {},
    })
    await until('the report', async () => (await seen(b, 'bob', 'problem_reported')).length > before)
  })

  test('a changed policy counts from then on', async () => {
    await a.verb('connection.policy', { pico: 'ann', connection: ids.inviter, events: '' })
    const before = (await got(a, 'ann')).length
    await b.verb('pico-event', {
      pico: 'bob',
      connection: ids.invitee,
      domain: 'test',
      type: 'work',
      attrs: { n: 'late' },
    })
    expect(await b.verb('ping', { pico: 'bob', connection: ids.invitee })).toMatchObject({ ok: true })
    expect((await got(a, 'ann')).length).toBe(before)
  })

  test('a closed connection takes nothing more', async () => {
    await a.verb('connection.rm', { pico: 'ann', connection: ids.inviter })
    const before = (await got(a, 'ann')).length
    await b.verb('msg.send', { pico: 'bob', connection: ids.invitee, text: 'anybody there?' })
    await new Promise(resolve => setTimeout(resolve, 200))
    expect((await got(a, 'ann')).length).toBe(before)
    expect(await a.refusal('connection.show', { pico: 'ann', connection: ids.inviter })).toBe('connection.unknown')
  })
})

describe('an invitation', () => {
  test('for one use is used up by the first', async () => {
    await b.pico('second')
    const made = await a.verb('invite', { pico: 'ann', version: 'v1', multi: false, approve: false })
    await b.verb('accept', { pico: 'bob', invitation: made.url, wait: true })
    expect((await fetch(made.shortUrl, { headers: { accept: 'application/json' } })).status).toBe(410)
    const late = await b.verb('accept', { pico: 'second', invitation: made.url, wait: false })
    await new Promise(resolve => setTimeout(resolve, 200))
    expect((await b.verb('connection.show', { pico: 'second', connection: late.connectionId })).state).toBe('requested')
    expect((await a.verb('rejected', { pico: 'ann' })).recent.at(-1).reason).toBe('invitation.used')
  })

  test('for many uses makes a record for each', async () => {
    await b.pico('third')
    const made = await a.verb('invite', { pico: 'ann', version: 'v1', multi: true, approve: false })
    for (const pico of ['bob', 'second', 'third'])
      await b.verb('accept', { pico, invitation: made.shortUrl, wait: true })
    const mine = await until('three', async () => {
      const all = await a.verb('connection.ls', { pico: 'ann' })
      const of = all.filter(
        (c: { invitationId: string; state: string }) =>
          c.invitationId === made.invitationId && c.state === 'established',
      )
      return of.length === 3 && of
    })
    expect(new Set(mine.map((c: { connectionId: string }) => c.connectionId)).size).toBe(3)
  })

  test.each([
    ['v1', false],
    ['v1', true],
    ['v2', false],
  ] as const)('of %s, many uses: %p, grants what its record says when it is answered', async (version, multi) => {
    const made = await a.verb('invite', { pico: 'ann', version, multi, approve: false, events: '*', queries: '*' })
    const mine = async () =>
      ((await a.verb('connection.ls', { pico: 'ann' })) as { connectionId: string; invitationId: string }[]).filter(
        ({ invitationId }) => invitationId === made.invitationId,
      )
    const connectionId = String((await mine())[0]?.connectionId)
    await a.verb('connection.policy', { pico: 'ann', connection: connectionId, events: '' })
    const accepted = await b.verb('accept', { pico: 'bob', invitation: made.url, wait: true })
    expect(accepted.state).toBe('established')
    expect(await mine()).toEqual(
      Array(multi ? 2 : 1).fill(
        expect.objectContaining({
          eventPolicy: { allow: [], deny: [] },
          queryPolicy: { allow: [{ rid: '*', name: '*' }], deny: [] },
        }),
      ),
    )
  })

  test('with --approve waits for the owner', async () => {
    const ids = await connect(a, 'ann', b, 'bob', { approve: true })
    const waiting = await until('the request', async () => {
      const record = await a.verb('connection.show', { pico: 'ann', connection: ids.inviter })
      return record.state === 'requested' && record
    })
    expect(waiting.label).toBe('bob')
    expect((await b.verb('connection.show', { pico: 'bob', connection: ids.invitee })).state).toBe('requested')
    await a.verb('connection.approve', { pico: 'ann', connection: ids.inviter })
    await until(
      'established',
      async () => (await b.verb('connection.show', { pico: 'bob', connection: ids.invitee })).state === 'established',
    )
  })

  test('whose request is removed instead of approved is declined', async () => {
    for (const version of ['v1', 'v2'] as const) {
      const ids = await connect(a, 'ann', b, 'bob', { approve: true, version })
      const before = await until('the request', async () => {
        const record = await a.verb('connection.show', { pico: 'ann', connection: ids.inviter })
        return record.state === 'requested' && record
      })
      const removed = await a.verb('connection.rm', { pico: 'ann', connection: ids.inviter })
      expect(removed).toMatchObject({ connectionId: ids.inviter, state: 'closed' })
      expect(removed.updatedAt > before.updatedAt).toBe(true)
      await until(
        'the refusal',
        async () => (await b.verb('connection.show', { pico: 'bob', connection: ids.invitee })).state === 'failed',
      )
    }
  })

  test('that is used or expired is told as such by its short URL', async () => {
    const options = { pico: 'ann', version: 'v1', multi: false, approve: false }
    const used = await a.verb('invite', options)
    await b.verb('accept', { pico: 'bob', invitation: used.url, wait: true })
    const expired = await a.verb('invite', { ...options, expires_s: 1 })
    await new Promise(resolve => setTimeout(resolve, 1_200))
    const refusals = [used, expired].map(({ shortUrl }) =>
      b.refusal('accept', { pico: 'bob', invitation: shortUrl, wait: false }),
    )
    expect(await Promise.all(refusals)).toEqual(['invitation.used', 'invitation.expired'])
    expect(await a.refusal('invite', { ...options, expires_s: 1e300 })).toBe('usage')
  })

  test('that expired is refused at both ends', async () => {
    const made = await a.verb('invite', { pico: 'ann', version: 'v1', multi: false, approve: false, expires_s: 1 })
    await new Promise(resolve => setTimeout(resolve, 1_200))
    expect((await fetch(made.shortUrl, { headers: { accept: 'application/json' } })).status).toBe(410)
    expect(await b.refusal('accept', { pico: 'bob', invitation: made.url, wait: false })).toBe('invitation.expired')
    await until('failed', async () =>
      (await a.verb('connection.ls', { pico: 'ann' })).some(
        (c: { invitationId: string; state: string }) => c.invitationId === made.invitationId && c.state === 'failed',
      ),
    )
  })

  test('that is nonsense is refused with its reason', async () => {
    expect(await b.refusal('accept', { pico: 'bob', invitation: '{"a":1}', wait: false })).toBe('invitation.malformed')
    for (const invitation of ['garbage', '{"a":', 'http://127.0.0.1:9/?oob=!!', ''])
      expect(await b.refusal('accept', { pico: 'bob', invitation, wait: false })).toBe('invitation.malformed')
    expect(await b.refusal('accept', { pico: 'bob', invitation: `${a.url}/i/nope`, wait: false })).toBe(
      'invitation.unknown',
    )
    expect(await b.refusal('accept', { pico: 'bob', invitation: 'http://127.0.0.1:9/i/x', wait: false })).toBe(
      'invitation.unreachable',
    )
    const made = await a.verb('invite', { pico: 'ann', version: 'v1', multi: false, approve: false })
    expect(await a.refusal('accept', { pico: 'ann', invitation: made.url, wait: false })).toBe('invitation.invalid')
  })

  test('is JSON for agents and a page for browsers', async () => {
    const made = await a.verb('invite', {
      pico: 'ann',
      version: 'v1',
      multi: false,
      approve: false,
      label: '<b>Ann</b>',
    })
    const agent = await fetch(made.shortUrl, { headers: { accept: 'application/json' } })
    expect(await agent.json()).toEqual(made.invitation)
    const page = await (await fetch(made.shortUrl, { headers: { accept: 'text/html' } })).text()
    expect(page).toContain('<svg')
    expect(page).not.toContain('<b>Ann</b>')
  })
})

describe('a connection', () => {
  let id: string
  beforeAll(async () => {
    id = (await connect(a, 'ann', b, 'bob')).inviter
  })

  test('tells when its policy changed, and only then', async () => {
    const policy = (args: JsonObject) => a.verb('connection.policy', { pico: 'ann', connection: id, ...args })
    const before = await a.verb('connection.show', { pico: 'ann', connection: id })
    const changed = await policy({ events: 'lamp:on' })
    expect(changed.updatedAt > before.updatedAt).toBe(true)
    expect(changed.eventPolicy).toEqual({ allow: [{ domain: 'lamp', name: 'on' }], deny: [] })
    expect(await a.verb('connection.show', { pico: 'ann', connection: id })).toEqual(changed)
    expect([await policy({}), await policy({ events: 'lamp:on' })]).toEqual([changed, changed])
  })

  test('takes no type that is no message type URI', async () => {
    for (const type of ['foo', '', 'https://example.org/tictactoe'])
      expect(await a.refusal('didcomm.send', { pico: 'ann', connection: id, type, body: {} })).toBe('message.malformed')
  })
})

describe('a channel', () => {
  test('takes pairs in its policies, and no family channel is removed', async () => {
    const made = { pico: 'ann', tags: ['x'] }
    for (const [member, text] of [
      ['events', 'a:b:c'],
      ['events', 'a:'],
      ['queries', 'a/b/c'],
      ['queries', '/b'],
    ] as const)
      expect(await a.refusal('channel.new', { ...made, [member]: text })).toBe('policy.malformed')
    const family = (await a.verb('channel.ls', { pico: 'ann' })).find((c: { tags: string[] }) =>
      c.tags.includes('system'),
    )
    expect(await a.refusal('channel.rm', { pico: 'ann', eci: family.eci })).toBe('channel.family')
  })
})

test('strangers that nobody approves are refused past a number, and nothing is written', async () => {
  const limit = LIMIT as { pending: number }
  await a.pico('gate')
  const args = { pico: 'gate', version: 'v1', multi: true, approve: true, events: '', queries: '' }
  const { url } = await a.verb('invite', args)
  limit.pending = 2
  for (let n = 0; n < 3; n++)
    await b.verb('accept', { pico: 'bob', invitation: url, events: '', queries: '', wait: false })
  const refused = async () => JSON.stringify(await a.verb('rejected', { pico: 'gate' })).includes('connection.pending')
  await until('a refusal', refused)
  limit.pending = 1_000
  const states = (await a.verb('connection.ls', { pico: 'gate' })) as { state: string }[]
  expect(states.map(({ state }) => state)).toEqual(['invited', 'requested', 'requested'])
})

test('a message of an unknown type is handled by a rule that looks at every event', async () => {
  await a.pico(
    'all-ears',
    `ruleset test.ears {
    meta { shares heard }
    global { heard = function() { ent:heard } }
    rule any { select where event:domain == "didcomm_checkers"
      fired { ent:heard := event:name } }
    rule unhandled { select when didcomm message_unhandled
      fired { ent:heard := "unhandled" } }
  }`,
  )
  const { invitee } = await connect(a, 'all-ears', b, 'bob')
  const type = 'https://example.org/checkers/1.0/move'
  await b.verb('didcomm.send', { pico: 'bob', connection: invitee, type, body: {} })
  expect(await until('the move', () => a.query('all-ears', 'test.ears', 'heard'))).toBe('move')
})

describe('subscriptions of older rulesets', () => {
  test('are agreed over a connection and carry event:send by Tx', async () => {
    await a.event('ann', 'wrangler', 'wellKnown_requested')
    const wellKnown = await until('the well-known invitation', () =>
      a.query('ann', 'io.picolabs.subscription', 'wellKnown_Rx'),
    )
    await b.event('bob', 'wrangler', 'subscription', {
      wellKnown_Tx: wellKnown.url,
      Rx_role: 'sensor',
      Tx_role: 'community',
      name: 'kitchen',
    })
    const [inbound] = await until('the request', async () => {
      const all = await a.query('ann', 'io.picolabs.subscription', 'inbound')
      return all.length > 0 && all
    })
    expect(inbound).toMatchObject({ Rx_role: 'community', Tx_role: 'sensor', name: 'kitchen' })
    await a.event('ann', 'wrangler', 'pending_subscription_approval', { Id: inbound.Id })
    const [mine] = await until('established', async () => {
      const all = await b.query('bob', 'io.picolabs.subscription', 'established')
      return all.length > 0 && all
    })
    expect(mine).toMatchObject({ Rx_role: 'sensor', Tx_role: 'community' })
    await b.event('bob', 'wrangler', 'send_event_on_subs', {
      Tx_role: 'community',
      domain: 'test',
      type: 'work',
      attrs: { n: 'by subscription' },
    })
    await until('the event', async () => (await got(a, 'ann')).includes('by subscription'))
    for (const domain of [
      'connection',
      'didcomm',
      'didcomm_basicmessage',
      'engine',
      'wrangler',
      'system',
      'http',
      'proof',
    ]) {
      const before = (await seen(a, 'ann', 'message_rejected')).length
      await b.event('bob', 'wrangler', 'send_event_on_subs', {
        Tx_role: 'community',
        domain,
        type: 'closed',
        attrs: {},
      })
      await until('a refusal', async () => (await seen(a, 'ann', 'message_rejected')).length > before)
    }
    for (const [rid, name] of [
      ['io.picolabs.wrangler', 'channels'],
      ['io.picolabs.subscription', 'wellKnown_Rx'],
    ] as const)
      expect(await b.refusal('pico-query', { pico: 'bob', connection: mine.Id, rid, name, args: {} })).toBe(
        'policy.denied',
      )
    const asked = ((await b.verb('thread.ls', { pico: 'bob' })) as { protocol: string; role: string }[]).filter(
      ({ protocol, role }) => protocol === 'pico' && role === 'asker',
    )
    expect(asked).toEqual([])
  })
})
