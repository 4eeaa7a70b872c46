// A second reader of a stopped engine's home: opens it with its key file, as the owner could, to learn what must not be
// found without it.

import { join } from 'node:path'
import { endOf, idBytes, keysKey, PREFIX, picoOfKey, picoStart } from '../../src/stores/keys.ts'
import { LevelStore } from '../../src/stores/level.ts'
import { keyFile, openWallet } from '../../src/wallet-file.ts'
import { isFault } from '../../wallet/fault.ts'
import type { StoredKey } from '../../wallet/keyring.ts'

async function opened<T>(home: string, read: (store: LevelStore) => Promise<T>): Promise<T> {
  // As the engine itself runs: what LevelDB writes is its owner's alone.
  const before = process.umask(0o077)
  const store = new LevelStore(join(home, 'db'))
  try {
    await store.open()
    return await read(store)
  } finally {
    await store.close()
    process.umask(before)
  }
}

/** The wrapped keys of a pico, as they lie in the store. */
export function wrappedKey(home: string, picoId: string): Promise<Uint8Array> {
  return opened(home, async store => {
    const wrapped = store.get(keysKey(idBytes(picoId)))
    if (wrapped === undefined) throw new Error('the home holds no keys of that pico')
    return wrapped
  })
}

/** Every private key of every pico: 32 bytes each. */
export function privateSeeds(home: string): Promise<Uint8Array[]> {
  return opened(home, async store => {
    const vault = await openWallet(home, store, await keyFile(join(home, 'key'), false), Date.now())
    const keys = Uint8Array.of(PREFIX.keys)
    const seeds: Uint8Array[] = []
    for (const { key, value } of await store.range(keys, endOf(keys))) {
      const picoId = picoOfKey(key)
      const start = picoStart(idBytes(picoId))
      for (const record of await store.range(start, endOf(start))) {
        const read = vault.pico(picoId, value)?.openRecord(record.key, record.value)
        if (read === undefined || isFault(read)) throw new Error('a record does not open with the key of its home')
        if (read.group !== 'wallet') continue
        seeds.push(new Uint8Array(Buffer.from((read.value as StoredKey).seed, 'base64url')))
      }
    }
    return seeds
  })
}
