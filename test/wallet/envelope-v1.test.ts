// DIDComm v1 envelopes: both implementations of the primitives, several recipients, forwards, and refusals.

import { describe, expect, test } from '@jest/globals'
import { base64url, equalBytes, fromBase64url, text, utf8 } from '../../wallet/bytes.ts'
import type { Crypto } from '../../wallet/crypto.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { peek, unpack } from '../../wallet/envelope.ts'
import { packV1 } from '../../wallet/envelope-v1.ts'
import { isFault } from '../../wallet/fault.ts'
import { packForwardV1 } from '../../wallet/routing.ts'
import { cryptoNoble } from './crypto-noble.ts'
import { bytesOf, damaged, numbers, type Person, person, resolve } from './people.ts'

const alice = person('alice')
const bob = person('bob')
const carol = person('carol')
const hop1 = person('hop1')
const hop2 = person('hop2')

const ping = { '@type': 'https://didcomm.org/trust_ping/1.0/ping', '@id': 'b271c889', comment: 'Grüße 🌱' }

function packed(recipients: Person[], sender?: Person, crypto: Crypto = cryptoNode): Uint8Array {
  const keys = (sender ?? bob).keys
  const made = packV1(crypto, keys, {
    plaintext: bytesOf(ping),
    recipients: recipients.map(one => one.publicKey),
    ...(sender && { sender: sender.verkey }),
  })
  if (isFault(made)) throw new Error(made.message)
  return made
}

function open(envelope: Uint8Array, us: Person, now?: number, crypto: Crypto = cryptoNode) {
  const peeked = peek(envelope)
  if (isFault(peeked)) return peeked
  return unpack(crypto, us.keys, resolve, peeked, now === undefined ? {} : { now })
}

/** The envelope with its protected header rewritten; the content no longer authenticates, so only form is tested. */
function withHead(envelope: Uint8Array, change: (head: Record<string, unknown>) => void): Uint8Array {
  const outer = JSON.parse(text(envelope))
  const head = JSON.parse(text(fromBase64url(outer.protected)!))
  change(head)
  return bytesOf({ ...outer, protected: base64url(bytesOf(head)) })
}

describe('authcrypt and anoncrypt', () => {
  test.each([
    ['node', 'noble', cryptoNode, cryptoNoble],
    ['noble', 'node', cryptoNoble, cryptoNode],
  ])('packed with %s, opened with %s', (_, __, packer, opener) => {
    const from = person('alice', packer)
    const to = person('bob', opener)
    expect(open(packed([to], from, packer), to, undefined, opener)).toEqual({
      version: 'v1',
      plaintext: ping,
      recipientKid: to.verkey,
      sender: { kid: from.verkey, did: null, publicKey: expect.anything() },
      anonymous: false,
      layers: ['authcrypt'],
    })
    expect(open(packed([to], undefined, packer), to, undefined, opener)).toMatchObject({
      sender: null,
      anonymous: true,
      layers: ['anoncrypt'],
    })
  })

  test('every recipient opens it, nobody else', () => {
    const envelope = packed([bob, carol], alice)
    expect(open(envelope, bob)).toMatchObject({ recipientKid: bob.verkey, sender: { kid: alice.verkey } })
    expect(open(envelope, carol)).toMatchObject({ recipientKid: carol.verkey, sender: { kid: alice.verkey } })
    expect(open(envelope, hop1)).toMatchObject({ code: 'envelope.unknown_recipient' })
  })

  test('peek names the recipients without a key', () => {
    expect(peek(packed([bob, carol], alice))).toMatchObject({
      version: 'v1',
      recipients: [bob.verkey, carol.verkey],
      authenticated: true,
    })
  })

  test('what goes out has no padding', () => {
    const outer = JSON.parse(text(packed([bob], alice)))
    const head = JSON.parse(text(fromBase64url(outer.protected)!))
    expect(head).toMatchObject({ enc: 'xchacha20poly1305_ietf', typ: 'JWM/1.0', alg: 'Authcrypt' })
    expect(JSON.stringify([outer, head])).not.toContain('=')
  })

  test('a recipient named by did:key is the same key', () => {
    const envelope = withHead(packed([bob]), head => {
      const [entry] = head.recipients as { header: { kid: string } }[]
      entry!.header.kid = bob.signKid
    })
    expect(peek(envelope)).toMatchObject({ recipients: [bob.verkey] })
  })

  // The header is authenticated by the content: what is changed must be so before packing.
  type Entry = { encrypted_key: string; header: Record<string, unknown> }
  const made = (sender: Person | undefined, change: (entries: Entry[]) => unknown[]) => {
    const write = (bytes: Uint8Array): Uint8Array => {
      const head = JSON.parse(text(fromBase64url(text(bytes))!))
      return utf8(base64url(bytesOf({ ...head, recipients: change(head.recipients) })))
    }
    const changing: Crypto = {
      ...cryptoNode,
      chacha20Poly1305: (key, iv, plaintext, aad) => cryptoNode.chacha20Poly1305(key, iv, plaintext, write(aad)),
    }
    const outer = JSON.parse(text(packed([bob, carol], sender, changing)))
    return bytesOf({ ...outer, protected: text(write(utf8(outer.protected))) })
  }

  test('a recipient named in another way does not concern the others', () => {
    for (const kid of ['did:sov:abc#1', 'did:key:z6LSsjiihtmCQBfwurfSyqexs96zaB1LCgRdCo1bB2sq7yrK', 'x']) {
      const envelope = made(alice, ([first, second]) => [{ ...first, header: { ...first!.header, kid } }, second])
      expect(peek(envelope)).toMatchObject({ recipients: [carol.verkey] })
      expect(open(envelope, carol)).toMatchObject({ plaintext: ping, sender: { kid: alice.verkey } })
      expect(open(envelope, bob)).toMatchObject({ code: 'envelope.unknown_recipient' })
    }
    expect(peek(made(alice, ([first]) => [{ ...first, header: { ...first!.header, kid: 1 } }, first]))).toMatchObject({
      code: 'envelope.header',
    })
  })

  test('null is no sender under Anoncrypt', () => {
    const nulls = made(undefined, entries =>
      entries.map(entry => ({ ...entry, header: { ...entry.header, sender: null, iv: null } })),
    )
    expect(open(nulls, bob)).toMatchObject({ plaintext: ping, sender: null, anonymous: true })
    const claimed = made(undefined, entries =>
      entries.map(entry => ({ ...entry, header: { ...entry.header, sender: null, iv: 'AA' } })),
    )
    expect(open(claimed, bob)).toMatchObject({ code: 'envelope.header' })
  })

  test('keys that are not ours or not sound are refused before anything is sent', () => {
    const plaintext = bytesOf(ping)
    expect(
      packV1(cryptoNode, bob.keys, { plaintext, recipients: [bob.publicKey], sender: alice.verkey }),
    ).toMatchObject({ code: 'envelope.sender_key' })
    expect(packV1(cryptoNode, bob.keys, { plaintext, recipients: [bob.publicKey], sender: bob.boxKid })).toMatchObject({
      code: 'envelope.sender_key',
    })
    expect(packV1(cryptoNode, bob.keys, { plaintext, recipients: [new Uint8Array(32)] })).toMatchObject({
      code: 'envelope.recipient_key',
    })
    expect(packV1(cryptoNode, bob.keys, { plaintext, recipients: [] })).toMatchObject({
      code: 'envelope.recipient_key',
    })
  })
})

const set = Object.assign

describe('refusals', () => {
  type Head = Record<string, unknown>
  const stripped = (head: Head) => {
    const [entry] = head.recipients as { header: Head }[]
    delete entry!.header.sender
  }
  const cases: [string, string, (head: Head) => void][] = [
    ['another enc', 'envelope.unsupported_algorithm', head => set(head, { enc: 'xchachapoly1305_ietf' })],
    ['another typ', 'envelope.header', head => set(head, { typ: 'JWM/2.0' })],
    ['another alg', 'envelope.unsupported_algorithm', head => set(head, { alg: 'none' })],
    ['Anoncrypt with a sender', 'envelope.header', head => set(head, { alg: 'Anoncrypt' })],
    ['no recipients', 'envelope.header', head => set(head, { recipients: [] })],
    ['a kid that is no key', 'envelope.header', head => set(head, { recipients: [{ header: { kid: 'x' } }] })],
    ['Authcrypt without sender', 'envelope.header', stripped],
    ['an extension of the header', 'envelope.undecryptable', head => set(head, { more: 1 })],
    ['a header that looks like a Fault', 'envelope.undecryptable', head => set(head, { fault: true, code: 'x' })],
  ]
  test.each(cases)('%s: %s', (_, code, change) => {
    expect(open(withHead(packed([bob], alice), change), bob)).toMatchObject({ fault: true, code })
  })

  test('bare plaintext never comes in', () => {
    expect(peek(bytesOf(ping))).toMatchObject({ code: 'message.plaintext' })
    expect(peek(utf8('{}'))).toMatchObject({ code: 'envelope.unreadable' })
    expect(peek(utf8('no'))).toMatchObject({ code: 'envelope.unreadable' })
  })

  test('a message that is over', () => {
    const plaintext = bytesOf({ ...ping, '~timing': { expires_time: '2025-01-01 00:00:00Z' } })
    const envelope = packV1(cryptoNode, alice.keys, { plaintext, recipients: [bob.publicKey], sender: alice.verkey })
    expect(open(envelope as Uint8Array, bob, 1_735_689_600)).toMatchObject({ code: 'message.expired' })
    expect(open(envelope as Uint8Array, bob, 1_735_689_599)).toMatchObject({ version: 'v1' })
    expect(open(envelope as Uint8Array, bob)).toMatchObject({ version: 'v1' })
  })

  test('a type of 1,024 characters is the longest', () => {
    const typed = (length: number) => {
      const plaintext = bytesOf({ '@type': 'https://a.example/p/1.0/'.padEnd(length, 'm') })
      return open(packV1(cryptoNode, alice.keys, { plaintext, recipients: [bob.publicKey] }) as Uint8Array, bob)
    }
    expect(typed(1024)).toMatchObject({ version: 'v1' })
    for (const length of [1025, 100_000]) expect(typed(length)).toMatchObject({ code: 'message.malformed' })
  })

  test('500 seeded damages neither open nor throw', () => {
    const next = numbers(19)
    const envelopes = [packed([bob], alice), packed([carol, bob])]
    for (let i = 0; i < 500; i++) {
      const whole = envelopes[i % 2]!
      const hurt = damaged(whole, next)
      const opened = open(hurt, bob)
      if (equalBytes(hurt, whole)) continue
      expect(opened).toMatchObject({ fault: true, code: expect.stringMatching(/^(envelope|message)\./) })
    }
  })
})

describe('forward 1.0', () => {
  test('the last routing key is outermost', () => {
    const routingKeys = [hop1.publicKey, hop2.publicKey]
    const wrapped = packForwardV1(cryptoNode, alice.keys, {
      envelope: packed([bob], alice),
      to: bob.publicKey,
      routingKeys,
    })
    const outer = open(wrapped as Uint8Array, hop2)
    if (isFault(outer)) throw new Error(outer.message)
    expect(outer).toMatchObject({
      anonymous: true,
      plaintext: { '@type': 'https://didcomm.org/routing/1.0/forward', to: hop1.verkey },
    })
    const inner = open(bytesOf(outer.plaintext.msg), hop1)
    if (isFault(inner)) throw new Error(inner.message)
    expect(inner.plaintext.to).toBe(bob.verkey)
    expect(open(bytesOf(inner.plaintext.msg), bob)).toMatchObject({ plaintext: ping, sender: { kid: alice.verkey } })
  })

  test('without routing keys the envelope stays as it is', () => {
    const envelope = packed([bob])
    expect(packForwardV1(cryptoNode, alice.keys, { envelope, to: bob.publicKey, routingKeys: [] })).toBe(envelope)
  })
})
