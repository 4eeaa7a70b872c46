// Signed attachments: the one form every peer verifies goes out, all their forms come in.

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { neutralJson, signAttachment, verifyAttachment } from '../../wallet/attachment.ts'
import { base64, base64url, fromBase64url, text, utf8 } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import type { JsonMembers } from '../../wallet/json.ts'
import { signDetached } from '../../wallet/jws.ts'
import { person } from './people.ts'

const alice = person('alice')
const mallory = person('mallory')
const content = utf8('did:peer:2.x>?~.')
const sign = (bytes: Uint8Array) => alice.keys.sign(alice.signKid, bytes)!
const signed = signAttachment({ content, publicKey: alice.publicKey, sign, id: 'a', mimeType: 'text/string' })

type Data = { base64: string; jws: { header: { kid: string }; protected: string; signature: string } }
const { base64: encoded, jws } = signed.data as Data
const withData = (data: object): JsonMembers => ({ data: { base64: encoded, jws, ...data } }) as JsonMembers
/** Alice's DID with the fragment of another kid. */
const withFragment = (kid: string) => `${alice.did}#${kid.split('#')[1]}`
const check = (attachment: JsonMembers, key = alice.publicKey) => verifyAttachment(cryptoNode, attachment, key)

describe('signAttachment', () => {
  test('names the key as did:key in all three places', () => {
    expect(signed).toMatchObject({ '@id': 'a', 'mime-type': 'text/string' })
    expect(encoded).toBe(base64(content))
    expect(jws.header).toEqual({ kid: alice.did })
    expect(JSON.parse(text(fromBase64url(jws.protected)!))).toEqual({
      alg: 'EdDSA',
      kid: alice.did,
      jwk: { kty: 'OKP', crv: 'Ed25519', x: base64url(alice.publicKey), kid: alice.did },
    })
    expect(`${jws.protected}${jws.signature}`).not.toMatch(/[=+/]/)
  })

  test('verifies', () => {
    expect(check(signed)).toEqual(content)
    expect(check(signed, mallory.publicKey)).toMatchObject({ code: 'jws.signer' })
  })
})

describe('verifyAttachment', () => {
  test('takes four spellings of base64', () => {
    const url = base64url(content)
    expect(encoded).toMatch(/[+/].*=$/)
    for (const spelling of [encoded, encoded.replaceAll('=', ''), url, url.padEnd(encoded.length, '=')]) {
      expect(check(withData({ base64: spelling }))).toEqual(content)
    }
  })

  test('takes the general form and a kid with fragment or naked', () => {
    expect(check(withData({ jws: { signatures: [jws] } }))).toEqual(content)
    for (const kid of [alice.signKid, alice.verkey]) {
      expect(check(withData({ jws: { ...jws, header: { kid } } }))).toEqual(content)
    }
  })

  test.each([
    ['no signature', 'attachment.unsigned', { data: { base64: encoded } }],
    ['no data', 'attachment.malformed', {}],
    ['not base64', 'attachment.malformed', withData({ base64: '%' })],
    ['other content', 'jws.signature', withData({ base64: base64(utf8('x')) })],
    ['another kid', 'jws.signer', withData({ jws: { ...jws, header: { kid: mallory.did } } })],
    ['a kid of another method', 'jws.signer', withData({ jws: { ...jws, header: { kid: 'did:web:a#b' } } })],
    [
      'a fragment of another',
      'jws.signer',
      withData({ jws: { ...jws, header: { kid: withFragment(mallory.signKid) } } }),
    ],
    ['a key for agreement', 'jws.signer', withData({ jws: { ...jws, header: { kid: withFragment(alice.boxKid) } } })],
    ['a query', 'jws.signer', withData({ jws: { ...jws, header: { kid: `${alice.did}?a=1` } } })],
    ['its own payload', 'jws.malformed', withData({ jws: { ...jws, payload: 'AA' } })],
  ])('%s: %s', (_, code, attachment) => {
    expect(check(attachment as JsonMembers)).toMatchObject({ fault: true, code })
  })

  test('keys that a header points to are ignored and prove nothing', () => {
    const pointing = (extra: object, by = alice) => {
      const header = { alg: 'EdDSA', kid: alice.did, ...extra }
      const made = signDetached(bytes => by.keys.sign(by.signKid, bytes)!, header, content)
      return check(withData({ jws: { protected: made.protected, signature: made.signature } }))
    }
    for (const extra of [
      { x5c: ['AA'] },
      { jku: 'https://keys.example' },
      { x5t: 'AA' },
      { x5u: 'https://a.example' },
    ]) {
      expect(pointing(extra)).toEqual(content)
      expect(pointing(extra, mallory)).toMatchObject({ code: 'jws.signature' })
    }
    expect(pointing({ crit: ['exp'] })).toMatchObject({ code: 'jws.crit' })
    expect(pointing({ b64: false })).toMatchObject({ code: 'jws.header' })
  })

  test('a second signature by somebody else does not pass', () => {
    const other = signAttachment({
      content,
      publicKey: mallory.publicKey,
      sign: bytes => mallory.keys.sign(mallory.signKid, bytes)!,
    })
    expect(check(withData({ jws: { signatures: [jws, (other.data as Data).jws] } }))).toMatchObject({
      code: 'jws.signer',
    })
  })
})

test('neutralJson has one base64 in both alphabets and is the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const bytes = neutralJson(value as never)
      expect(base64(bytes)).not.toMatch(/[+/]/)
      expect(JSON.parse(text(bytes))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
    { seed: 17, numRuns: 200 },
  )
  expect(text(neutralJson({ a: '>?~\u007fü🌱' }))).toBe('{"a":"\\u003e\\u003f\\u007e\\u007f\\u00fc\\ud83c\\udf31"}')
})
