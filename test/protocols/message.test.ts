// The message model against the published examples and captured conversations (test/vectors/NOTICE says whose), and the
// rules on types, ids, times and base64 one by one.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import {
  attachmentBytes,
  attachmentJson,
  base64Json,
  decodeBase64,
  encodeBase64,
  encodeBase64url,
  neutralJson,
} from '../../protocols/attachment.ts'
import { byType, dispatch, eventName, features } from '../../protocols/index.ts'
import { handshakeFor, invitationUrl, readInvitation } from '../../protocols/invitation.ts'
import { messageAttributes } from '../../protocols/machine.ts'
import {
  type Attachment,
  attachment,
  idKey,
  isExpired,
  isObject,
  isProblem,
  type Json,
  type JsonObject,
  type Message,
  parseMessage,
  parseType,
  type Version,
} from '../../protocols/message.ts'
import { serialise } from '../../protocols/outgoing.ts'
import { problemCodes, reportedCode, wireCode } from '../../protocols/problem.ts'
import { forwardBody, hops, readForward } from '../../protocols/routing.ts'

interface Case {
  readonly id: string
  readonly kind: string
  readonly message: JsonObject
  readonly url: string
  readonly attachment: { data: JsonObject }
  readonly messages: { message: JsonObject }[]
  readonly expected: JsonObject & { message: JsonObject }
}

function vectors(name: string): Case[] {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')).cases
}

function parsed(json: Json, version: Version): Message {
  const message = parseMessage(json, version)
  if (isProblem(message)) throw new Error(`${message.code} ${message.place}: ${message.message}`)
  return message
}

const OLD = 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/'

/** What serialising must give back: the same members, but the prefix is the new one and defaults are left out. */
function normal(json: JsonObject, message: Message): JsonObject {
  const { '~thread': thread, typ: _typ, '~timing': _timing, ...rest } = json
  const own = isObject(thread) ? thread : {}
  const ids = own.pthid || (own.thid && own.thid !== message.id) ? { ...own, thid: own.thid ?? message.id } : {}
  const type = message.version === 'v1' ? { '@type': message.type } : { type: message.type, body: rest.body ?? {} }
  // An explicit thid equal to the id says nothing; an `~thread` beside v2 headers is no header of ours.
  const { thid, ...headers } = rest
  const same = message.version === 'v2' && thid === message.id ? headers : rest
  return { ...same, ...type, ...(Object.keys(ids).length > 0 && { '~thread': ids }) }
}

function written(message: Message): JsonObject {
  const { typ: _typ, '~timing': _timing, ...rest } = serialise(message)
  return rest
}

describe('aries-rfc-examples', () => {
  test.each(vectors('messages/aries-rfc-examples').map(one => [one.id, one] as const))(
    '%s',
    (_id, { message: json, expected }) => {
      const type = parseType(json['@type'] as string)
      if (expected.protocol === null || expected.version === '%VER') {
        expect(isProblem(type) && type.code).toBe('message.malformed')
        expect(isProblem(parseMessage(json, 'v1'))).toBe(true)
      }
      if (expected.protocol === null) return
      const real = { ...json, '@type': (json['@type'] as string).replace('%VER', '1.0') }
      expect(parseType(real['@type'])).toMatchObject({
        docUri: 'https://didcomm.org/',
        protocol: expected.protocol,
        name: expected.name,
      })
      if (json['@id'] === undefined) {
        expect(parseMessage(real, 'v1')).toMatchObject({ code: 'message.malformed', place: '@id' })
        return
      }
      const message = parsed(real, 'v1')
      expect([message.thid, message.pthid ?? null]).toStrictEqual([expected.thid, expected.pthid])
      if (!JSON.stringify(json).includes('"did_doc~attach":{"base64"'))
        expect(written(message)).toStrictEqual(normal(real, message))
    },
  )
})

describe('didcomm-org-examples', () => {
  test.each(vectors('messages/didcomm-org-examples').map(one => [one.id, one] as const))(
    '%s',
    (_id, { message: json, expected }) => {
      const version = expected.didcomm === 1 ? 'v1' : 'v2'
      const message = parseMessage(json, version)
      const fault = nonconformance(json, version)
      expect(isProblem(message) ? message.place : undefined).toBe(fault)
      if (isProblem(message)) return
      expect(message.type).toBe(expected.type)
      expect(written(message)).toStrictEqual(normal(json, message))
    },
  )
})

/** The member by which an example breaks the specification, so that it must be refused. */
function nonconformance(json: JsonObject, version: Version): string | undefined {
  const [type, id] = version === 'v1' ? ['@type', '@id'] : ['type', 'id']
  if (!/^https:\/\//.test(json[type] as string)) return 'type'
  if (typeof json[id] !== 'string') return id
  if (version === 'v1') return undefined
  if (typeof json.to === 'string') return 'to'
  return ['created_time', 'expires_time'].find(name => typeof json[name] === 'string')
}

describe('invitation-urls', () => {
  test.each(vectors('messages/invitation-urls').map(one => [one.id, one] as const))('%s', (_id, { url, expected }) => {
    const invitation = readInvitation(url)
    const connectionless = (expected.message.handshake_protocols as Json[] | undefined)?.length === 0
    expect(isProblem(invitation) ? invitation : invitation.json).toStrictEqual(expected.message)
    if (isProblem(invitation)) return
    expect(readInvitation(JSON.stringify(expected.message))).toStrictEqual(invitation)
    expect(readInvitation(invitationUrl('https://engine.example', invitation.json))).toStrictEqual(invitation)
    const handshake = handshakeFor(invitation, 0)
    const offered = JSON.stringify(expected.message.handshake_protocols ?? [])
    const name =
      invitation.version === 'v2' ? 'first-contact' : offered.includes('didexchange') ? 'didexchange' : undefined
    expect('name' in handshake ? handshake.name : undefined).toBe(connectionless ? undefined : name)
  })

  test('our own URLs are unpadded base64url', () => {
    expect(invitationUrl('https://e.example', { '@type': 'x', a: '??>>~~ü' })).toMatch(
      /^https:\/\/e\.example\?oob=[A-Za-z0-9_-]+$/,
    )
  })

  test.each([
    ['https://engine.example/i/1', 'invitation.short'],
    ['what', 'invitation.malformed'],
    ['https://e.example?oob=%%%', 'invitation.malformed'],
    ['https://e.example?oob=e30', 'invitation.malformed'],
    ['https://e.example?oob=W10', 'invitation.malformed'],
    ['{"@type":"https://didcomm.org/basicmessage/1.0/message","@id":"12345678"}', 'invitation.malformed'],
    [
      '{"@type":"https://didcomm.org/out-of-band/1.1/invitation","@id":"12345678","services":[]}',
      'invitation.malformed',
    ],
    ['{"type":"https://didcomm.org/out-of-band/2.0/invitation","id":"12345678","body":{}}', 'invitation.malformed'],
    [
      '{"@type":"https://didcomm.org/out-of-band/1.1/invitation","@id":"12345678","handshake_protocols":["x"],"services":[7]}',
      'invitation.malformed',
    ],
  ])('%s', (given, code) => {
    expect(readInvitation(given)).toMatchObject({ code })
  })

  test('an expired invitation has no handshake', () => {
    const invitation = readInvitation({
      type: 'https://didcomm.org/out-of-band/2.0/invitation',
      id: '1',
      from: 'did:example:1',
      expires_time: 10,
    })
    expect(
      isProblem(invitation) ? undefined : [handshakeFor(invitation, 9999), handshakeFor(invitation, 10_000)],
    ).toMatchObject([{ name: 'first-contact' }, { code: 'invitation.expired' }])
  })
})

describe('attachment-encoding', () => {
  test.each(vectors('messages/attachment-encoding').map(one => [one.id, one] as const))('%s', (_id, one) => {
    const read = attachmentJson(one.attachment)
    if (one.kind === 'positive') expect(read).toStrictEqual({ value: one.expected.json })
    else expect(isProblem(read)).toBe(true)
  })

  test('what we emit reads the same in both alphabets, padded', () => {
    const value = { did: 'did:key:z6Mk~?>', label: 'Grüße 🌱 ÿþ' }
    const { base64 } = base64Json(value)
    expect(base64).toMatch(/^[A-Za-z0-9]+={0,2}$/)
    expect(attachmentJson({ data: { base64 } })).toStrictEqual({ value })
    expect(JSON.parse(neutralJson(value))).toStrictEqual(value)
  })

  test('base64 of every length, both alphabets', () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, n) => (n * 73 + length * 31) & 255)
      for (const text of [encodeBase64(bytes), encodeBase64url(bytes), encodeBase64(bytes).replace(/=+$/, '')])
        expect(decodeBase64(text)).toStrictEqual(bytes)
    }
    for (const text of ['A', 'AA=', 'AAA==', 'A A=', 'AA\n==', '-+AA', 'AAAA=', '='])
      expect([text, decodeBase64(text)]).toStrictEqual([text, undefined])
  })

  test.each<[string, Attachment]>([
    ['links are not followed', { data: { links: ['https://example.org/'] } }],
    ['base64 of no UTF-8', { data: { base64: '//8=' } }],
    ['base64 of no JSON', { data: { base64: 'e30x' } }],
  ])('%s', (_name, given) => {
    expect(isProblem(attachmentJson(given))).toBe(true)
  })

  test('bytes of data.json', () => {
    expect(attachmentBytes({ data: { json: { a: 1 } } })).toStrictEqual(new TextEncoder().encode('{"a":1}'))
  })
})

describe('acapy-transcripts', () => {
  test.each(vectors('acapy-transcripts/acapy-0.12.8').map(one => [one.id, one] as const))(
    '%s',
    (_id, { messages, expected }) => {
      const facts = expected as unknown as {
        id: string
        type: string
        thid: string
        pthid: string | null
        signatures: { member: string; kind: string }[]
      }[]
      for (const [index, { message: json }] of messages.entries()) {
        const message = parsed(json, 'v1')
        const fact = facts[index]!
        expect([message.id, message.type, message.thid, message.pthid ?? null]).toStrictEqual([
          fact.id,
          fact.type,
          fact.thid,
          fact.pthid,
        ])
        expect(written(message)).toStrictEqual(normal(json, message))
        for (const { member } of fact.signatures.filter(one => one.kind === 'jws-detached')) {
          expect(attachment(message, member.replace('~attach', ''))?.data).toHaveProperty('jws')
        }
      }
    },
  )

  test('their forwards are read, their problem reports are led to the thread', () => {
    const all = vectors('acapy-transcripts/acapy-0.12.8').flatMap(one =>
      one.messages.map(({ message }) => parsed(message, 'v1')),
    )
    const forwards = all.filter(message => message.type.endsWith('/forward')).map(readForward)
    expect(forwards.length).toBeGreaterThan(0)
    expect(forwards.filter(isProblem)).toStrictEqual([])
    const report = all.find(message => message.type === 'https://didcomm.org/notification/1.0/problem-report')!
    const thread = {
      threadId: report.thid,
      protocol: 'didexchange',
      piuri: 'x/1.1',
      version: 'v1',
      role: 'requester',
      state: 'request-sent',
      data: {},
      updatedAt: 0,
    } as const
    expect(dispatch(report, id => (id === report.thid ? thread : undefined))).toMatchObject({
      trigger: 'receive problem_report',
      thread,
    })
    expect(dispatch(report, () => undefined)).toMatchObject({
      trigger: 'receive problem-report',
      protocol: { name: 'report-problem' },
    })
    expect(reportedCode(report.body)).toBe('abandoned')
  })
})

describe('types', () => {
  test('both prefixes are one', () => {
    expect(parseType(`${OLD}trust_ping/1.0/ping`)).toStrictEqual(parseType('https://didcomm.org/trust_ping/1.0/ping'))
  })

  test.each([
    '',
    'ping',
    'https://didcomm.org/trust_ping/1/ping',
    'https://didcomm.org/1.0/',
    'trust_ping/1.0/ping',
    `https://x/${'a'.repeat(600)}/1.0/b`,
  ])('not a message type: %s', uri => {
    expect(parseType(uri)).toMatchObject({ code: 'message.malformed' })
  })

  test('RFC 0003: any minor of a major we know; another major or name is not known', () => {
    const names = (uri: string) => byType(uri).map(({ protocol, name }) => `${protocol.name} ${name}`)
    expect(names('https://didcomm.org/trust_ping/1.99/ping_response')).toStrictEqual(['trust-ping ping-response'])
    expect(names('https://didcomm.org/discover-features/2.0/disclosures')).toStrictEqual(['discover-features disclose'])
    expect(names('https://didcomm.org/trust-ping/2.0/ping')).toStrictEqual(['first-contact ping', 'trust-ping ping'])
    expect(names('https://didcomm.org/trust_ping/3.0/ping')).toStrictEqual([])
    expect(names('https://didcomm.org/trust_ping/1.0/pong')).toStrictEqual([])
    expect(names('https://didcomm.org/trust_ping/1.0/constructor')).toStrictEqual([])
  })

  test('one event name for both versions; characters outside identifiers become _', () => {
    expect(eventName('https://didcomm.org/trust_ping/1.0/ping_response')).toStrictEqual(
      eventName('https://didcomm.org/trust-ping/2.0/ping-response'),
    )
    expect(eventName('https://didcomm.org/trust-ping/2.0/ping')).toStrictEqual({
      domain: 'didcomm_trust_ping',
      name: 'ping',
    })
    expect(eventName('https://didcomm.org/notification/1.0/problem-report')).toStrictEqual({
      domain: 'didcomm_report_problem',
      name: 'problem_report',
    })
    expect(eventName('https://example.org/tic-tac-toe/1.0/game.over')).toStrictEqual({
      domain: 'didcomm_tic_tac_toe',
      name: 'game_over',
    })
    expect(eventName('nonsense')).toBeUndefined()
  })

  test('features: every dialect once, none of what is not for peers', () => {
    const ids = features.map(feature => feature.id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids).toEqual(
      expect.arrayContaining([
        'https://didcomm.org/didexchange/1.1',
        'https://picomesh.dev/relocate/1.0',
        'https://didcomm.org/trust-ping/2.0',
      ]),
    )
    expect(ids).not.toContain('https://picomesh.dev/move/1.0')
  })
})

describe('form', () => {
  const v1 = { '@type': 'https://didcomm.org/basicmessage/1.0/message', '@id': 'message-1' }
  const v2 = { type: 'https://didcomm.org/basicmessage/2.0/message', id: 'message-1' }

  test.each<[string, Version, Json]>([
    ['an array', 'v1', []],
    ['text', 'v2', 'x'],
    ['no type', 'v1', { '@id': 'x' }],
    ['a number as id', 'v1', { ...v1, '@id': 7 }],
    ['an id of 256 characters', 'v1', { ...v1, '@id': 'x'.repeat(256) }],
    ['an empty id', 'v2', { ...v2, id: '' }],
    ['a thid that is a number', 'v1', { ...v1, '~thread': { thid: 7 } }],
    ['an unreadable expiry', 'v1', { ...v1, '~timing': { expires_time: 'soon' } }],
    ['an expiry on no day', 'v1', { ...v1, '~timing': { expires_time: '2025-13-41T00:00:00Z' } }],
    ['timing that is text', 'v1', { ...v1, '~timing': 'x' }],
    ['an attachment without data', 'v1', { ...v1, 'x~attach': [{}] }],
    ['an attachment that is text', 'v1', { ...v1, '~attach': ['x'] }],
    ['a body that is text', 'v2', { ...v2, body: 'x' }],
    ['to as text', 'v2', { ...v2, to: 'did:example:1' }],
    ['from as a list', 'v2', { ...v2, from: ['did:example:1'] }],
    ['an expiry as text', 'v2', { ...v2, expires_time: '12' }],
    ['a negative time', 'v2', { ...v2, created_time: -1 }],
    ['attachments that are none', 'v2', { ...v2, attachments: {} }],
    ['an attachment that is none', 'v2', { ...v2, attachments: [7] }],
    ['an empty thid', 'v2', { ...v2, thid: '' }],
  ])('refused: %s', (_name, version, json) => {
    expect(parseMessage(json, version)).toMatchObject({ code: 'message.malformed' })
  })

  test('threads: absent, null and empty mean the own id; ids compare in lower case', () => {
    for (const thread of [
      {},
      { '~thread': null },
      { '~thread': 'x' },
      { '~thread': {} },
      { '~thread': { thid: null } },
    ])
      expect(parsed({ ...v1, ...thread }, 'v1').thid).toBe('message-1')
    expect(parsed({ ...v1, '~thread': { pthid: 'parent-1' } }, 'v1')).toMatchObject({
      thid: 'message-1',
      pthid: 'parent-1',
    })
    expect(idKey('AbC-1')).toBe(idKey('aBc-1'))
  })

  test('a thread with a parent names both ids, on the first message too', () => {
    const message: Message = {
      version: 'v1',
      id: 'm-1',
      type: v1['@type'],
      thid: 'm-1',
      pthid: 'p-1',
      body: {},
      attachments: [],
    }
    expect(serialise(message)['~thread']).toStrictEqual({ thid: 'm-1', pthid: 'p-1' })
    const { pthid: _pthid, ...alone } = message
    expect(serialise(alone)).not.toHaveProperty('~thread')
  })

  test('times are seconds, zones are read, a blank may stand for T', () => {
    const at = (expires_time: string) => parsed({ ...v1, '~timing': { expires_time } }, 'v1').expiresTime
    expect(
      [
        '2025-01-01T00:00:00Z',
        '2025-01-01 00:00:00Z',
        '2025-01-01T01:00:00+0100',
        '2025-01-01T00:00:00.999',
        '2024-12-31T23:00-01:00',
      ].map(at),
    ).toStrictEqual(Array(5).fill(1_735_689_600))
    const message = parsed({ ...v2, expires_time: 100 }, 'v2')
    expect([isExpired(message, 99_999), isExpired(message, 100_000)]).toStrictEqual([false, true])
    expect(serialise({ ...message, version: 'v1', createdTime: 0 })['~timing']).toStrictEqual({
      out_time: '1970-01-01T00:00:00Z',
      expires_time: '1970-01-01T00:01:40Z',
    })
  })

  test('decorators and headers come back as they were', () => {
    const json: JsonObject = {
      ...v1,
      '~thread': { thid: 'thread-1', sender_order: 3, received_orders: { 'did:example:1': 1 } },
      '~transport': { return_route: 'thread', return_route_thread: 'thread-1' },
      '~please_ack': { on: ['RECEIPT'] },
      '~l10n': { locale: 'de' },
      '~trace': { target: 'log' },
      'connection~sig': { signer: 'x' },
      'requests~attach': [],
      'files~attach': [{ '@id': 'a', 'mime-type': 'text/plain', byte_count: 3, data: { base64: 'AAAA' } }],
      content: 'hello',
    }
    const message = parsed(json, 'v1')
    expect(message).toMatchObject({
      returnRoute: 'thread',
      pleaseAck: ['RECEIPT'],
      l10n: { locale: 'de' },
      body: { content: 'hello' },
    })
    expect(serialise(message)).toStrictEqual(json)
    const header: JsonObject = {
      typ: 'application/didcomm-plain+json',
      ...v2,
      thid: 't-1',
      from: 'did:example:1',
      to: ['did:example:2'],
      from_prior: 'jwt',
      created_time: 1,
      return_route: 'all',
      please_ack: [''],
      lang: 'de',
      delay_milli: 7,
      body: { content: 'hello' },
      attachments: [{ id: 'a', media_type: 'text/plain', format: 'f', data: { base64: 'AAAA' } }],
    }
    expect(serialise(parsed(header, 'v2'))).toStrictEqual(header)
  })

  test('members that JavaScript knows are plain data', () => {
    const json = JSON.parse(
      '{"type":"https://didcomm.org/basicmessage/2.0/message","id":"m-1","body":{"__proto__":{"polluted":true},"constructor":1},"__proto__":{"x":1}}',
    )
    const message = parsed(json, 'v2')
    expect(Object.keys(message.body)).toStrictEqual(['__proto__', 'constructor'])
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    expect(JSON.stringify(parsed({ ...v1, ...JSON.parse('{"__proto__":{"x":1}}') }, 'v1').body)).toBe(
      '{"__proto__":{"x":1}}',
    )
  })

  test('what rules get to know', () => {
    const message = parsed({ ...v1, content: 'hello', '~thread': { thid: 'thread-1' } }, 'v1')
    expect(messageAttributes(message, 'connection-1', 'did:peer:4abc')).toStrictEqual({
      connectionId: 'connection-1',
      type: v1['@type'],
      piuri: 'https://didcomm.org/basicmessage/1.0',
      protocol: 'basicmessage',
      version: '1.0',
      name: 'message',
      id: 'message-1',
      thid: 'thread-1',
      body: { content: 'hello' },
      attachments: [],
      authenticated: true,
      from: 'did:peer:4abc',
    })
  })
})

describe('routing order and problem codes', () => {
  test('v1 counts routing keys from the recipient, v2 from the outside', () => {
    expect([hops(['near', 'far'], 'v1'), hops(['out', 'in'], 'v2')]).toStrictEqual([
      ['far', 'near'],
      ['out', 'in'],
    ])
  })

  test.each<Version>(['v1', 'v2'])('a forward we make is read back (%s)', version => {
    const message: Message = {
      version,
      id: 'f-1',
      type: `https://didcomm.org/routing/${version === 'v1' ? '1.0' : '2.0'}/forward`,
      thid: 'f-1',
      ...forwardBody('did:key:z6Mk', { protected: 'x' }, version),
    }
    expect(readForward(parsed(serialise(message), version))).toStrictEqual({
      next: 'did:key:z6Mk',
      messages: [{ protected: 'x' }],
      delay: { ms: 0, random: false },
    })
  })

  test('v1 forwards with the message as text', () => {
    const json = {
      '@type': 'https://didcomm.org/routing/1.0/forward',
      '@id': 'f-1',
      to: 'naked',
      msg: '{"protected":"x"}',
    }
    expect(readForward(parsed(json, 'v1'))).toMatchObject({ next: 'naked', messages: [{ protected: 'x' }] })
    for (const msg of ['x', 7, null]) expect(isProblem(readForward(parsed({ ...json, msg }, 'v1')))).toBe(true)
  })

  test('codes are family.reason, and strangers are told nothing', () => {
    expect(Object.keys(problemCodes).filter(code => !/^[a-z]+\.[a-z]+$/.test(code))).toStrictEqual([])
    expect([
      wireCode('message.forged', 'v1'),
      wireCode('message.version', 'v1'),
      wireCode('did.unknown', 'v2'),
      wireCode('__proto__', 'v2'),
    ]).toStrictEqual([undefined, 'version-not-supported', 'e.p.msg', 'e.p.msg'])
  })
})
