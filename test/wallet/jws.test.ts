// JSON Web Signatures against an independent implementation (jose), and every header that must not be obeyed.

import { describe, expect, test } from '@jest/globals'
import { CompactSign, compactVerify, flattenedVerify, generalVerify, importJWK } from 'jose'
import { base64url, utf8 } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { fault } from '../../wallet/fault.ts'
import type { JsonMembers } from '../../wallet/json.ts'
import {
  type Jws,
  readJws,
  signCompact,
  signDetached,
  signFlattened,
  signGeneral,
  verifyJws,
} from '../../wallet/jws.ts'
import { person } from './people.ts'

const alice = person('alice')
const mallory = person('mallory')
const sign = (bytes: Uint8Array) => alice.keys.sign(alice.signKid, bytes)!
const header = { typ: 'JWT', alg: 'EdDSA', kid: 'a' }
const payload = utf8('{"hello":"Grüße"}')
const jwkOf = (key: Uint8Array) => ({ kty: 'OKP', crv: 'Ed25519', x: base64url(key) })
const secret = alice.keys.pair(alice.signKid)!.secretKey

const keyNamed = (kid: string) =>
  kid === 'a' ? alice.publicKey : kid === 'm' ? mallory.publicKey : fault('key.not_authorized', 'unknown')

/** The signers, or the code of the refusal. */
function verdict(source: unknown): unknown {
  const jws = readJws(source as JsonMembers)
  if ('fault' in jws) return jws.code
  const signers = verifyJws(cryptoNode, jws, keyNamed)
  return 'fault' in signers ? signers.code : signers
}

/** A flattened JWS by alice with these headers. */
function made(head: object, unprotected?: object): object {
  const { protected: first, payload: body, signature } = signDetached(sign, head as JsonMembers, payload)
  return { protected: first, payload: body, signature, ...(unprotected && { header: unprotected }) }
}

describe('three forms', () => {
  test('jose verifies ours', async () => {
    const key = await importJWK(jwkOf(alice.publicKey), 'EdDSA')
    const compact = await compactVerify(signCompact(sign, header, payload), key)
    expect(compact.payload).toEqual(new Uint8Array(payload))
    const general = signGeneral(sign, 'a', { alg: 'EdDSA' }, payload)
    expect((await generalVerify(general as never, key)).payload).toEqual(new Uint8Array(payload))
    const flattened = signFlattened(sign, 'a', { alg: 'EdDSA' }, payload)
    expect((await flattenedVerify(flattened as never, key)).unprotectedHeader).toEqual({ kid: 'a' })
  })

  test('we verify ours and what jose signs', async () => {
    expect(verdict(signCompact(sign, header, payload))).toEqual(['a'])
    expect(verdict(signGeneral(sign, 'a', { alg: 'EdDSA' }, payload))).toEqual(['a'])
    expect(verdict(signFlattened(sign, 'a', { alg: 'EdDSA' }, payload))).toEqual(['a'])
    const key = await importJWK({ ...jwkOf(alice.publicKey), d: base64url(secret.subarray(0, 32)) }, 'EdDSA')
    const theirs = await new CompactSign(payload).setProtectedHeader({ alg: 'EdDSA', kid: 'a' }).sign(key)
    expect(verdict(theirs)).toEqual(['a'])
    expect((readJws(theirs) as Jws).payload).toEqual(payload)
  })

  test('every signature of several must verify', () => {
    const byMallory = (bytes: Uint8Array) => mallory.keys.sign(mallory.signKid, bytes)!
    const one = signGeneral(sign, 'a', { alg: 'EdDSA' }, payload) as { signatures: object[] }
    const other = signGeneral(byMallory, 'm', { alg: 'EdDSA' }, payload) as { signatures: object[] }
    const forged = signGeneral(byMallory, 'a', { alg: 'EdDSA' }, payload) as { signatures: object[] }
    expect(verdict({ ...one, signatures: [...one.signatures, ...other.signatures] })).toEqual(['a', 'm'])
    expect(verdict({ ...one, signatures: [...one.signatures, ...forged.signatures] })).toBe('jws.signature')
  })
})

describe('refusals', () => {
  const good = made({ alg: 'EdDSA' }, { kid: 'a' })
  test.each([
    ['none', 'jws.unsupported_algorithm', made({ alg: 'none' }, { kid: 'a' })],
    ['HS256', 'jws.unsupported_algorithm', made({ alg: 'HS256' }, { kid: 'a' })],
    ['alg unprotected', 'jws.unsupported_algorithm', made({}, { kid: 'a', alg: 'EdDSA' })],
    ['alg twice', 'jws.header', made({ alg: 'EdDSA' }, { kid: 'a', alg: 'EdDSA' })],
    ['crit', 'jws.crit', made({ alg: 'EdDSA', crit: ['b64'], b64: false }, { kid: 'a' })],
    ['b64', 'jws.header', made({ alg: 'EdDSA', b64: false }, { kid: 'a' })],
    ['jku', 'jws.header', made({ alg: 'EdDSA', jku: 'https://example.com' }, { kid: 'a' })],
    ['x5u', 'jws.header', made({ alg: 'EdDSA' }, { kid: 'a', x5u: 'https://example.com' })],
    ['no kid', 'jws.header', made({ alg: 'EdDSA' })],
    ['a kid that is no text', 'jws.header', made({ alg: 'EdDSA', kid: 1 })],
    ['kids of two keys', 'jws.header', made({ alg: 'EdDSA', kid: 'm' }, { kid: 'a' })],
    ['jwk of another', 'jws.header', made({ alg: 'EdDSA', jwk: jwkOf(mallory.publicKey) }, { kid: 'a' })],
    ['jwk of another kind', 'jws.header', made({ alg: 'EdDSA', jwk: { kty: 'oct', k: 'AA' } }, { kid: 'a' })],
    ['a kid nobody knows', 'key.not_authorized', made({ alg: 'EdDSA' }, { kid: 'z' })],
    ['the key of another', 'jws.signature', made({ alg: 'EdDSA' }, { kid: 'm' })],
    ['another payload', 'jws.signature', { ...good, payload: base64url(utf8('{}')) }],
    ['padding', 'jws.malformed', { ...good, payload: `${base64url(utf8('{}'))}=` }],
    ['a cut signature', 'jws.malformed', { ...good, signature: 'AAAA' }],
    ['no signatures', 'jws.malformed', { payload: 'e30', signatures: [] }],
    ['both forms', 'jws.malformed', { ...good, signatures: [good] }],
    ['a header that is a list', 'jws.malformed', { ...good, protected: base64url(utf8('[]')) }],
    ['a member twice', 'jws.malformed', { ...good, protected: base64url(utf8('{"alg":"none","alg":"EdDSA"}')) }],
    ['four parts', 'jws.malformed', `${signCompact(sign, header, payload)}.e30`],
    ['two parts', 'jws.malformed', 'e30.e30'],
    ['a number', 'jws.malformed', 1],
  ])('%s: %s', (_, code, source) => {
    expect(verdict(source)).toBe(code)
  })

  test('a jwk that is the key is accepted', () => {
    expect(verdict(made({ alg: 'EdDSA', jwk: jwkOf(alice.publicKey) }, { kid: 'a' }))).toEqual(['a'])
  })

  test('a detached payload must not come twice', () => {
    expect(readJws(good as JsonMembers, 'e30')).toMatchObject({ code: 'jws.malformed' })
  })
})
