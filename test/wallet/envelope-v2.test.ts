// DIDComm v2 envelopes: both implementations of the primitives, didcomm-node both ways, every allowed nesting, and
// validly encrypted messages that are wrong only in meaning.

import { describe, expect, test } from '@jest/globals'
import { type DIDDoc, type IMessage, Message, type Secret } from 'didcomm-node'
import { base64url, equalBytes, fromBase64url, text, utf8 } from '../../wallet/bytes.ts'
import type { Crypto } from '../../wallet/crypto.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { peek, unpack } from '../../wallet/envelope.ts'
import { type PackV2, packSigned, packV2 } from '../../wallet/envelope-v2.ts'
import { isFault } from '../../wallet/fault.ts'
import { makeFromPrior } from '../../wallet/from-prior.ts'
import { signCompact, signGeneral } from '../../wallet/jws.ts'
import { recipientKeys } from '../../wallet/keys.ts'
import { packForwardV2 } from '../../wallet/routing.ts'
import { cryptoNoble } from './crypto-noble.ts'
import { bytesOf, damaged, message, numbers, type Person, person, recipientOf, resolve } from './people.ts'

const alice = person('alice')
const bob = person('bob')
const mallory = person('mallory')
const hop1 = person('hop1')
const hop2 = person('hop2')
const now = 1_735_689_600

type Options = Partial<Omit<PackV2, 'plaintext' | 'recipients'>>

function pack(plaintext: unknown, options: Options = {}, from = alice, to = bob, crypto: Crypto = cryptoNode) {
  const made = packV2(crypto, from.keys, { plaintext: bytesOf(plaintext), recipients: [recipientOf(to)], ...options })
  if (isFault(made)) throw new Error(made.message)
  return made
}

function open(envelope: Uint8Array, us: Person = bob, crypto: Crypto = cryptoNode) {
  const peeked = peek(envelope)
  return isFault(peeked) ? peeked : unpack(crypto, us.keys, resolve, peeked, { now })
}

const auth = { sender: alice.boxKid }
const signed = { signer: alice.signKid }
const fromAlice = message(alice, bob)

describe('layers', () => {
  test.each([
    ['authcrypt', auth, ['authcrypt']],
    ['anoncrypt(authcrypt)', { ...auth, protectSender: true }, ['anoncrypt', 'authcrypt']],
    ['anoncrypt(sign)', signed, ['anoncrypt', 'sign']],
    ['authcrypt(sign)', { ...auth, ...signed }, ['authcrypt', 'sign']],
    ['anoncrypt', {}, ['anoncrypt']],
    ['anoncrypt XC20P', { enc: 'XC20P' }, ['anoncrypt']],
    ['anoncrypt A256GCM', { enc: 'A256GCM' }, ['anoncrypt']],
  ] as [string, Options, string[]][])('%s', (_, options, layers) => {
    const opened = open(pack(fromAlice, options))
    const proven = layers.includes('authcrypt') || layers.includes('sign')
    expect(opened).toMatchObject({ version: 'v2', plaintext: fromAlice, recipientKid: bob.boxKid, layers })
    expect(opened).toMatchObject(
      proven ? { anonymous: false, sender: { did: alice.did } } : { anonymous: true, sender: null },
    )
    expect('signed' in opened).toBe(layers.includes('sign'))
  })

  test.each([auth, signed, {}])('a message that looks like a Fault is a message, packed with %j', options => {
    const plaintext = { ...fromAlice, fault: true, code: 'store.broken' }
    expect(open(pack(plaintext, options))).toMatchObject({ version: 'v2', plaintext })
  })

  test('a signed message alone is authenticated and for nobody in particular', () => {
    const opened = open(packSigned(alice.keys, alice.signKid, bytesOf(fromAlice)) as Uint8Array)
    expect(opened).toMatchObject({ layers: ['sign'], recipientKid: '', sender: { kid: alice.signKid } })
  })

  test.each([
    ['node', 'noble', cryptoNode, cryptoNoble],
    ['noble', 'node', cryptoNoble, cryptoNode],
  ])('packed with %s, opened with %s', (_, __, packer, opener) => {
    const from = person('alice', packer)
    const to = person('bob', opener)
    const options: Options[] = [{ sender: from.boxKid }, { signer: from.signKid }, { enc: 'XC20P' }, { enc: 'A256GCM' }]
    for (const one of options) {
      expect(open(pack(fromAlice, one, from, to, packer), to, opener)).toMatchObject({ plaintext: fromAlice })
    }
  })

  test('what goes out names typ, apv, skid and A256CBC-HS512', () => {
    for (const options of [auth, {}]) {
      const head = JSON.parse(text(fromBase64url(JSON.parse(text(pack(fromAlice, options))).protected)!))
      expect(head).toMatchObject({ typ: 'application/didcomm-encrypted+json', enc: 'A256CBC-HS512' })
      expect(head.apv).toBe(base64url(cryptoNode.sha256(utf8(bob.boxKid))))
      expect(head.skid).toBe(options === auth ? alice.boxKid : undefined)
    }
  })

  test('peek names the recipients without a key, others cannot open', () => {
    const envelope = pack(fromAlice, auth)
    expect(peek(envelope)).toMatchObject({ version: 'v2', recipients: [bob.boxKid], layer: 'authcrypt' })
    expect(open(envelope, mallory)).toMatchObject({ code: 'envelope.unknown_recipient' })
    expect(peek(bytesOf(fromAlice))).toMatchObject({ code: 'message.plaintext' })
  })

  test('keys that are not ours refuse to pack', () => {
    const plaintext = bytesOf(fromAlice)
    const recipients = [recipientOf(bob)]
    for (const wrong of [{ sender: bob.boxKid }, { sender: alice.signKid }, { signer: alice.boxKid }]) {
      expect(packV2(cryptoNode, alice.keys, { plaintext, recipients, ...wrong })).toMatchObject({
        code: 'envelope.sender_key',
      })
    }
    const zero = [{ kid: 'did:example:x#1', publicKey: new Uint8Array(32) }]
    for (const to of [[], zero]) {
      expect(packV2(cryptoNode, alice.keys, { plaintext, recipients: to })).toMatchObject({
        code: 'envelope.recipient_key',
      })
    }
  })
})

describe('who sent it', () => {
  const cases: [string, string, unknown, Options][] = [
    ['authcrypt by mallory, from alice', 'message.sender_mismatch', fromAlice, { sender: mallory.boxKid }],
    ['authcrypt without from', 'message.sender_mismatch', message(undefined, bob), { sender: mallory.boxKid }],
    ['signed by mallory, from alice', 'message.sender_mismatch', fromAlice, { signer: mallory.signKid }],
    [
      'authcrypt by mallory of what mallory signed, from alice',
      'message.sender_mismatch',
      fromAlice,
      { sender: mallory.boxKid, signer: mallory.signKid },
    ],
    ['signed for somebody else', 'message.recipient_mismatch', message(mallory, alice), { signer: mallory.signKid }],
    ['signed for nobody', 'message.recipient_mismatch', message(mallory, undefined), { signer: mallory.signKid }],
    ['to names others', 'message.recipient_mismatch', message(mallory, alice), { sender: mallory.boxKid }],
    ['body is a list', 'message.malformed', message(mallory, bob, { body: [] }), { sender: mallory.boxKid }],
    [
      'from with a fragment',
      'message.malformed',
      message(mallory, bob, { from: mallory.signKid }),
      { sender: mallory.boxKid },
    ],
    ['expired', 'message.expired', message(mallory, bob, { expires_time: now }), { sender: mallory.boxKid }],
    [
      'from tomorrow',
      'message.future',
      message(mallory, bob, { created_time: now + 90_000 }),
      { sender: mallory.boxKid },
    ],
  ]
  test.each(cases)('%s: %s', (_, code, plaintext, options) => {
    expect(open(pack(plaintext, options, mallory))).toMatchObject({ fault: true, code })
  })

  test('alice signed for mallory, mallory passes it on to bob', () => {
    const inner = packSigned(alice.keys, alice.signKid, bytesOf(message(alice, mallory)))
    const content = { plaintext: inner as Uint8Array, recipients: [recipientOf(bob)] }
    const envelope = packV2(cryptoNode, mallory.keys, content) as Uint8Array
    expect(open(envelope)).toMatchObject({ code: 'message.recipient_mismatch' })
    const authenticated = packV2(cryptoNode, mallory.keys, { ...content, sender: mallory.boxKid }) as Uint8Array
    expect(open(authenticated)).toMatchObject({ code: 'message.sender_mismatch' })
  })

  test('anoncrypt that claims a sender proves none', () => {
    expect(open(pack(fromAlice, {}, mallory))).toMatchObject({ anonymous: true, sender: null })
  })

  test('a body may be missing, unknown headers are ignored', () => {
    const { body: _, ...rest } = message(alice, bob, { 'x-more': { a: 1 }, expires_time: now + 1 }) as { body: unknown }
    expect(open(pack(rest, auth))).toMatchObject({ plaintext: rest })
  })
})

describe('typ of a signature', () => {
  const typed = (typ: string) => {
    const sign = (bytes: Uint8Array) => alice.keys.sign(alice.signKid, bytes)!
    return open(bytesOf(signGeneral(sign, alice.signKid, { typ, alg: 'EdDSA' }, bytesOf(fromAlice))))
  }

  test.each(['JWM', 'application/jwm', 'application/didcomm-signed+json', 'DIDComm-signed+JSON'])('%s', typ => {
    expect(typed(typ)).toMatchObject({ layers: ['sign'], plaintext: fromAlice })
  })

  test.each(['JWT', 'application/didcomm-encrypted+json', 'JWM/1.0', ''])('%s is refused', typ => {
    expect(typed(typ)).toMatchObject({ code: 'jws.header' })
  })
})

describe('layers that must not be', () => {
  const wrapped = (inner: Uint8Array, options: Options, from = alice) =>
    packV2(cryptoNode, from.keys, { plaintext: inner, recipients: [recipientOf(bob)], ...options }) as Uint8Array

  test.each([
    ['authcrypt(anoncrypt)', wrapped(pack(fromAlice), auth)],
    ['authcrypt(authcrypt)', wrapped(pack(fromAlice, auth), auth)],
    ['anoncrypt(anoncrypt)', wrapped(pack(fromAlice), {})],
    ['anoncrypt(anoncrypt(authcrypt))', wrapped(pack(fromAlice, { ...auth, protectSender: true }), {})],
    ['anoncrypt(sign(authcrypt))', wrapped(pack(fromAlice, auth), signed)],
    ['anoncrypt(sign(sign))', wrapped(packSigned(alice.keys, alice.signKid, bytesOf(fromAlice)) as Uint8Array, signed)],
  ])('%s', (_, envelope) => {
    expect(open(envelope)).toMatchObject({ code: 'envelope.nesting' })
  })
})

describe('headers', () => {
  const good = JSON.parse(text(pack(fromAlice, auth)))
  const head = JSON.parse(text(fromBase64url(good.protected)!))
  const withHead = (change: object) => ({ ...good, protected: base64url(bytesOf({ ...head, ...change })) })
  const [recipient] = good.recipients

  test.each([
    ['crit', 'envelope.crit', withHead({ crit: ['x'], x: 1 })],
    ['crit, unprotected', 'envelope.crit', { ...good, unprotected: { crit: ['x'] } }],
    ['zip', 'envelope.header', withHead({ zip: 'DEF' })],
    ['typ', 'envelope.header', withHead({ typ: 'application/didcomm-signed+json' })],
    ['alg', 'envelope.unsupported_algorithm', withHead({ alg: 'ECDH-ES' })],
    ['authcrypt with A256GCM', 'envelope.unsupported_algorithm', withHead({ enc: 'A256GCM' })],
    ['P-256', 'envelope.unsupported_algorithm', withHead({ epk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } })],
    ['no epk', 'envelope.header', withHead({ epk: undefined })],
    ['no apv', 'envelope.header', withHead({ apv: undefined })],
    ['another apv', 'envelope.header', withHead({ apv: base64url(new Uint8Array(32)) })],
    ['no apu', 'envelope.header', withHead({ apu: undefined })],
    ['apu is not skid', 'envelope.header', withHead({ skid: mallory.boxKid })],
    ['a skid under ECDH-ES', 'envelope.header', withHead({ alg: 'ECDH-ES+A256KW' })],
    ['a name twice, unprotected', 'envelope.header', { ...good, unprotected: { enc: 'A256GCM' } }],
    [
      'a name twice, recipient',
      'envelope.header',
      { ...good, recipients: [{ ...recipient, header: { ...recipient.header, alg: 'none' } }] },
    ],
    ['a recipient twice', 'envelope.header', { ...good, recipients: [recipient, recipient] }],
    ['no recipient', 'envelope.header', { ...good, recipients: [] }],
    ['aad', 'envelope.header', { ...good, aad: 'AA' }],
    ['a short tag', 'envelope.unreadable', { ...good, tag: good.tag.slice(0, 22) }],
    ['padding', 'envelope.unreadable', { ...good, iv: `${good.iv}==` }],
    ['low-order epk', 'envelope.undecryptable', withHead({ epk: { ...head.epk, x: base64url(new Uint8Array(32)) } })],
    ['an unknown name', 'envelope.undecryptable', withHead({ more: 1 })],
  ])('%s: %s', (_, code, envelope) => {
    expect(open(bytesOf(envelope))).toMatchObject({ fault: true, code })
  })

  test('an unprotected name that changes nothing is ignored', () => {
    expect(open(bytesOf({ ...good, unprotected: { more: 1 } }))).toMatchObject({ plaintext: fromAlice })
  })

  test('our signing key cannot be addressed', () => {
    const entry = { ...recipient, header: { kid: bob.signKid } }
    const apv = base64url(cryptoNode.sha256(utf8(bob.signKid)))
    expect(open(bytesOf({ ...withHead({ apv }), recipients: [entry] }))).toMatchObject({
      code: 'envelope.unknown_recipient',
    })
  })

  test('500 seeded damages neither open nor throw', () => {
    const next = numbers(2)
    const envelopes = [pack(fromAlice, auth), pack(fromAlice, { ...auth, ...signed, protectSender: true })]
    for (let i = 0; i < 500; i++) {
      const whole = envelopes[i % 2]!
      const hurt = damaged(whole, next)
      const opened = open(hurt)
      if (equalBytes(hurt, whole)) continue
      expect(opened).toMatchObject({ fault: true, code: expect.stringMatching(/^(envelope|message|key|did)\./) })
    }
  })
})

describe('from_prior', () => {
  const old = person('alice-old')
  const sign = (by: Person) => (bytes: Uint8Array) => by.keys.sign(by.signKid, bytes)!
  const claims = { iss: old.did, sub: alice.did, iat: now }
  const carrying = (jwt: string) => open(pack(message(alice, bob, { from_prior: jwt }), auth))

  test('the old DID vouches for the sender', () => {
    expect(carrying(makeFromPrior(sign(old), old.signKid, claims))).toMatchObject({
      sender: { did: alice.did },
      fromPrior: claims,
    })
  })

  test.each(['jwt', 'Jwt', 'application/JWT', undefined])('typ %s', typ => {
    const header = { alg: 'EdDSA', kid: old.signKid, ...(typ !== undefined && { typ }) }
    expect(carrying(signCompact(sign(old), header, bytesOf(claims)))).toMatchObject({ fromPrior: claims })
  })

  test.each([
    ['of another type', signCompact(sign(old), { alg: 'EdDSA', kid: old.signKid, typ: 'JWM' }, bytesOf(claims))],
    ['for somebody else', makeFromPrior(sign(old), old.signKid, { ...claims, sub: mallory.did })],
    ['signed by another', makeFromPrior(sign(mallory), old.signKid, claims)],
    ['by a key of another', makeFromPrior(sign(mallory), mallory.signKid, claims)],
    ['for itself', makeFromPrior(sign(alice), alice.signKid, { ...claims, iss: alice.did })],
    ['by a key that may not sign', makeFromPrior(sign(old), old.boxKid, claims)],
    ['not a JWT', 'a.b'],
  ])('%s: refused', (_, jwt) => {
    expect(carrying(jwt)).toMatchObject({ code: 'message.forged_from_prior' })
  })
})

describe('forward 2.0', () => {
  test('the first routing key is outermost', () => {
    const inner = pack(fromAlice, auth)
    const routingKeys = [hop1.did, hop2.boxKid]
    const forward = { envelope: inner, next: bob.did, routingKeys, expires: now + 60 }
    const wrapped = packForwardV2(cryptoNode, alice.keys, resolve, forward) as Uint8Array
    const outer = open(wrapped, hop1)
    if (isFault(outer)) throw new Error(outer.message)
    expect(outer.plaintext).toMatchObject({
      type: 'https://didcomm.org/routing/2.0/forward',
      to: [hop1.did],
      body: { next: hop2.boxKid },
      expires_time: now + 60,
    })
    const second = open(bytesOf(attached(outer.plaintext)), hop2)
    if (isFault(second)) throw new Error(second.message)
    expect(second.plaintext.body).toEqual({ next: bob.did })
    expect(open(bytesOf(attached(second.plaintext)))).toMatchObject({
      plaintext: fromAlice,
      sender: { did: alice.did },
    })
  })

  test('an unknown mediator is the resolver’s fault', () => {
    const forward = { envelope: pack(fromAlice, auth), next: bob.did, routingKeys: ['did:nowhere:1'] }
    expect(packForwardV2(cryptoNode, alice.keys, resolve, forward)).toMatchObject({
      code: expect.stringMatching(/^did\./),
    })
  })

  const attached = (plaintext: object) =>
    (plaintext as { attachments: { data: { json: unknown } }[] }).attachments[0]!.data.json
})

describe('didcomm-node', () => {
  const documentOf = (one: Person): DIDDoc => ({
    id: one.did,
    authentication: [one.signKid],
    keyAgreement: [one.boxKid],
    verificationMethod: [
      { id: one.signKid, type: 'JsonWebKey2020', controller: one.did, publicKeyJwk: jwk('Ed25519', one.publicKey) },
      { id: one.boxKid, type: 'JsonWebKey2020', controller: one.did, publicKeyJwk: jwk('X25519', one.x25519) },
    ],
    service: [],
  })
  const jwk = (crv: string, key: Uint8Array) => ({ kty: 'OKP', crv, x: base64url(key) })
  const secretsOf = (one: Person): Secret[] =>
    [one.signKid, one.boxKid].map((id, index) => {
      const pair = one.keys.pair(id)!
      const crv = index === 0 ? 'Ed25519' : 'X25519'
      const d = base64url(pair.secretKey.subarray(0, 32))
      return { id, type: 'JsonWebKey2020', privateKeyJwk: { ...jwk(crv, pair.publicKey), d } }
    })
  const documents = [alice, bob].map(documentOf)
  const secrets = [alice, bob].flatMap(secretsOf)
  const theirResolver = { resolve: async (did: string) => documents.find(one => one.id === did) ?? null }
  const theirSecrets = {
    get_secret: async (id: string) => secrets.find(one => one.id === id) ?? null,
    find_secrets: async (ids: string[]) => ids.filter(id => secrets.some(one => one.id === id)),
  }

  test.each([
    ['authcrypt', auth],
    ['anoncrypt', {}],
    ['anoncrypt(sign)', signed],
    ['anoncrypt(authcrypt)', { ...auth, protectSender: true }],
    ['anoncrypt XC20P', { enc: 'XC20P' }],
    ['anoncrypt A256GCM', { enc: 'A256GCM' }],
  ] as [string, Options][])('opens our %s', async (_, options) => {
    const [opened, metadata] = await Message.unpack(text(pack(fromAlice, options)), theirResolver, theirSecrets, {})
    expect(opened.as_value()).toMatchObject(fromAlice)
    expect(metadata.authenticated).toBe('sender' in options || 'signer' in options)
    opened.free()
  })

  test.each([
    ['authcrypt', alice.did, null, {}, ['authcrypt']],
    ['authcrypt(sign)', alice.did, alice.did, {}, ['authcrypt', 'sign']],
    ['anoncrypt(authcrypt)', alice.did, null, { protect_sender: true }, ['anoncrypt', 'authcrypt']],
    ['anoncrypt', null, null, {}, ['anoncrypt']],
    ['anoncrypt A256GCM', null, null, { enc_alg_anon: 'A256gcmEcdhEsA256kw' }, ['anoncrypt']],
    ['anoncrypt A256CBC-HS512', null, null, { enc_alg_anon: 'A256cbcHs512EcdhEsA256kw' }, ['anoncrypt']],
  ] as const)('we open its %s', async (_, from, signBy, options, layers) => {
    const theirs = new Message(fromAlice as IMessage)
    const full = { forward: false, ...options }
    const [envelope] = await theirs.pack_encrypted(bob.did, from, signBy, theirResolver, theirSecrets, full)
    theirs.free()
    expect(open(utf8(envelope))).toMatchObject({ plaintext: fromAlice, layers })
  })
})

test('recipientKeys finds the X25519 keys for key agreement', () => {
  expect(recipientKeys(resolve, bob.did)).toEqual([recipientOf(bob)])
  expect(recipientKeys(resolve, bob.boxKid)).toEqual([recipientOf(bob)])
  expect(recipientKeys(resolve, bob.signKid)).toMatchObject({ code: 'key.not_authorized' })
})
