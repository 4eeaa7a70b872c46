// Keys at work, and what is computed from them and remembered. A keyring holds the unlocked keys of one pico: envelopes
// and signatures name a key by its kid and get what the key does, not the key. Diffie-Hellman results are remembered
// per (own key, peer key): with them an authenticated envelope costs one scalar multiplication less in each direction
// (DESIGN 6).

import { base58, base64url, fromBase58, fromBase64url } from './bytes.ts'
import type { Crypto, KeyPair } from './crypto.ts'
import { cryptoNode } from './crypto-node.ts'
import { Memo } from './memo.ts'
import { encodeMultikey } from './multikey.ts'

/** A private key as it is sealed in the store. */
export interface StoredKey {
  readonly type: 'Ed25519' | 'X25519'
  /** 32 bytes, base64url: the Ed25519 seed or the X25519 scalar. */
  readonly seed: string
}

export interface Keyring {
  /** Undefined for a kid that is not ours. For wallet files: what it returns holds the secret. */
  pair(kid: string): KeyPair | undefined
  publicKey(kid: string): Uint8Array | undefined
  keyType(kid: string): StoredKey['type'] | undefined
  /** Ed25519 signature; undefined when the kid is not an Ed25519 key of ours. */
  sign(kid: string, bytes: Uint8Array): Uint8Array | undefined
  /** X25519 secret with a peer's key; undefined when the kid is not an X25519 key of ours or the point is of low order. */
  agree(kid: string, theirPublic: Uint8Array): Uint8Array | undefined
  /** NaCl box key with a peer's X25519 key; an Ed25519 key of ours is converted, as DIDComm v1 does. */
  boxKey(kid: string, theirX25519Public: Uint8Array): Uint8Array | undefined
  /** Forgets and wipes every secret (lock, deletion, move). */
  clear(): void
}

interface Held {
  readonly type: StoredKey['type']
  readonly pair: KeyPair
}

const maxKeys = 1000
const maxSecrets = 1000

/** `read` looks a key up by kid in whatever holds the sealed keys. It is asked again for kids that are not ours, so
 *  a key made later is found. */
export function makeKeyring(crypto: Crypto, read: (kid: string) => StoredKey | undefined): Keyring {
  const held = new Memo<Held>(maxKeys, { dropped: ({ pair }) => wipePair(crypto, pair) })
  const secrets = new Memo<Uint8Array>(maxSecrets, { dropped: secret => crypto.wipe(secret) })

  const find = (kid: string): Held | undefined => {
    const known = held.get(kid)
    if (known !== undefined) return known
    const stored = read(kid)
    const found = stored === undefined ? derivedKey(crypto, read, kid) : heldKey(crypto, stored)
    if (found !== undefined) held.set(kid, found)
    return found
  }

  const remembered = (name: string, compute: () => Uint8Array | undefined): Uint8Array | undefined => {
    const known = secrets.get(name)
    if (known !== undefined) return known
    const secret = compute()
    if (secret !== undefined) secrets.set(name, secret)
    return secret
  }

  return {
    pair: kid => find(kid)?.pair,
    publicKey: kid => find(kid)?.pair.publicKey,
    keyType: kid => find(kid)?.type,
    sign(kid, bytes) {
      const key = find(kid)
      return key?.type === 'Ed25519' ? crypto.ed25519Sign(key.pair.secretKey, bytes) : undefined
    },
    agree: (kid, theirPublic) =>
      remembered(`dh ${kid} ${base64url(theirPublic)}`, () => {
        const key = find(kid)
        return key?.type === 'X25519' ? crypto.x25519(key.pair.secretKey, theirPublic) : undefined
      }),
    boxKey: (kid, theirPublic) =>
      remembered(`box ${kid} ${base64url(theirPublic)}`, () => {
        const key = find(kid)
        return key && boxKeyOf(crypto, key, theirPublic)
      }),
    clear() {
      held.clear()
      secrets.clear()
    },
  }
}

function heldKey(crypto: Crypto, { type, seed }: StoredKey): Held {
  const secret = fromBase64url(seed)
  if (secret?.length !== 32) throw new Error('a stored key must be 32 bytes in base64url')
  if (type === 'X25519') return { type, pair: crypto.x25519KeyPair(secret) }
  const pair = crypto.ed25519KeyPair(secret)
  crypto.wipe(secret)
  return { type, pair }
}

// `did:key:z6Mk…#z6LS…` is the X25519 key that follows from the Ed25519 key of a did:key.
function derivedKey(crypto: Crypto, read: (kid: string) => StoredKey | undefined, kid: string): Held | undefined {
  const [, did, multikey, fragment] = /^(did:key:(z6Mk\w+))#(z6LS\w+)$/.exec(kid) ?? []
  const stored = did === undefined ? undefined : read(`${did}#${multikey}`)
  if (stored?.type !== 'Ed25519') return undefined
  const signing = heldKey(crypto, stored).pair
  const pair = crypto.x25519KeyPair(crypto.ed25519ToX25519Secret(signing.secretKey))
  crypto.wipe(signing.secretKey)
  return encodeMultikey('X25519', pair.publicKey) === fragment ? { type: 'X25519', pair } : undefined
}

function boxKeyOf(crypto: Crypto, { type, pair }: Held, theirPublic: Uint8Array): Uint8Array | undefined {
  const secret = type === 'X25519' ? pair.secretKey : crypto.ed25519ToX25519Secret(pair.secretKey)
  const shared = crypto.x25519(secret, theirPublic)
  if (secret !== pair.secretKey) crypto.wipe(secret)
  return shared && crypto.boxKey(shared)
}

/** The key that 32 drawn bytes make, as it is stored, and its public half. */
export function drawKey(
  type: StoredKey['type'],
  seed: Uint8Array,
  crypto: Crypto = cryptoNode,
): { readonly stored: StoredKey; readonly publicKey: Uint8Array } {
  const { publicKey } = type === 'Ed25519' ? crypto.ed25519KeyPair(seed) : crypto.x25519KeyPair(seed)
  return { stored: { type, seed: base64url(seed) }, publicKey }
}

// ---- key conversion, remembered ----------------------------------------------------------------------------
// Ed25519 to X25519 costs as much as a Diffie-Hellman and a peer's key comes again and again. Public values only;
// our own converted pairs hang on the pair they were made of and are wiped with it.

/** An Ed25519 key in the spellings that DIDComm v1 needs. */
export interface CurveKey {
  /** base58 of `ed25519`. */
  readonly verkey: string
  readonly ed25519: Uint8Array
  readonly x25519: Uint8Array
}

const byVerkey = new Memo<CurveKey>(4096)
const byBytes = new Memo<CurveKey>(4096)
const ownPairs = new WeakMap<KeyPair, KeyPair>()

/** Of a raw Ed25519 key; undefined when it is no valid point. */
export function curveKey(crypto: Crypto, ed25519: Uint8Array): CurveKey | undefined {
  const name = String.fromCharCode(...ed25519)
  const known = byBytes.get(name)
  if (known !== undefined) return known
  const found = curveKeyOf(crypto, base58(ed25519))
  if (found !== undefined) byBytes.set(name, found)
  return found
}

/** Of a base58 verkey; undefined when it is not a valid key. */
export function curveKeyOf(crypto: Crypto, verkey: string): CurveKey | undefined {
  const known = byVerkey.get(verkey)
  if (known !== undefined) return known
  const ed25519 = fromBase58(verkey)
  const x25519 = ed25519?.length === 32 ? crypto.ed25519ToX25519Public(ed25519) : undefined
  if (ed25519 === undefined || x25519 === undefined) return undefined
  const found = { verkey, ed25519, x25519 }
  byVerkey.set(verkey, found)
  return found
}

/** The X25519 pair of an Ed25519 pair of ours. */
export function ownCurvePair(crypto: Crypto, pair: KeyPair): KeyPair {
  const known = ownPairs.get(pair)
  if (known !== undefined) return known
  const made = crypto.x25519KeyPair(crypto.ed25519ToX25519Secret(pair.secretKey))
  ownPairs.set(pair, made)
  return made
}

function wipePair(crypto: Crypto, pair: KeyPair): void {
  crypto.wipe(pair.secretKey)
  const converted = ownPairs.get(pair)
  if (converted !== undefined) crypto.wipe(converted.secretKey)
}
