// Legal forms of a case that no shipped file has: a runner must take them, for other files of these families are run by
// it. Made of shipped cases, or with keys of our own.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { base58, concat } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { packV2 } from '../../wallet/envelope-v2.ts'
import { isFault } from '../../wallet/fault.ts'
import { bytesOf, message } from '../wallet/people.ts'
import { familyOf, runFile } from './families.ts'
import { fixedKeys } from './keys.ts'
import { main } from './run.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

const read = (path: string): Json => JSON.parse(readFileSync(new URL(`../vectors/${path}`, import.meta.url), 'utf8'))
/** The outcome when all that the file has was passed. */
const allPassed = (file: Json) => ({ passed: file.cases.map(({ id }: Json) => id), failed: [], skipped: [] })

const noKeys = fixedKeys(cryptoNode, new Map())
const parsed = (packed: ReturnType<typeof packV2>): Json => {
  if (isFault(packed)) throw new Error(packed.message)
  return JSON.parse(Buffer.from(packed).toString())
}

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
  ]
  test.each(forms)('%s', async (_, file) => {
    expect(await runFile(file)).toEqual(allPassed(file))
  })

  test('the family of a mixed file is told', () => {
    expect(familyOf(forms[1]![1])?.name).toBe('security/didcomm-v2-sequences')
  })
})
