// The wallet beside the store: the wrapped master key and the engine's wrapped keys, `wallet.json` in the home. Rekey
// is resumable at every write: the new file is written beside the old one, all wrapped keys change in one batch of the
// store together with the generation they belong to, then the new file takes the old one's place.

import { access, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { base64url, fromBase64url } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { isFault } from '../wallet/fault.ts'
import {
  type MasterHeader,
  newEngineKeys,
  newMasterKey,
  openMaster,
  openVault,
  type Secret,
  type Vault,
  wrapMaster,
} from '../wallet/vault.ts'
import { PicoError } from './errors.ts'
import { renameSynced, writePrivate } from './home.ts'
import type { Store } from './ports.ts'
import { endOf, PREFIX, picoOfKey } from './stores/keys.ts'

interface WalletFile {
  readonly generation: number
  readonly header: MasterHeader
  readonly engineKeys: string
  readonly rekeyedAt: string
}

/** What the owner may know of the wallet. */
export interface WalletFacts {
  readonly kdf: string
  readonly rekeyedAt: string
}

const GENERATION = Uint8Array.of(PREFIX.engine, ...Buffer.from('generation'))

const path = (home: string, next = false) => join(home, next ? 'wallet.next.json' : 'wallet.json')

async function readWallet(file: string): Promise<WalletFile | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new PicoError('store.unavailable', `${file} cannot be read (${error.code ?? 'failed'})`)
  })
  if (text === undefined) return undefined
  try {
    const wallet = JSON.parse(text) as WalletFile
    if (typeof wallet.header.kdf === 'string' && typeof wallet.engineKeys === 'string') return wallet
  } catch {
    // Falls through to the one refusal for a file that says nothing.
  }
  throw new PicoError('wallet.damaged', `${file} is damaged: restore it from a copy of the home`)
}

/** The key file that lies in the home itself. */
export const ownKeyFile = (home: string): string => join(home, 'key')

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT' && error.code !== 'ENOTDIR',
  )

/** Is this home still without wallet and records? Only then may a start make a key. */
export async function isUnused(home: string): Promise<boolean> {
  return !(await hasWallet(home)) && !(await isThere(join(home, 'db')))
}

/** A wallet is made when the store was opened, never before: where there is one, there was a store. */
export function hasWallet(home: string): Promise<boolean> {
  return isThere(path(home))
}

/** Reads a key file, or makes it (0600) when it is not there. Throws PicoError `wallet.key_file`. */
export async function keyFile(file: string, make: boolean): Promise<Secret> {
  const found = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && make) return undefined
    if (error.code === 'ENOENT')
      throw new PicoError(
        'wallet.key_file',
        `${file} is missing: the wallet opens only with the key file it was made with`,
      )
    throw new PicoError('wallet.key_file', `${file} cannot be read (${error.code ?? 'failed'})`)
  })
  if (found !== undefined) {
    const bytes = fromBase64url(found.toString('utf8').trim())
    if (bytes === undefined || bytes.length < 32)
      throw new PicoError('wallet.key_file', `${file} is no key file: it holds at least 32 random bytes as base64url`)
    return { keyFile: bytes }
  }
  const made = cryptoNode.randomBytes(32)
  await writePrivate(file, `${base64url(made)}\n`).catch((error: NodeJS.ErrnoException) => {
    throw new PicoError('wallet.key_file', `${file} cannot be written (${error.code ?? 'failed'})`)
  })
  return { keyFile: made }
}

/** Is there a wallet in this home already, and what opens it? */
export async function walletFacts(home: string): Promise<WalletFacts | undefined> {
  const wallet = await readWallet(path(home))
  return wallet && { kdf: wallet.header.kdf, rekeyedAt: wallet.rekeyedAt }
}

/** Opens the wallet of a home, or makes it. The store must be open: it says which generation its keys are of. */
export async function openWallet(home: string, store: Store, secret: Secret, now: number): Promise<Vault> {
  const current = await readWallet(path(home))
  const stored = store.get(GENERATION)
  if (current === undefined && stored !== undefined)
    throw new PicoError('wallet.damaged', `${path(home)} is missing: restore it from a copy of the home`)
  if (current === undefined) return make(home, store, secret, now)
  const next = await readWallet(path(home, true))
  const generation = stored === undefined ? current.generation : Number(Buffer.from(stored).toString())
  if (next !== undefined && next.generation === generation) {
    await renameSynced(path(home, true), path(home))
    return open(next, secret)
  }
  if (next !== undefined) await rm(path(home, true), { force: true })
  const vault = await open(current, secret)
  // The power went between the two writes of `make`.
  if (stored === undefined) await writeGeneration(store, generation)
  return vault
}

function writeGeneration(store: Store, generation: number): Promise<void> {
  return store.write([{ key: GENERATION, value: Buffer.from(String(generation)) }], true)
}

async function make(home: string, store: Store, secret: Secret, now: number): Promise<Vault> {
  const master = newMasterKey(cryptoNode)
  const header = await wrapMaster(cryptoNode, master, secret)
  const wallet: WalletFile = {
    generation: 1,
    header,
    engineKeys: base64url(newEngineKeys(cryptoNode, master)),
    rekeyedAt: new Date(now).toISOString(),
  }
  // In this order: a store that knows its generation never stands without its wallet.
  await writePrivate(path(home), `${JSON.stringify(wallet, null, 2)}\n`)
  await writeGeneration(store, wallet.generation)
  return open(wallet, secret)
}

async function open(wallet: WalletFile, secret: Secret): Promise<Vault> {
  const master = await openMaster(cryptoNode, wallet.header, secret)
  if (isFault(master)) throw new PicoError(master.code, master.message)
  const keys = fromBase64url(wallet.engineKeys)
  const vault = keys === undefined ? undefined : openVault(cryptoNode, master, keys)
  if (vault === undefined || isFault(vault))
    throw new PicoError('wallet.damaged', 'the keys of the engine do not open: wallet.json is damaged')
  return vault
}

/** New master key, new wrapping; every pico's keys are wrapped anew in one synced batch. Returns the vault that works from now on. */
export async function rekey(home: string, store: Store, vault: Vault, secret: Secret, now: number): Promise<Vault> {
  const current = await readWallet(path(home))
  if (current === undefined) throw new PicoError('wallet.damaged', 'wallet.json is missing')
  const master = newMasterKey(cryptoNode)
  const header = await wrapMaster(cryptoNode, master, secret)
  const oldKeys = fromBase64url(current.engineKeys)
  const engineKeys = oldKeys && vault.rewrap('engine', oldKeys, master)
  if (engineKeys === undefined)
    throw new PicoError('wallet.damaged', 'the keys of the engine do not open: wallet.json is damaged')
  const next: WalletFile = {
    generation: current.generation + 1,
    header,
    engineKeys: base64url(engineKeys),
    rekeyedAt: new Date(now).toISOString(),
  }
  await writePrivate(path(home, true), `${JSON.stringify(next, null, 2)}\n`)
  const start = Uint8Array.of(PREFIX.keys)
  const rows = await store.range(start, endOf(start))
  const writes = rows.map(({ key, value }) => {
    const wrapped = vault.rewrap(picoOfKey(key), value, master)
    if (wrapped === undefined) throw new PicoError('store.corrupt', 'the keys of a pico do not open')
    return { key, value: wrapped }
  })
  await store.write([...writes, { key: GENERATION, value: Buffer.from(String(next.generation)) }], true)
  await renameSynced(path(home, true), path(home))
  await dropOldKey(home, secret)
  await store.compact(start, endOf(start))
  return open(next, secret)
}

/** The home's own key file goes when the wallet is wrapped otherwise: it opens nothing here any more, but old copies. */
async function dropOldKey(home: string, secret: Secret): Promise<void> {
  const file = ownKeyFile(home)
  const found = await keyFile(file, false).catch(() => undefined)
  if (found === undefined || !('keyFile' in found)) return
  const holds = 'keyFile' in secret && Buffer.from(found.keyFile).equals(secret.keyFile)
  if (!holds) await rm(file, { force: true })
}
