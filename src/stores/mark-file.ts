// The mark of src/marks.ts as a file beside the store: one small write in place, never synced.

import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { MarkFile } from '../ports.ts'

/** Opens (and makes, 0600) the file at once; `close` when the engine has stopped. */
export function markFile(path: string): MarkFile & { close(): void } {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
  const held = openSync(path, 'r+')
  return {
    read: () => readFileSync(path, 'utf8').trim(),
    write(text) {
      // Padded to one length, so that a write never leaves the end of another behind it.
      writeSync(held, text.padEnd(64), 0)
    },
    close() {
      closeSync(held)
    },
  }
}
