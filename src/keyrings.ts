// Keyrings of the picos that are at work, so that static Diffie-Hellman results outlive one message. Keys of a kid
// never change, so a keyring read from one committed state serves the next; lock and deletion wipe it.

import { cryptoNode } from '../wallet/crypto-node.ts'
import { type Keyring, makeKeyring, type StoredKey } from '../wallet/keyring.ts'
import { Memo } from '../wallet/memo.ts'
import { GROUP } from './pico.ts'
import type { PicoId, View } from './ports.ts'

const KEYRINGS = 2_000

interface Slot {
  readonly keyring: Keyring
  view: View | undefined
}

export class Keyrings {
  private readonly slots = new Memo<Slot>(KEYRINGS, { dropped: slot => slot.keyring.clear() })

  /** Runs `fn` with the pico's keyring over `view`. */
  with<T>(picoId: PicoId, view: View, fn: (keyring: Keyring) => T): T {
    const slot = this.slots.get(picoId) ?? this.make(picoId)
    slot.view = view
    try {
      return fn(slot.keyring)
    } finally {
      slot.view = undefined
    }
  }

  forget(picoId: PicoId): void {
    this.slots.get(picoId)?.keyring.clear()
  }

  clear(): void {
    this.slots.clear()
  }

  private make(picoId: PicoId): Slot {
    const slot: Slot = {
      view: undefined,
      keyring: makeKeyring(cryptoNode, kid => slot.view?.get(GROUP.key, kid) as unknown as StoredKey | undefined),
    }
    this.slots.set(picoId, slot)
    return slot
  }
}
