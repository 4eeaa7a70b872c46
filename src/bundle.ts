// What a pico is on the way between two engines (DESIGN 5): a stream of entries cut into chunks, and the hash of its
// state. Records travel as they lie in the store, sealed under the pico's own keys, the keys wrapped for the journey;
// all of it inside authcrypt from engine to engine. An entry is kind (1 byte), length (4, big endian), content.

import { createHash } from 'node:crypto'
import { MAX_CHUNK_BYTES } from '../protocols/move.ts'
import { concat, hex, utf8 } from '../wallet/bytes.ts'
import { canonicalize } from '../wallet/jcs.ts'
import type { CarriedRecord } from './custody.ts'

export const ENTRY = {
  /** Forget what came before. Empty. */
  reset: 1,
  /** Transfer key (32), then the pico's keys wrapped by it. */
  keys: 2,
  /** Text of a ruleset that the pico has, UTF-8. */
  source: 3,
  /** Name (32) of a record, then the record, sealed. */
  record: 4,
  /** Name (32) of a record that is gone. */
  gone: 5,
} as const

export interface Entry {
  readonly kind: number
  readonly content: Uint8Array
  /** The rest of the content begins the next chunk, as an entry of the same kind. */
  readonly more: boolean
}

const HEAD_BYTES = 5
/** Set in the kind of an entry that goes on in the next chunk. */
const MORE = 0x80
/** No entry is begun in less room than this. */
const LEAST_BYTES = 64
export const NAME_BYTES = 32

/** Collects entries and gives full chunks. */
export class BundleWriter {
  private parts: Uint8Array[] = []
  private size = 0
  private readonly send: (chunk: Uint8Array) => Promise<void>

  constructor(send: (chunk: Uint8Array) => Promise<void>) {
    this.send = send
  }

  async put(kind: number, ...content: readonly Uint8Array[]): Promise<void> {
    let rest = concat(...content)
    for (;;) {
      const room = MAX_CHUNK_BYTES - this.size - HEAD_BYTES
      if (rest.length <= room) return this.add(kind, rest)
      if (room >= LEAST_BYTES) {
        this.add(kind | MORE, rest.subarray(0, room))
        rest = rest.subarray(room)
      }
      await this.flush()
    }
  }

  /** Sends what is left. */
  async flush(): Promise<void> {
    if (this.size === 0) return
    const chunk = concat(...this.parts)
    this.parts = []
    this.size = 0
    await this.send(chunk)
  }

  private add(kind: number, content: Uint8Array): void {
    const head = new Uint8Array(HEAD_BYTES)
    head[0] = kind
    new DataView(head.buffer).setUint32(1, content.length)
    this.parts.push(head, content)
    this.size += HEAD_BYTES + content.length
  }
}

/** The entries of a chunk; undefined when it is none. */
export function readChunk(chunk: Uint8Array): Entry[] | undefined {
  const entries: Entry[] = []
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
  for (let at = 0; at < chunk.length; ) {
    if (chunk.length - at < HEAD_BYTES) return undefined
    const kind = view.getUint8(at)
    const end = at + HEAD_BYTES + view.getUint32(at + 1)
    if (end > chunk.length) return undefined
    entries.push({ kind: kind & ~MORE, content: chunk.subarray(at + HEAD_BYTES, end), more: (kind & MORE) !== 0 })
    at = end
  }
  return entries
}

/** SHA-256 over the JCS text (RFC 8785) of the list of `[group, leaf, value]` of a pico's opened records, sorted by
 *  their names in the store; hex. Records are added in that order. */
export class StateHash {
  private readonly hash = createHash('sha256').update('[')
  private count = 0

  add({ group, leaf, value }: CarriedRecord): void {
    this.hash.update(utf8(`${this.count++ > 0 ? ',' : ''}${canonicalize([group, leaf, value])}`))
  }

  end(): string {
    return hex(this.hash.update(']').digest())
  }
}
