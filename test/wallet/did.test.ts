// DID syntax, did:key, did:peer and DID documents beyond the published vectors: what is made can be read, what a
// stranger may send is refused.

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { base58, base64url, concat, hex, utf8 } from '../../wallet/bytes.ts'
import { cryptoNode as crypto } from '../../wallet/crypto-node.ts'
import { didOf, isDid, parseDid, parseDidUrl } from '../../wallet/did.ts'
import { type DidDocument, methodOf, readDidDocument } from '../../wallet/did-document.ts'
import { didKey, didKeyToNaked, keyBytesOf, knownDidKeys, nakedToDidKey, resolveDidKey } from '../../wallet/did-key.ts'
import { makePeer2, makePeer4, peer3Of, peer4Short, resolvePeer } from '../../wallet/did-peer.ts'
import { type Fault, isFault } from '../../wallet/fault.ts'
import { canonicalize } from '../../wallet/jcs.ts'
import { Memo } from '../../wallet/memo.ts'
import { decodeMultikey, encodeMultikey } from '../../wallet/multikey.ts'
import { makeResolver } from '../../wallet/resolver.ts'

const ed = crypto.ed25519KeyPair(new Uint8Array(32).fill(1)).publicKey
const ex = crypto.x25519KeyPair(new Uint8Array(32).fill(2)).publicKey
const [edKey, exKey] = [encodeMultikey('Ed25519', ed), encodeMultikey('X25519', ex)]
const read = (found: DidDocument | Fault): DidDocument => {
  if (isFault(found)) throw new Error(`${found.code} ${found.message}`)
  return found
}
const code = (found: DidDocument | Fault) => (isFault(found) ? found.code : 'resolved')

describe('DID syntax', () => {
  test('parts of a DID URL', () => {
    expect(parseDidUrl('did:web:a.example%3A80:b/p/q?x=1&y#k-1')).toEqual({
      did: 'did:web:a.example%3A80:b',
      method: 'web',
      id: 'a.example%3A80:b',
      path: '/p/q',
      query: 'x=1&y',
      fragment: 'k-1',
    })
    expect(parseDidUrl('did:key:z6Mk')).toEqual({ did: 'did:key:z6Mk', method: 'key', id: 'z6Mk' })
    expect(didOf('did:x:1#')).toBe('did:x:1')
    expect(parseDid('did:x:a::b')).toEqual({ did: 'did:x:a::b', method: 'x', id: 'a::b' })
  })
  test.each([
    '',
    'did',
    'did:',
    'did:x',
    'did:x:',
    'did:X:1',
    'DID:x:1',
    'did:x:a:',
    'did:x:a b',
    'did:x:%zz',
    ' did:x:1',
    'did:x:1 ',
    'did:x:1\n',
    'did:é:1',
    '"did:x:1"',
  ])('refuses %j', text => {
    expect(isDid(text)).toBe(false)
  })
  test('a DID URL is not a DID', () => {
    for (const url of ['did:x:1#a', 'did:x:1/a', 'did:x:1?a'])
      expect([isDid(url), parseDidUrl(url) !== undefined]).toEqual([false, true])
    expect(isDid(7)).toBe(false)
    expect(isDid(`did:x:${'a'.repeat(100_000)}`)).toBe(false)
  })
})

describe('did:key', () => {
  test('Ed25519 also has the derived X25519 key', () => {
    const did = didKey('Ed25519', ed)
    const document = read(resolveDidKey(did))
    const agreement = methodOf(document, document.keyAgreement[0]!)!
    expect(hex(agreement.publicKey)).toBe(hex(crypto.ed25519ToX25519Public(ed)!))
    expect(document.authentication).toEqual([`${did}#${edKey}`])
    expect(resolveDidKey(did)).toBe(document)
  })
  test('refuses small-order, mis-sized and foreign keys', () => {
    const coded = (prefix: number[], key: Uint8Array) => `did:key:z${base58(concat(Uint8Array.from(prefix), key))}`
    const zero = new Uint8Array(32)
    const bad = [
      coded([0xed, 1], zero),
      coded([0xec, 1], zero),
      coded([0xed, 1], ed.subarray(1)),
      coded([0xed, 1], concat(ed, ed)),
      coded([0x80, 0x24], ed),
      coded([0x12, 0x20], ed),
      coded([0xe7, 1], concat(Uint8Array.of(4), ed)),
      'did:key:',
      'did:key:z',
      'did:key:z0',
      `did:key:${edKey.slice(1)}`,
      `did:key:${edKey} `,
      `did:key:${edKey}#${edKey}`,
      'did:web:x',
    ]
    for (const did of bad) expect([did, code(resolveDidKey(did))]).toEqual([did, 'did.malformed'])
  })
  test('references in every spelling give the same bytes', () => {
    const did = didKey('Ed25519', ed)
    const naked = base58(ed)
    const peer2 = makePeer2({
      keys: [
        { purpose: 'V', type: 'Ed25519', publicKey: ed },
        { purpose: 'E', type: 'X25519', publicKey: ex },
      ],
    })
    for (const reference of [naked, did, `${did}#${edKey}`, `${peer2}#key-1`, `did:peer:0${edKey}`]) {
      expect([keyBytesOf(reference)?.type, hex(keyBytesOf(reference)!.publicKey)]).toEqual(['Ed25519', hex(ed)])
    }
    expect(keyBytesOf(`${peer2}#key-2`)?.type).toBe('X25519')
    expect(keyBytesOf(read(resolveDidKey(did)).keyAgreement[0]!)?.type).toBe('X25519')
    const none = [
      '',
      'did:key:z',
      `${did}#${exKey}`,
      `${did}#key-1`,
      `${peer2}#key-3`,
      `${peer2}#key-0`,
      peer2,
      'did:web:x#a',
      naked.slice(3),
      `${naked}1`,
      base58(new Uint8Array(32)),
      `${did}?a=1`,
    ]
    for (const reference of none) expect([reference, keyBytesOf(reference)]).toEqual([reference, undefined])
    expect([nakedToDidKey(naked), didKeyToNaked(did), didKeyToNaked(`${did}#${edKey}`)]).toEqual([did, naked, naked])
    expect([knownDidKeys.get(naked), knownDidKeys.get('junk')]).toEqual([did, undefined])
    expect([nakedToDidKey('junk'), didKeyToNaked(naked), didKeyToNaked(didKey('X25519', ex))]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
  test('multikeys in base64url are read as well', () => {
    const text = `u${base64url(concat(Uint8Array.of(0xed, 1), ed))}`
    expect(hex(decodeMultikey(text)!.publicKey)).toBe(hex(ed))
    expect(() => encodeMultikey('Ed25519', ed.subarray(1))).toThrow('32 bytes')
  })
})

const services = [
  {
    type: 'DIDCommMessaging',
    serviceEndpoint: { uri: 'https://a.example', accept: ['didcomm/v2'], routingKeys: ['did:key:z1#z1'] },
  },
  {
    type: 'did-communication',
    serviceEndpoint: 'https://b.example',
    recipientKeys: ['#key-1'],
    routingKeys: [],
    priority: 1,
  },
]
const two = [
  { purpose: 'V', type: 'Ed25519', publicKey: ed },
  { purpose: 'E', type: 'X25519', publicKey: ex },
] as const

describe('did:peer:2 and 3', () => {
  const did = makePeer2({ keys: two, services })
  test('what is made is read', () => {
    const document = read(resolvePeer(did))
    expect(document.authentication).toEqual([`${did}#key-1`])
    expect(document.keyAgreement).toEqual([`${did}#key-2`])
    expect(document.service).toEqual([
      { id: `${did}#service`, ...services[0] },
      { id: `${did}#service-1`, ...services[1], recipientKeys: [`${did}#key-1`] },
    ])
    expect(document.alsoKnownAs).toEqual([peer3Of(did)])
  })
  test('older fragments name the same key', () => {
    const document = read(resolvePeer(did))
    for (const fragment of ['key-1', edKey, edKey.slice(1), edKey.slice(1, 9)])
      expect(methodOf(document, `${did}#${fragment}`)?.id).toBe(`${did}#key-1`)
    expect(methodOf(document, '#key-2')?.keyType).toBe('X25519')
    for (const other of ['#key-3', `did:peer:2.x#key-1`, did]) expect(methodOf(document, other)).toBeUndefined()
  })
  test('abbreviated and full names, string, object and list endpoints', () => {
    const encode = (service: unknown) => `did:peer:2.V${edKey}.S${base64url(utf8(JSON.stringify(service)))}`
    const endpoint = (service: unknown) => read(resolvePeer(encode(service))).service
    const full = { type: 'DIDCommMessaging', serviceEndpoint: { uri: 'u', routingKeys: [], accept: ['a'] } }
    expect(endpoint(full)[0]).toMatchObject(full)
    expect(endpoint({ t: 'dm', s: { uri: 'u', r: [], a: ['a'] } })[0]).toMatchObject(full)
    expect(endpoint({ t: 'dm', s: [{ uri: 'u', r: ['k'] }] })[0]).toMatchObject({
      serviceEndpoint: [{ uri: 'u', routingKeys: ['k'] }],
    })
    expect(endpoint({ t: 'dm', s: 'u', r: ['k'], a: ['a'] })[0]).toMatchObject({
      serviceEndpoint: 'u',
      routingKeys: ['k'],
      accept: ['a'],
    })
    expect(
      endpoint([
        { t: 'dm', s: 'u' },
        { t: 'x', s: 'v' },
      ]).map(service => service.id.split('#')[1]),
    ).toEqual(['service', 'service-1'])
    expect(endpoint({ id: '#didcomm-0', t: 'dm', s: 'u' })[0]?.id.endsWith('#didcomm-0')).toBe(true)
  })
  test('services may stand before keys, padded', () => {
    const padded = Buffer.from('{"t":"dm","s":"u"}').toString('base64')
    expect(padded).toMatch(/=*$/)
    expect(read(resolvePeer(`did:peer:2.S${base64url(utf8('{"t":"dm","s":"uv"}'))}.V${edKey}`)).service).toHaveLength(1)
  })
  test.each([
    'did:peer:2',
    'did:peer:2.',
    `did:peer:2${edKey}`,
    `did:peer:2.X${edKey}`,
    `did:peer:2.V${edKey.slice(1)}`,
    `did:peer:2.V${edKey}0`,
    `did:peer:2.V${edKey}.`,
    `did:peer:2.V${exKey}`,
    `did:peer:2.V${edKey}.Snojson`,
    `did:peer:2.V${edKey}.S${base64url(utf8('7'))}`,
    `did:peer:2.V${edKey}.S${base64url(utf8('{"t":"dm"}'))}`,
    `did:peer:2.V${edKey}.S${base64url(utf8('{"t":[],"s":"u"}'))}`,
    `did:peer:2.S${base64url(utf8('{"t":"dm","s":"u"}'))}`,
    `did:peer:2.Vz6666YqRYQqiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V`,
    `did:peer:5${edKey}`,
    `did:peer:0${edKey.slice(1)}`,
    'did:peer:',
    `did:peer:2.V${encodeMultikey('Ed25519', ed)}.Ez${base58(concat(Uint8Array.of(0xec, 1), new Uint8Array(32)))}`,
    `did:peer:2.V${edKey}.constructor`,
  ])('refuses %s', bad => {
    expect(['did.malformed', 'did.document', 'key.malformed']).toContain(code(resolvePeer(bad)))
  })
  test('did:peer:3 resolves only with its own did:peer:2', () => {
    const short = peer3Of(did)
    const document = read(resolvePeer(short, asked => (asked === short ? did : undefined)))
    expect(document.id).toBe(short)
    expect(document.keyAgreement).toEqual([`${short}#key-2`])
    expect(document.alsoKnownAs).toEqual([did])
    expect(code(resolvePeer(short))).toBe('did.unresolvable')
    expect(code(resolvePeer(short, () => makePeer2({ keys: two })))).toBe('did.malformed')
  })
})

describe('did:peer:4', () => {
  const input = {
    verificationMethod: [{ id: '#0', type: 'Multikey', publicKeyMultibase: edKey }],
    authentication: ['#0'],
    keyAgreement: [{ id: '#1', type: 'Multikey', publicKeyMultibase: exKey }],
    service: [
      {
        id: '#s',
        type: 'did-communication',
        serviceEndpoint: 'https://a.example',
        recipientKeys: ['#0'],
        routingKeys: [],
      },
    ],
  }
  const { long, short } = makePeer4(input)
  test('long and short form give one document under two names', () => {
    for (const did of [long, short]) {
      const document = read(resolvePeer(did, () => long))
      expect([document.id, document.authentication, document.keyAgreement]).toEqual([did, [`${did}#0`], [`${did}#1`]])
      expect(document.alsoKnownAs).toEqual([did === long ? short : long])
      expect(document.service[0]?.recipientKeys).toEqual([`${did}#0`])
      expect(document.verificationMethod.map(method => method.controller)).toEqual([did, did])
    }
    expect([peer4Short(long), peer4Short(short)]).toEqual([short, short])
  })
  test("one caller's knowledge answers no other", () => {
    expect(code(resolvePeer(short, () => long))).toBe('resolved')
    expect(code(resolvePeer(short))).toBe('did.unresolvable')
    expect(code(resolvePeer(`${short} ${long}`))).toBe('did.malformed')
    expect(code(resolvePeer(short, () => makePeer4({ ...input, authentication: [] }).long))).toBe('did.malformed')
  })
  test('a changed document or hash is refused', () => {
    const other = makePeer4({ ...input, authentication: [] })
    const swapped = `${short}${other.long.slice(other.short.length)}`
    for (const bad of [swapped, `${long}1`, long.slice(0, -1), `${short}:`, `${long}:z1`, long.replace(':z', ':u')]) {
      expect([bad.length, code(resolvePeer(bad))]).toEqual([bad.length, 'did.malformed'])
    }
  })
  test('a hash over anything but a JSON object is refused', () => {
    const coded = (bytes: Uint8Array) => {
      const encoded = `z${base58(bytes)}`
      return `did:peer:4z${base58(concat(Uint8Array.of(0x12, 0x20), crypto.sha256(utf8(encoded))))}:${encoded}`
    }
    const json = (text: string) => coded(concat(Uint8Array.of(0x80, 4), utf8(text)))
    expect(code(resolvePeer(json('{"service":[]}')))).toBe('resolved')
    for (const bad of [
      json('7'),
      json('[]'),
      json('{'),
      json('{"a":1,"a":2}'),
      json('['.repeat(5000)),
      coded(utf8('{}')),
      coded(Uint8Array.of(0x80, 4, 0xff)),
    ]) {
      expect(code(resolvePeer(bad))).toBe('did.malformed')
    }
    expect(read(resolvePeer(json('{"fault":true,"code":"x","id":"did:x:1"}'))).id).toMatch(/^did:peer:4/)
  })
  test('refuses to make what must not be made', () => {
    expect(() => makePeer4({ id: 'did:x:1' })).toThrow('id')
    expect(() => makePeer4({})).toThrow('members')
  })
})

describe('DID documents', () => {
  const did = 'did:web:a.example'
  const multi = (id: string, key = edKey) => ({ id, type: 'Multikey', controller: did, publicKeyMultibase: key })
  test('an IndyAgent document of an unqualified DID', () => {
    const nym = 'WgWxqztrNooG92RXvxSTWv'
    const json = {
      '@context': 'https://w3id.org/did/v1',
      id: `did:sov:${nym}`,
      publicKey: [{ id: `${nym}#1`, type: 'Ed25519VerificationKey2018', controller: nym, publicKeyBase58: base58(ed) }],
      authentication: [{ type: 'Ed25519SignatureAuthentication2018', publicKey: `did:sov:${nym}#1` }],
      service: [
        {
          id: `${nym};indy`,
          type: 'IndyAgent',
          priority: 0,
          recipientKeys: [base58(ed)],
          serviceEndpoint: 'http://a.example',
        },
      ],
    }
    for (const id of [nym, `did:sov:${nym}`]) {
      const document = read(readDidDocument(json, id))
      expect([document.verificationMethod[0]?.id, document.authentication]).toEqual([`${id}#1`, [`${id}#1`]])
      expect(document.service[0]).toMatchObject({ type: 'IndyAgent', recipientKeys: [base58(ed)], priority: 0 })
    }
  })
  test('keys in every spelling', () => {
    const x = (key: Uint8Array) => base64url(key)
    const spellings = [
      [{ type: 'Multikey', publicKeyMultibase: edKey }, 'Ed25519'],
      [{ type: 'Ed25519VerificationKey2020', publicKeyMultibase: `z${base58(ed)}` }, 'Ed25519'],
      [{ type: 'Ed25519VerificationKey2018', publicKeyBase58: base58(ed) }, 'Ed25519'],
      [{ type: 'X25519KeyAgreementKey2019', publicKeyBase58: base58(ex) }, 'X25519'],
      [{ type: 'JsonWebKey2020', publicKeyJwk: { kty: 'OKP', crv: 'X25519', x: x(ex) } }, 'X25519'],
      [{ type: 'JsonWebKey2020', publicKeyJwk: { kty: 'EC', crv: 'P-256', x: x(ed), y: x(ex) } }, 'P-256'],
      [{ type: 'JsonWebKey2020', publicKeyJwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } }, 'other'],
      [{ type: 'Odd2030', note: 'no key at all' }, 'other'],
    ] as const
    for (const [key, type] of spellings) {
      const document = read(readDidDocument({ id: did, verificationMethod: [{ id: '#k', ...key }] }, did))
      expect([key, document.verificationMethod[0]?.keyType]).toEqual([key, type])
    }
  })
  test.each<[string, object]>([
    ['small-order Ed25519', { publicKeyBase58: base58(new Uint8Array(32)), type: 'Ed25519VerificationKey2018' }],
    [
      'small-order X25519 JWK',
      { publicKeyJwk: { kty: 'OKP', crv: 'X25519', x: base64url(new Uint8Array(32)) }, type: 'JsonWebKey2020' },
    ],
    ['short key', { publicKeyBase58: base58(ed.subarray(2)), type: 'Ed25519VerificationKey2018' }],
    ['broken multibase', { publicKeyMultibase: 'z0', type: 'Multikey' }],
    [
      'multikey of wrong length',
      { publicKeyMultibase: `z${base58(concat(Uint8Array.of(0xed, 1), ed, ed))}`, type: 'Multikey' },
    ],
    ['padded JWK', { publicKeyJwk: { kty: 'OKP', crv: 'Ed25519', x: `${base64url(ed)}=` }, type: 'JsonWebKey2020' }],
  ])('refuses a document with a %s', (_name, key) => {
    expect(code(readDidDocument({ id: did, keyAgreement: [{ id: '#k', ...key }] }, did))).toBe('key.malformed')
  })
  test('methods and references of other DIDs are left out', () => {
    const document = read(
      readDidDocument(
        {
          id: did,
          verificationMethod: [multi('did:web:b.example#k'), multi('#k')],
          authentication: ['did:web:b.example#k', '#k', '#gone', `${did}#k`],
        },
        did,
      ),
    )
    expect(document.verificationMethod.map(method => method.id)).toEqual([`${did}#k`])
    expect(document.authentication).toEqual([`${did}#k`])
  })
  test('a service may have several types; one that cannot be read is left out', () => {
    const service = [
      { type: ['LinkedDomains', 'DIDCommMessaging'], serviceEndpoint: { uri: 'u' } },
      { type: ['LinkedDomains', 'Other'], serviceEndpoint: 'v' },
      { type: ['IndyAgent', 'did-communication'], serviceEndpoint: 'w' },
      { type: [], serviceEndpoint: 'x' },
      { type: 7, serviceEndpoint: 'x' },
      { serviceEndpoint: 'x' },
      { type: 'DIDCommMessaging' },
      'text',
    ]
    const found = read(readDidDocument({ service }, did)).service
    expect(found.map(({ id, type }) => [id, type])).toEqual([
      [`${did}#service-0`, 'DIDCommMessaging'],
      [`${did}#service-1`, 'LinkedDomains'],
      [`${did}#service-2`, 'did-communication'],
    ])
    const peer2 = `did:peer:2.V${edKey}.S${base64url(utf8('{"t":["x","dm"],"s":"u"}'))}`
    expect(read(resolvePeer(peer2)).service.map(({ type }) => type)).toEqual(['DIDCommMessaging'])
    const made = (type: unknown) => makePeer4({ service: [{ id: '#s', type, serviceEndpoint: 'u' }] }).long
    expect(read(resolvePeer(made(['x', 'did-communication']))).service[0]?.type).toBe('did-communication')
    for (const type of [[], [7], 7]) expect(() => made(type)).toThrow('service')
  })
  test('limits and shapes', () => {
    const many = (n: number) => Array.from({ length: n }, (_, i) => multi(`#k${i}`))
    const endpoints = (n: number) => Array.from({ length: n }, () => ({ type: 't', serviceEndpoint: 'u' }))
    const bad = [
      null,
      'text',
      [],
      { verificationMethod: many(65) },
      { service: endpoints(21) },
      { note: 'x'.repeat(65_536) },
      { verificationMethod: 'no list' },
      { verificationMethod: [{}] },
      { verificationMethod: ['#k'] },
      { authentication: '#k' },
      { authentication: [7] },
      { service: {} },
      { verificationMethod: [multi('#k'), multi('#k', exKey)] },
    ]
    for (const json of bad)
      expect([JSON.stringify(json)?.slice(0, 60), code(readDidDocument(json, did))]).toEqual([
        JSON.stringify(json)?.slice(0, 60),
        'did.document',
      ])
    expect(
      read(readDidDocument({ verificationMethod: many(64), service: endpoints(20) }, did)).verificationMethod,
    ).toHaveLength(64)
    let deep: unknown = {}
    for (let i = 0; i < 20_000; i++) deep = [deep]
    expect(code(readDidDocument({ deep }, did))).toBe('did.document')
  })
})

describe('resolver', () => {
  const did = didKey('Ed25519', ed)
  test('a table of methods, static documents first', () => {
    const resolver = makeResolver()
    expect(read(resolver.resolve(did)).id).toBe(did)
    expect(code(resolver.resolve('did:web:a.example'))).toBe('did.unsupported')
    expect(code(resolver.resolve('did:constructor:a'))).toBe('did.unsupported')
    expect(code(resolver.resolve('not a did'))).toBe('did.malformed')
    const alice = {
      id: 'did:example:alice',
      authentication: [{ id: 'did:example:alice#k', type: 'Multikey', publicKeyMultibase: edKey }],
    }
    const fixed = resolver.withStatic([alice])
    expect(read(fixed.resolve('did:example:alice')).authentication).toEqual(['did:example:alice#k'])
    expect(read(fixed.resolve(did)).id).toBe(did)
    expect(code(resolver.resolve('did:example:alice'))).toBe('did.unsupported')
  })
  test('other methods may be added, short forms be known', () => {
    const { long, short } = makePeer4({ service: [] })
    const resolver = makeResolver({
      known: asked => (asked === short ? long : undefined),
      methods: { web: asked => readDidDocument({ id: asked }, asked) },
    })
    expect(read(resolver.resolve(short)).id).toBe(short)
    expect(read(resolver.resolve('did:web:a')).id).toBe('did:web:a')
  })
  test('serves the package did-resolver', async () => {
    const { Resolver } = await import('did-resolver')
    const resolver = new Resolver(makeResolver().asDidResolver())
    const found = await resolver.resolve(`${did}#${edKey}`)
    expect([found.didDocument?.id, found.didResolutionMetadata.error]).toEqual([did, undefined])
    expect((await resolver.resolve('did:key:z6MkBad')).didResolutionMetadata.error).toBe('invalidDid')
    expect((await resolver.resolve(makePeer4({ service: [] }).short)).didResolutionMetadata.error).toBe('notFound')
  })
})

describe('canonical JSON and the memo', () => {
  test('is stable under order and parses back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const text = canonicalize(JSON.parse(JSON.stringify(value)))
        expect(canonicalize(JSON.parse(text))).toBe(text)
      }),
    )
    expect(canonicalize({ b: 1, a: undefined, '\ud83d\ude00': 2, '\ufb33': 3 })).toBe(
      '{"b":1,"\ud83d\ude00":2,"\ufb33":3}',
    )
    expect(canonicalize([-0, 1e21, '\ud800'])).toBe('[0,1e+21,"\\ud800"]')
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, undefined, () => 1])
      expect(() => canonicalize([bad])).toThrow('JSON')
  })
  test('forgets what came first', () => {
    const left: number[] = []
    const memo = new Memo<number>(2, { maxKeyChars: 10, dropped: value => left.push(value) })
    memo.set('a', 1)
    memo.set('b', 2)
    expect([memo.get('a'), memo.has('b')]).toEqual([1, true])
    memo.set('c', 3)
    expect([...memo, left]).toEqual([['b', 2], ['c', 3], [1]])
    memo.set('b', 4)
    memo.set('d', 5)
    expect([...memo.keys(), left]).toEqual(['b', 'd', [1, 2, 3]])
    expect([memo.delete('b'), memo.delete('b'), left]).toEqual([true, false, [1, 2, 3, 4]])
    memo.set('long key 1', 6)
    expect([...memo, left]).toEqual([
      ['long key 1', 6],
      [1, 2, 3, 4, 5],
    ])
    memo.set('too long a key', 7)
    expect([memo.size, left]).toEqual([0, [1, 2, 3, 4, 5, 6, 7]])
    memo.set('a', 8)
    memo.set('b', 9)
    memo.clear()
    expect([memo.size, left]).toEqual([0, [1, 2, 3, 4, 5, 6, 7, 8, 9]])
    memo.set('long key 2', 10)
    expect(memo.get('long key 2')).toBe(10)
  })
})
