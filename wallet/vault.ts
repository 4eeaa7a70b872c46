// Secrets at rest (DESIGN 4 "Sealing"): the master key under a passphrase or a key file, the three keys of each pico
// under the master key, and every record under its pico's data key. Knows no disk: bytes and JSON in, bytes and JSON out.

import { base64url, concat, fromBase64url, text, utf8 } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { type Fault, fault, isFault } from './fault.ts'
import { canonicalize } from './jcs.ts'

// ---- master key --------------------------------------------------------------------------------------------

/** What guards the master key. A key file holds at least 32 random bytes. */
export type Secret = { readonly passphrase: string } | { readonly keyFile: Uint8Array }

/** The wrapped master key as JSON. Bytes are base64url. */
export interface MasterHeader {
  readonly format: 'picomesh-master-1'
  readonly kdf: 'argon2id' | 'hkdf-sha256'
  /** argon2id only: bytes of memory and passes. */
  readonly params?: { readonly memory: number; readonly passes: number }
  readonly salt: string
  readonly nonce: string
  readonly box: string
}

export interface Argon2Params {
  readonly memory: number
  readonly passes: number
}

const format = 'picomesh-master-1'
const mebibyte = 1024 * 1024
const defaultParams: Argon2Params = { memory: 64 * mebibyte, passes: 3 }
const maxParams: Argon2Params = { memory: 1024 * mebibyte, passes: 20 }
const minMemory = 8192
const keyFileMin = 32

/** 32 random bytes. */
export function newMasterKey(crypto: Crypto): Uint8Array {
  return crypto.randomBytes(32)
}

/** Wraps the master key. With a passphrase this takes the time of argon2id (64 MiB, 3 passes unless told otherwise).
 *  Throws on an empty passphrase or a key file under 32 bytes: check before. */
export async function wrapMaster(
  crypto: Crypto,
  master: Uint8Array,
  secret: Secret,
  params: Argon2Params = defaultParams,
): Promise<MasterHeader> {
  if ('passphrase' in secret ? secret.passphrase === '' : secret.keyFile.length < keyFileMin) {
    throw new Error('the passphrase is empty or the key file shorter than 32 bytes')
  }
  const salt = crypto.randomBytes(16)
  const nonce = crypto.randomBytes(24)
  const open =
    'passphrase' in secret
      ? ({ format, kdf: 'argon2id', params, salt: base64url(salt), nonce: base64url(nonce) } as const)
      : ({ format, kdf: 'hkdf-sha256', salt: base64url(salt), nonce: base64url(nonce) } as const)
  const key = await wrappingKey(crypto, secret, salt, params)
  const box = sealed(crypto, key, nonce, master, utf8(canonicalize(open)))
  crypto.wipe(key)
  return { ...open, box: base64url(box) }
}

/** The master key. Faults: `wallet.passphrase` (wrong passphrase or key file, or a header changed by hand),
 *  `wallet.wrapping` (the header asks for the other kind of secret), `wallet.damaged` (not a header, or one that asks for more
 *  than 1 GiB or 20 passes). */
export async function openMaster(crypto: Crypto, header: unknown, secret: Secret): Promise<Uint8Array | Fault> {
  const read = readHeader(header)
  if (isFault(read)) return read
  const { open, params, salt, nonce, box } = read
  if ((open.kdf === 'argon2id') !== 'passphrase' in secret) {
    return fault('wallet.wrapping', open.kdf === 'argon2id' ? 'a passphrase is needed' : 'a key file is needed')
  }
  const key = await wrappingKey(crypto, secret, salt, params)
  const master = unsealed(crypto, key, nonce, box, utf8(canonicalize(open)))
  crypto.wipe(key)
  return master ?? fault('wallet.passphrase', 'the passphrase or key file does not open the wallet')
}

async function wrappingKey(
  crypto: Crypto,
  secret: Secret,
  salt: Uint8Array,
  params: Argon2Params,
): Promise<Uint8Array> {
  if ('keyFile' in secret) return crypto.hkdfSha256(secret.keyFile, salt, utf8('picomesh key file'), 32)
  return crypto.argon2id(utf8(secret.passphrase.normalize('NFC')), salt, params.memory, params.passes)
}

interface ReadHeader {
  /** All but the box: what the box authenticates. */
  readonly open: Omit<MasterHeader, 'box'>
  readonly params: Argon2Params
  readonly salt: Uint8Array
  readonly nonce: Uint8Array
  readonly box: Uint8Array
}

function readHeader(header: unknown): ReadHeader | Fault {
  const damaged = (message: string) => fault('wallet.damaged', message)
  if (typeof header !== 'object' || header === null) return damaged('not a wallet header')
  const { box: boxText, ...open } = header as MasterHeader
  if (open.format !== format) return damaged('unknown format of the wallet header')
  if (open.kdf !== 'argon2id' && open.kdf !== 'hkdf-sha256') return damaged('unknown key derivation')
  const [salt, nonce, box] = [open.salt, open.nonce, boxText].map(part => bytesOf(part))
  if (salt?.length !== 16 || nonce?.length !== 24 || box?.length !== 48) return damaged('salt, nonce or box is cut')
  const params = open.kdf === 'argon2id' ? open.params : defaultParams
  const fits =
    params !== undefined &&
    fitsLimit(params.memory, minMemory, maxParams.memory) &&
    fitsLimit(params.passes, 1, maxParams.passes)
  return fits ? { open, params, salt, nonce, box } : damaged('the key derivation asks for more than 1 GiB or 20 passes')
}

function bytesOf(part: unknown): Uint8Array | undefined {
  return typeof part === 'string' ? fromBase64url(part) : undefined
}

function fitsLimit(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}

// ---- keys of a pico ----------------------------------------------------------------------------------------

/** 32 bytes each: seals values, hashes names, makes the keys that steps draw. */
export interface PicoKeys {
  readonly data: Uint8Array
  readonly name: Uint8Array
  readonly draw: Uint8Array
}

export function newPicoKeys(crypto: Crypto): PicoKeys {
  return { data: crypto.randomBytes(32), name: crypto.randomBytes(32), draw: crypto.randomBytes(32) }
}

const keysDomain = 'picomesh pico keys 1 '

/** The keys under the master key, bound to the pico: nonce (24), 96 bytes, tag (16). */
export function wrapPicoKeys(crypto: Crypto, master: Uint8Array, picoId: string, keys: PicoKeys): Uint8Array {
  const nonce = crypto.randomBytes(24)
  const plain = concat(keys.data, keys.name, keys.draw)
  const box = sealed(crypto, master, nonce, plain, utf8(keysDomain + picoId))
  crypto.wipe(plain)
  return concat(nonce, box)
}

/** Undefined when another master key wrapped them, or for another pico. */
export function unwrapPicoKeys(
  crypto: Crypto,
  master: Uint8Array,
  picoId: string,
  wrapped: Uint8Array,
): PicoKeys | undefined {
  if (wrapped.length !== 24 + 96 + 16) return undefined
  const aad = utf8(keysDomain + picoId)
  const plain = unsealed(crypto, master, wrapped.subarray(0, 24), wrapped.subarray(24), aad)
  if (plain === undefined) return undefined
  const part = (from: number) => Uint8Array.from(plain.subarray(from, from + 32))
  const keys = { data: part(0), name: part(32), draw: part(64) }
  crypto.wipe(plain)
  return keys
}

/** 32 bytes that only this pico can compute, the same in every run of a step: HKDF-SHA256 with the draw secret as
 *  input key, the step's public seed as salt and the label (with the caller's counter in it) as info. */
export function draw(crypto: Crypto, keys: PicoKeys, seed: Uint8Array, label: string): Uint8Array {
  return crypto.hkdfSha256(keys.draw, seed, utf8(`picomesh draw ${label}`), 32)
}

// ---- records -----------------------------------------------------------------------------------------------

/** One pico's keys at work on its records; also the engine's, for its own tables. */
export interface Sealer {
  /** 16-byte keyed BLAKE2b of a name: how it appears in a store key. */
  storeName(name: string): Uint8Array
  /** XChaCha20-Poly1305 under the data key, bound to pico and store key: nonce (24), ciphertext, tag (16). */
  seal(storeKey: Uint8Array, plain: Uint8Array): Uint8Array
  /** Undefined when it was not sealed by these keys for this pico and store key. */
  open(storeKey: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
  /** `seal` of the JSON of [group, leaf, value]: the names are inside. */
  sealRecord(storeKey: Uint8Array, group: string, leaf: string, value: unknown): Uint8Array
  /** Fault `wallet.damaged`. */
  openRecord(storeKey: Uint8Array, sealed: Uint8Array): { group: string; leaf: string; value: unknown } | Fault
  draw(seed: Uint8Array, label: string): Uint8Array
  /** Overwrites the keys; every later use throws. */
  wipe(): void
}

/** Store keys up to this many bytes are bound without another array. */
const longestKey = 64

/** `picoId` is any text that names whose records these are. */
export function sealer(crypto: Crypto, keys: PicoKeys, picoId: string): Sealer {
  const owner = utf8(picoId)
  let wiped = false
  // A wiped key is a known key: using it would be worse than failing.
  const live = (): PicoKeys => {
    if (wiped) throw new Error('a sealer was used after its keys were wiped')
    return keys
  }
  // Owner and store key, written over at each use: a record is sealed and opened without a pause in between.
  const bound = new Uint8Array(owner.length + longestKey)
  bound.set(owner)
  const aadOf = (storeKey: Uint8Array): Uint8Array => {
    if (storeKey.length > longestKey) return concat(owner, storeKey)
    bound.set(storeKey, owner.length)
    return bound.subarray(0, owner.length + storeKey.length)
  }
  const seal = (storeKey: Uint8Array, plain: Uint8Array) => {
    const { data } = live()
    const aad = aadOf(storeKey)
    if (crypto.xchacha20Poly1305Record) return crypto.xchacha20Poly1305Record(data, plain, aad)
    const nonce = crypto.randomBytes(24)
    return concat(nonce, sealed(crypto, data, nonce, plain, aad))
  }
  const open = (storeKey: Uint8Array, box: Uint8Array) =>
    unsealed(crypto, live().data, box.subarray(0, 24), box.subarray(24), aadOf(storeKey))
  return {
    storeName: name => crypto.blake2b(utf8(name), 16, live().name),
    seal,
    open,
    sealRecord: (storeKey, group, leaf, value) => seal(storeKey, utf8(JSON.stringify([group, leaf, value]))),
    openRecord(storeKey, box) {
      const plain = open(storeKey, box)
      if (plain === undefined) return fault('wallet.damaged', 'a record does not open under its key')
      const [group, leaf, value] = JSON.parse(text(plain))
      return { group, leaf, value }
    },
    draw: (seed, label) => draw(crypto, live(), seed, label),
    wipe() {
      wiped = true
      for (const key of [keys.data, keys.name, keys.draw]) crypto.wipe(key)
    },
  }
}

// Ciphertext, then tag.
function sealed(crypto: Crypto, key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, aad: Uint8Array): Uint8Array {
  const { ciphertext, tag } = crypto.xchacha20Poly1305(key, nonce, plain, aad)
  return concat(ciphertext, tag)
}

function unsealed(
  crypto: Crypto,
  key: Uint8Array,
  nonce: Uint8Array,
  box: Uint8Array,
  aad: Uint8Array,
): Uint8Array | undefined {
  if (nonce.length !== 24 || box.length < 16) return undefined
  const parts = { ciphertext: box.subarray(0, -16), tag: box.subarray(-16) }
  return crypto.xchacha20Poly1305Open(key, nonce, parts, aad)
}

// ---- the whole vault ---------------------------------------------------------------------------------------

/** What an unlocked engine needs of its master key. */
export interface Vault {
  /** For the engine's own tables. */
  readonly engine: Sealer
  /** Fresh keys of a pico, wrapped. */
  newKeys(picoId: string): Uint8Array
  /** Undefined when this master key did not wrap them for this pico. */
  pico(picoId: string, wrapped: Uint8Array): Sealer | undefined
  /** The same keys under a new master key (rekey, or another engine's at a move). */
  rewrap(picoId: string, wrapped: Uint8Array, master: Uint8Array): Uint8Array | undefined
  /** Keys that `rewrap` put under `transfer`, a key of 32 bytes, under this master key. Undefined when they do not open. */
  adopt(picoId: string, wrapped: Uint8Array, transfer: Uint8Array): Uint8Array | undefined
  /** Overwrites the master key and the engine's keys. */
  lock(): void
}

const engineId = 'engine'

/** Fresh keys for the engine's own tables, wrapped; kept beside the header. */
export function newEngineKeys(crypto: Crypto, master: Uint8Array): Uint8Array {
  return wrapPicoKeys(crypto, master, engineId, newPicoKeys(crypto))
}

/** Opens the vault. Fault `wallet.damaged` when `engineKeys` were not wrapped by this master key. */
export function openVault(crypto: Crypto, master: Uint8Array, engineKeys: Uint8Array): Vault | Fault {
  const keys = unwrapPicoKeys(crypto, master, engineId, engineKeys)
  if (keys === undefined) return fault('wallet.damaged', "the engine's keys do not open under the master key")
  const engine = sealer(crypto, keys, engineId)
  return {
    engine,
    newKeys: picoId => wrapPicoKeys(crypto, master, picoId, newPicoKeys(crypto)),
    pico(picoId, wrapped) {
      const found = unwrapPicoKeys(crypto, master, picoId, wrapped)
      return found && sealer(crypto, found, picoId)
    },
    rewrap(picoId, wrapped, next) {
      const found = unwrapPicoKeys(crypto, master, picoId, wrapped)
      return found && wrapPicoKeys(crypto, next, picoId, found)
    },
    adopt(picoId, wrapped, transfer) {
      const found = unwrapPicoKeys(crypto, transfer, picoId, wrapped)
      return found && wrapPicoKeys(crypto, master, picoId, found)
    },
    lock() {
      engine.wipe()
      crypto.wipe(master)
    },
  }
}
