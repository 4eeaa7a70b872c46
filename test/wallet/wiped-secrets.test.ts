// Secrets that have done their work are overwritten: the master key of a locked vault, the one-time key of an envelope.

import { expect, test } from '@jest/globals'
import type { Crypto } from '../../wallet/crypto.ts'
import { cryptoNode } from '../../wallet/crypto-node.ts'
import { packV2 } from '../../wallet/envelope-v2.ts'
import { isFault } from '../../wallet/fault.ts'
import { drawKey, makeKeyring, ownCurvePair } from '../../wallet/keyring.ts'
import { newEngineKeys, newMasterKey, openVault } from '../../wallet/vault.ts'
import { bytesOf, message, person, recipientOf } from './people.ts'

test('a locked vault has neither the master key nor the engine’s keys', () => {
  const master = newMasterKey(cryptoNode)
  const vault = openVault(cryptoNode, master, newEngineKeys(cryptoNode, master))
  if (isFault(vault)) throw new Error(vault.message)
  vault.lock()
  expect(master).toEqual(new Uint8Array(32))
  expect(() => vault.engine.storeName('x')).toThrow('wiped')
})

test('a keyring that is cleared leaves neither its keys nor what was made of them', () => {
  const keyring = makeKeyring(cryptoNode, () => drawKey('Ed25519', new Uint8Array(32).fill(1)).stored)
  const pair = keyring.pair('ed')
  if (pair === undefined) throw new Error('no key')
  const converted = ownCurvePair(cryptoNode, pair)
  expect(converted.secretKey).not.toEqual(new Uint8Array(32))
  keyring.clear()
  expect([...pair.secretKey, ...converted.secretKey].every(byte => byte === 0)).toBe(true)
})

test('the one-time secret of an envelope is gone when the envelope is sealed', () => {
  const [alice, bob] = [person('alice'), person('bob')]
  const secrets: Uint8Array[] = []
  const crypto: Crypto = {
    ...cryptoNode,
    x25519KeyPair: seed => {
      const made = cryptoNode.x25519KeyPair(seed)
      secrets.push(made.secretKey)
      return made
    },
  }
  const plaintext = bytesOf(message(alice, bob))
  packV2(crypto, alice.keys, { plaintext, recipients: [recipientOf(bob)], sender: alice.boxKid })
  expect(secrets).toEqual([new Uint8Array(32)])
})
