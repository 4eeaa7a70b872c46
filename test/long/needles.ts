// Searching files for a secret in every spelling it may have taken: as it is, as hex, as base64 and base64url at each of
// the three places within a group, as UTF-16. And who else may open those files.

import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export type Needles = ReadonlyMap<string, Buffer>

export interface Hit {
  readonly file: string
  readonly spelling: string
}

/** Of a text. */
export function spellings(text: string): Needles {
  return new Map([...encodings(Buffer.from(text)), ...wide('', text)])
}

/** Of bytes that are no text: UTF-16 is that of their texts. */
export function spellingsOfBytes(bytes: Uint8Array): Needles {
  const buffer = Buffer.from(bytes)
  return new Map([
    ...encodings(buffer),
    ...wide('hex ', buffer.toString('hex')),
    ...wide('base64 ', buffer.toString('base64')),
    ...wide('base64url ', buffer.toString('base64url')),
  ])
}

export function search(file: string, bytes: Buffer, needles: Needles): Hit[] {
  return [...needles].filter(([, needle]) => bytes.includes(needle)).map(([spelling]) => ({ file, spelling }))
}

/** Every file below the home but the key file; sockets hold nothing. A file that goes meanwhile is skipped. */
export function filesOf(home: string): { file: string; bytes: Buffer }[] {
  return below(home).flatMap(({ path, isFile }) => {
    if (!isFile || relative(home, path) === 'key') return []
    try {
      return [{ file: relative(home, path), bytes: readFileSync(path) }]
    } catch {
      return []
    }
  })
}

/** What is not 0700 (folders) or 0600 (files), or is open to others (sockets); with its mode. */
export function looseModes(home: string): string[] {
  return [{ path: home, isFile: false, isFolder: true, mode: lstatSync(home).mode & 0o777 }, ...below(home)]
    .filter(({ isFile, isFolder, mode }) =>
      isFile ? mode !== 0o600 : isFolder ? mode !== 0o700 : (mode & 0o077) !== 0,
    )
    .map(({ path, mode }) => `${relative(home, path) || '.'}:${mode.toString(8)}`)
}

function encodings(bytes: Buffer): [string, Buffer][] {
  const hex = bytes.toString('hex')
  return [
    ['raw', bytes],
    ['hex', Buffer.from(hex)],
    ['HEX', Buffer.from(hex.toUpperCase())],
    ...[0, 1, 2].map((at): [string, Buffer] => [`base64 at ${at}`, grouped(bytes, at, 'base64')]),
    ...[0, 1, 2].map((at): [string, Buffer] => [`base64url at ${at}`, grouped(bytes, at, 'base64url')]),
  ]
}

/** The letters that these bytes alone decide when `at` other bytes stand before them in their group of three. */
function grouped(bytes: Buffer, at: number, encoding: 'base64' | 'base64url'): Buffer {
  const text = Buffer.concat([Buffer.alloc(at), bytes])
    .toString(encoding)
    .replace(/=+$/, '')
  const whole = Math.floor(((at + bytes.length) * 8) / 6)
  return Buffer.from(text.slice(Math.ceil((at * 8) / 6), whole))
}

function wide(name: string, text: string): [string, Buffer][] {
  const little = Buffer.from(text, 'utf16le')
  return [
    [`${name}UTF-16LE`, little],
    [`${name}UTF-16BE`, Buffer.from(little).swap16()],
  ]
}

interface Entry {
  readonly path: string
  readonly isFile: boolean
  readonly isFolder: boolean
  readonly mode: number
}

function below(folder: string): Entry[] {
  return readdirSync(folder).flatMap(name => {
    const path = join(folder, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return []
    const entry = { path, isFile: stat.isFile(), isFolder: stat.isDirectory(), mode: stat.mode & 0o777 }
    return entry.isFolder ? [entry, ...below(path)] : [entry]
  })
}
