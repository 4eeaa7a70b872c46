// Legal forms of a case that no shipped file has: a runner must take them, for other files of these families are run by
// it. Made of shipped cases, or with keys of our own.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { base58, base64url, concat, hex } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { makePeer4 } from '../../wallet/did-peer.ts'
import { packV2 } from '../../wallet/envelope-v2.ts'
import { isFault } from '../../wallet/fault.ts'
import { encodeMultikey } from '../../wallet/multikey.ts'
import { bytesOf, message, type Person, person, recipientOf } from '../wallet/people.ts'
import { familyOf, runFile } from './families.ts'
import { fixedKeys } from './keys.ts'
import { main } from './run.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

const read = (path: string): Json => JSON.parse(readFileSync(new URL(`../vectors/${path}`, import.meta.url), 'utf8'))
const [alice, bob] = [person('alice'), person('bob')]
/** The outcome when all that the file has was passed. */
const allPassed = (file: Json) => ({ passed: file.cases.map(({ id }: Json) => id), failed: [], skipped: [] })

const noKeys = fixedKeys(cryptoNode, new Map())
const parsed = (packed: ReturnType<typeof packV2>): Json => {
  if (isFault(packed)) throw new Error(packed.message)
  return JSON.parse(Buffer.from(packed).toString())
}

/** Alice writes to the short form of bob's DID, by the short form of her own. */
function shortPeer4(): Json {
  const peer = ({ seed, publicKey, x25519 }: Person) => {
    const keys = [encodeMultikey('Ed25519', publicKey), encodeMultikey('X25519', x25519)]
    const { long, short } = makePeer4({
      verificationMethod: keys.map((text, i) => ({ id: `#key-${i}`, type: 'Multikey', publicKeyMultibase: text })),
      authentication: ['#key-0'],
      keyAgreement: ['#key-1'],
    })
    const head = { did: long, ed25519_kid: `${long}#key-0`, x25519_kid: `${long}#key-1`, ed25519_seed_hex: hex(seed) }
    return { head, long, short }
  }
  const [from, to] = [peer(alice), peer(bob)]
  const plaintext = message(undefined, undefined, { from: from.short, to: [to.short] })
  const keys = fixedKeys(cryptoNode, new Map([[`${from.short}#key-1`, alice.keys.pair(alice.boxKid)!]]))
  const recipients = [{ kid: `${to.short}#key-1`, publicKey: bob.x25519 }]
  const packed = parsed(
    packV2(cryptoNode, keys, { plaintext: bytesOf(plaintext), recipients, sender: `${from.short}#key-1` }),
  )
  const expected = { plaintext, sender: from.long, authenticated: true }
  return {
    meta: {},
    identities: { alice: from.head, bob: to.head },
    cases: [{ id: 'short', kind: 'positive', receiver: 'bob', packed, expected }],
  }
}

describe('DIDs', () => {
  const [{ did, vector }] = read('did-key/w3c-ccg.json').cases
  const { didDocument } = vector
  const resolved = (name: string, document: Json) => ({
    meta: {},
    cases: [{ id: name, kind: 'positive', did, expected: { [name]: document } }],
  })

  test.each(['resolved', 'did_document'])('the document of a did:key as expected.%s', async name => {
    expect(await runFile(resolved(name, didDocument))).toEqual(allPassed(resolved(name, didDocument)))
    expect((await runFile(resolved(name, { ...didDocument, authentication: [] }))).failed).toHaveLength(1)
  })

  const peer2 = `did:peer:2.V${alice.did.slice(8)}`
  const syntax = (text: string, valid: boolean) => ({
    id: text,
    kind: valid ? 'positive' : 'negative',
    did: text,
    expected: { valid_syntax: valid },
  })

  test('the syntax of did:peer forms that hold a document', async () => {
    const good = [peer2, `did:peer:0${alice.did.slice(8)}`].map(text => syntax(text, true))
    const bad = [`${peer2}x`, 'did:peer:0z6Mk', 'did:peer:5z6Mk'].map(text => syntax(text, false))
    const file = { meta: {}, cases: [...good, ...bad] }
    expect(await runFile(file)).toEqual(allPassed(file))
  })

  test('a document with a controller and names of its own inside a did:peer:4', async () => {
    const input = {
      alsoKnownAs: ['https://alice.example'],
      verificationMethod: [
        { id: '#k', type: 'Multikey', controller: 'did:example:other', publicKeyMultibase: alice.did.slice(8) },
      ],
    }
    const { long } = makePeer4(input)
    const inside = (id: string, document: Json) => ({
      id,
      kind: 'positive',
      did: long,
      expected: { input_document: document },
    })
    const cases = [inside('same', input), inside('without names', { ...input, alsoKnownAs: [] })]
    expect(await runFile({ meta: {}, cases })).toEqual({
      passed: ['same'],
      failed: [{ id: 'without names', why: 'another document was inside' }],
      skipped: [],
    })
  })
})

describe('didcomm-v1-envelope', () => {
  const v1 = read('didcomm-v1-envelope/generated-by-acapy-0.12.8.json')

  test('a case that does not say for whom it is', async () => {
    const cases = v1.cases.filter(({ expected }: Json) => expected.unwrap === undefined)
    const file = { ...v1, cases: cases.map((test: Json) => ({ ...test, recipients: undefined })) }
    expect(await runFile(file)).toEqual(allPassed(file))
    const good = { ...cases.find(({ kind }: Json) => kind === 'positive'), recipients: undefined, kind: 'negative' }
    expect((await runFile({ ...v1, cases: [good] })).failed).toHaveLength(1)
  })
})

describe('didcomm-v2', () => {
  test('a secret as privateKeyMultibase', async () => {
    const secret = new Uint8Array(32).fill(7)
    const { publicKey } = cryptoNode.x25519KeyPair(secret)
    const kid = 'did:example:bob#key-x25519-4'
    const plaintext = message(undefined, undefined)
    const file = {
      meta: {},
      secrets: { bob: [{ kid, privateKeyMultibase: `z${base58(concat(Uint8Array.of(0x82, 0x26), secret))}` }] },
      cases: [
        {
          id: 'to the fourth key',
          kind: 'positive',
          packed: parsed(
            packV2(cryptoNode, noKeys, { plaintext: bytesOf(plaintext), recipients: [{ kid, publicKey }] }),
          ),
          expected: { plaintext },
        },
      ],
    }
    expect(await runFile(file)).toEqual(allPassed(file))
  })

  const plaintext = message(alice, bob)
  const plain = { id: 'bare', kind: 'positive', packed: plaintext, expected: { plaintext } }

  test('a bare message under any id', async () => {
    const file = { meta: {}, cases: [plain, { ...plain, id: 'as text', packed: JSON.stringify(plaintext) }] }
    expect(await runFile(file)).toEqual(allPassed(file))
    const wrong = [
      { ...plain, kind: 'negative' },
      { ...plain, expected: { plaintext: {} } },
      { ...plain, expected: { metadata: { encrypted: true } } },
    ]
    expect((await runFile({ meta: {}, cases: wrong })).passed).toEqual([])
  })

  test('what is forwarded may stand in base64', async () => {
    const [mediator, kid] = ['did:example:mediator', 'did:example:bob#key-1']
    const secrets = [kid, `${mediator}#key-1`].map((name, i) => {
      const { publicKey, secretKey } = cryptoNode.x25519KeyPair(new Uint8Array(32).fill(i + 1))
      return {
        kid: name,
        jwk: { kty: 'OKP', crv: 'X25519', x: base64url(publicKey), d: base64url(secretKey) },
        publicKey,
      }
    })
    const seal = (content: object, to: { kid: string; publicKey: Uint8Array }) =>
      parsed(packV2(cryptoNode, noKeys, { plaintext: bytesOf(content), recipients: [to] }))
    const inner = seal(message(undefined, undefined), secrets[0]!)
    const forward = {
      id: 'f',
      type: 'https://didcomm.org/routing/2.0/forward',
      body: { next: kid },
      attachments: [{ data: { base64: base64url(bytesOf(inner)) } }],
    }
    const unwrap = [
      { by: mediator, next: kid },
      { by: kid, plaintext_id: '8b1e6f7a-0a4b-4a1b-9a1f-7c1d2e3f4a5b' },
    ]
    const onion = { id: 'onion', kind: 'positive', packed: seal(forward, secrets[1]!), expected: { unwrap } }
    const file = { meta: {}, secrets: { all: secrets }, cases: [onion] }
    expect(await runFile(file)).toEqual(allPassed(file))
  })

  test('the outside of an envelope whose keys nobody has', async () => {
    const packed = parsed(packV2(cryptoNode, noKeys, { plaintext: bytesOf(plaintext), recipients: [recipientOf(bob)] }))
    const structure = { id: 'structure', kind: 'structure-only', packed }
    const good = { recipient_kids: [bob.boxKid], protected: { alg: 'ECDH-ES+A256KW' } }
    expect((await runFile({ meta: {}, cases: [{ ...structure, expected: good }] })).failed).toEqual([])
    for (const wrong of [{ recipient_kids: [] }, { protected: { alg: 'none' } }]) {
      const { failed } = await runFile({ meta: {}, cases: [{ ...structure, expected: { ...good, ...wrong } }] })
      expect(failed).toHaveLength(1)
    }
  })

  test('a head without secrets', async () => {
    const packed = parsed(packV2(cryptoNode, noKeys, { plaintext: bytesOf(plaintext), recipients: [recipientOf(bob)] }))
    const cases = ['negative', 'positive'].map(kind => ({ id: kind, kind, packed, expected: {} }))
    expect(await runFile({ meta: {}, cases })).toEqual({
      passed: ['negative'],
      failed: [{ id: 'positive', why: 'envelope.unknown_recipient: no recipient key is ours' }],
      skipped: [],
    })
  })
})

describe('files', () => {
  const made = mkdtempSync(join(tmpdir(), 'vector-forms-'))
  afterAll(() => rmSync(made, { recursive: true, force: true }))
  const jws = 'security/attachment-jws.json'
  const foreign = { meta: {}, identities: {}, cases: [{ id: 'x', kind: 'negative', signature: {}, expected: {} }] }

  test('one of another family beside one that is known is listed as skipped', async () => {
    const folder = join(made, 'security')
    mkdirSync(folder)
    copyFileSync(new URL(`../vectors/${jws}`, import.meta.url), join(folder, 'attachment-jws.json'))
    writeFileSync(join(folder, 'connection-sig.json'), JSON.stringify(foreign))
    const out: string[] = []
    expect(await main([folder], line => out.push(line), String)).toBe(0)
    expect(out).toEqual([
      `${join(folder, 'attachment-jws.json')}: ${read(jws).cases.length} passed, 0 failed, 0 skipped`,
      `${join(folder, 'connection-sig.json')}: 0 passed, 0 failed, 1 skipped`,
      '  skipped x: no such family here: a case of id, kind, signature, expected',
    ])
  })

  test('one of another family alone is not run', async () => {
    const alone = join(made, 'alone.json')
    writeFileSync(alone, JSON.stringify(foreign))
    expect(await main([alone], String, String)).toBe(2)
  })
})

describe('security', () => {
  const v1 = read('security/didcomm-v1-semantic.json')
  const v2 = read('security/didcomm-v2-semantic.json')
  const sequences = read('security/didcomm-v2-sequences.json')
  const one = (file: Json, id: string, more: object = {}) => ({
    ...file.cases.find((test: Json) => test.id === id),
    strength: 'must',
    ...more,
  })
  const good = one(v1, 'v1s-auth-control')
  const envelope = { envelope: undefined }
  const forms: [string, Json][] = [
    [
      'an identity without a v2 key beside those of the case',
      { ...v2, identities: { ...v2.identities, web: { did: 'did:web:x.example' } }, cases: [one(v2, 'auth-control')] },
    ],
    ['a sequence beside single messages', { ...v2, cases: [one(v2, 'auth-control'), one(sequences, 'id-case')] }],
    ['a v1 case with packed', { ...v1, cases: [{ ...good, ...envelope, packed: good.envelope }] }],
    [
      'a v1 sequence',
      {
        ...v1,
        cases: ['envelope', 'packed'].map(name => ({
          ...good,
          ...envelope,
          id: name,
          kind: 'sequence',
          steps: [true, false].map(processed => ({ [name]: good.envelope, expected: { processed } })),
        })),
      },
    ],
    [
      'a receiver named by each step',
      {
        ...sequences,
        cases: [one(sequences, 'id-case', { receiver: undefined })].map(test => ({
          ...test,
          steps: test.steps.map((step: Json) => ({ ...step, receiver: 'bob' })),
        })),
      },
    ],
    [
      'a step of which nothing is expected',
      {
        ...sequences,
        cases: [one(sequences, 'id-case')].map(test => ({
          ...test,
          steps: [{ ...test.steps[0], expected: undefined }, ...test.steps.slice(1)],
        })),
      },
    ],
    [
      'keys registered for the whole file',
      { ...v2, registered: [v2.identities.bob.did], cases: [one(v2, 'forward-base64', { registered: undefined })] },
    ],
    ['a clock as text', { ...v2, cases: [one(v2, 'auth-control', { receiver_time: '2025-01-01T00:00:00Z' })] }],
    ['a short did:peer:4 that mail is addressed to', shortPeer4()],
  ]
  test.each(forms)('%s', async (_, file) => {
    expect(await runFile(file)).toEqual(allPassed(file))
  })

  test('a receiver that the file does not have fails its case alone', async () => {
    const nobody = one(v2, 'auth-control', { id: 'nobody', receiver: undefined })
    expect(await runFile({ ...v2, cases: [nobody, one(v2, 'auth-control')] })).toEqual({
      passed: ['auth-control'],
      failed: [{ id: 'nobody', why: 'the file has no keys of a receiver undefined' }],
      skipped: [],
    })
  })

  test.each([{ receiver_time: 'noon' }, { packed: 7 }, { receiver: {} }, { steps: [null] }, { expected: 7 }])(
    'an odd case does not end the run: %j',
    async odd => {
      const cases = [one(v2, 'auth-control', { id: 'odd', ...odd }), null, one(v2, 'auth-control')]
      const { passed, failed, skipped } = await runFile({ ...v2, cases })
      expect(passed).toContain('auth-control')
      expect([passed, failed, skipped].flat()).toHaveLength(3)
    },
  )

  test('attachments without expected.valid', async () => {
    const jws = read('security/attachment-jws.json')
    const bad = one(jws, 'jws-other-signer', { expected: { error: true } })
    expect(await runFile({ ...jws, cases: [bad] })).toEqual(allPassed({ cases: [bad] }))
    const good = one(jws, 'jws-kid-both', { expected: { error: true } })
    expect((await runFile({ ...jws, cases: [good] })).failed).toEqual([{ id: 'jws-kid-both', why: 'was accepted' }])
    const { 'invitation-key': _, ...identities } = jws.identities
    const why = 'the file has no identity invitation-key'
    expect((await runFile({ ...jws, identities, cases: [bad] })).failed).toEqual([{ id: bad.id, why }])
  })

  test('the family of a mixed file is told', () => {
    expect(familyOf(forms[1]![1])?.name).toBe('security/didcomm-v2-sequences')
  })
})
