// The key layout of a home, one table: the first byte says what a key is, ids and keyed hashes follow. No name of a
// pico, variable, connection or channel stands in a key (DESIGN law L7). Records of a pico lie together, so that a
// group is one range and a pico is one range; inbox and outbox carry their order inside the sealed value.

import type { PicoId } from '../ports.ts'

export const PREFIX = {
  /** | keyed hash of a name (16): the engine's own tables, sealed under the engine key. */
  engine: 0x00,
  /** | pico (16): status, order of creation, tombstone; sealed under the engine key. */
  registry: 0x01,
  /** | pico (16): the pico's data, name and draw key, wrapped by the master key. */
  keys: 0x02,
  /** | keyed hash of `key:…` or `eci:…` (16): pico id, sealed under the engine key. */
  directory: 0x03,
  /** | time in ms (8, big endian) | pico (16): empty. */
  alarm: 0x04,
  /** | pico (16): this pico may have letters, mail or a destruction pending; a hint that may outlive its reason. */
  pending: 0x05,
  /** | pico (16) | keyed hash of group (16) | keyed hash of leaf (16): `[group, leaf, value]`, sealed under the data key. */
  record: 0x10,
} as const

/** Bytes of an id, and of a keyed hash. */
export const ID_BYTES = 16
export const RECORD_KEY_BYTES = 1 + 3 * ID_BYTES

/** 32 hex digits → 16 bytes. */
export const idBytes = (picoId: PicoId): Uint8Array => Buffer.from(picoId, 'hex')

function key(prefix: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0))
  bytes[0] = prefix
  let at = 1
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

export const engineKey = (nameHash: Uint8Array): Uint8Array => key(PREFIX.engine, nameHash)
export const registryKey = (pico: Uint8Array): Uint8Array => key(PREFIX.registry, pico)
export const keysKey = (pico: Uint8Array): Uint8Array => key(PREFIX.keys, pico)
export const directoryKey = (hash: Uint8Array): Uint8Array => key(PREFIX.directory, hash)
export const pendingKey = (pico: Uint8Array): Uint8Array => key(PREFIX.pending, pico)

export function alarmKey(at: number, pico: Uint8Array): Uint8Array {
  const time = new Uint8Array(8)
  new DataView(time.buffer).setBigUint64(0, BigInt(Math.max(0, Math.floor(at))))
  return key(PREFIX.alarm, time, pico)
}

/** Time in ms and pico of an alarm key. */
export function readAlarmKey(bytes: Uint8Array): { at: number; picoId: PicoId } {
  const at = Number(new DataView(bytes.buffer, bytes.byteOffset + 1, 8).getBigUint64(0))
  return { at, picoId: Buffer.from(bytes.subarray(9)).toString('hex') }
}

/** The pico of a registry, keys or pending key. */
export const picoOfKey = (bytes: Uint8Array): PicoId => Buffer.from(bytes.subarray(1, 1 + ID_BYTES)).toString('hex')

/** Key of a record; `start` (see `groupStart`) spares the copy of what records of a group share. */
export function recordKey(start: Uint8Array, leafHash: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(RECORD_KEY_BYTES)
  bytes.set(start, 0)
  bytes.set(leafHash, start.length)
  return bytes
}

/** Where a pico's records begin. */
export const picoStart = (pico: Uint8Array): Uint8Array => key(PREFIX.record, pico)
/** Where a group's records begin. */
export const groupStart = (pico: Uint8Array, groupHash: Uint8Array): Uint8Array => key(PREFIX.record, pico, groupHash)

/** The first key after all that begin with `start`. */
export function endOf(start: Uint8Array): Uint8Array {
  const end = Uint8Array.from(start)
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i] !== 0xff) {
      end[i] = (end[i] as number) + 1
      return end.subarray(0, i + 1)
    }
  }
  throw new RangeError('no key is beyond the last prefix')
}

/** The least key greater than `bytes`: where a page goes on. */
export function after(bytes: Uint8Array): Uint8Array {
  const next = new Uint8Array(bytes.length + 1)
  next.set(bytes)
  return next
}
