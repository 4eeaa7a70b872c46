// Is LevelDB's write-ahead log whole? LevelDB drops what it cannot read without a word, so a flipped bit would lose
// acknowledged commits in silence. Format: doc/log_format.md of LevelDB: blocks of 32 KiB, records of masked CRC-32C
// (4), length (2), type (1), payload. A bad record with nothing good after it is a torn last write: never acknowledged.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PicoError } from '../errors.ts'

const BLOCK = 32 * 1024
const HEADER = 7
// Record types; MIDDLE (3) lies between.
const FULL = 1
const FIRST = 2
const LAST = 4

/** The fault `store.corrupt` of the first damaged log of a folder, or undefined. */
export async function damagedLog(folder: string): Promise<PicoError | undefined> {
  const names = (await readdir(folder)).filter(name => /^\d+\.log$/.test(name)).sort()
  for (const name of names) {
    const at = damageIn(await readFile(join(folder, name)))
    if (at === undefined) continue
    const message = `The store is damaged in ${name} at byte ${at}: restore the home from a backup.`
    return new PicoError('store.corrupt', message, { file: name, byte: at })
  }
  return undefined
}

/** Where a bad record lies that a later write follows; fragments of the same write prove nothing. */
function damageIn(log: Uint8Array): number | undefined {
  let bad: number | undefined
  for (let block = 0; block < log.length; block += BLOCK) {
    const end = Math.min(block + BLOCK, log.length)
    let at = block
    while (at + HEADER <= end) {
      const found = record(log, at, end)
      if (!found) break
      if (bad !== undefined && found.begins) return bad
      at += HEADER + found.length
    }
    if (at + HEADER > end || allZero(log, at, end)) continue
    bad ??= at
    if (writeBeginsWithin(log, at + 1, end)) return bad
  }
  return undefined
}

function writeBeginsWithin(log: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at + HEADER < end; at++) {
    const type = log[at + 6] as number
    if ((type === FULL || type === FIRST) && record(log, at, end)) return true
  }
  return false
}

/** Payload length of the record at `at` and whether a write begins with it, or undefined when it is none. */
function record(log: Uint8Array, at: number, end: number): { length: number; begins: boolean } | undefined {
  const view = new DataView(log.buffer, log.byteOffset + at, HEADER)
  const length = view.getUint16(4, true)
  const type = view.getUint8(6)
  if (type < FULL || type > LAST || at + HEADER + length > end) return undefined
  if (view.getUint32(0, true) !== masked(crc32c(log, at + 6, at + HEADER + length))) return undefined
  return { length, begins: length > 0 && (type === FULL || type === FIRST) }
}

const allZero = (bytes: Uint8Array, from: number, to: number): boolean => {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false
  return true
}

const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  return c >>> 0
})

function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffffffff
  for (let i = from; i < to; i++) crc = (table[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}
