// Legal forms of a case that no shipped file has: a runner must take them, for other files of these families are run by
// it. Made of shipped cases, or with keys of our own.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { base58, concat } from '../../wallet/bytes.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { packV2 } from '../../wallet/envelope-v2.ts'
import { isFault } from '../../wallet/fault.ts'
import { bytesOf, message } from '../wallet/people.ts'
import { familyOf } from './families.ts'
import { fixedKeys } from './keys.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

const read = (path: string): Json => JSON.parse(readFileSync(new URL(`../vectors/${path}`, import.meta.url), 'utf8'))
const run = async (file: Json) => familyOf(file)!.run(file)
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
    expect(await run(file)).toEqual(allPassed(file))
  })
})
