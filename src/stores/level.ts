// Ordered bytes on disk: LevelDB through `level`, chained batches, nothing else. Values are sealed before they come
// here, so compression would find nothing; a store that failed a write is opened anew before it takes another one.

import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Level } from 'level'
import { PicoError } from '../errors.ts'
import type { Store, Write } from '../ports.ts'
import { after } from './keys.ts'
import { damagedLog } from './level-log.ts'

/** Bytes a disk must take again before a store that failed is opened anew. */
const PROBE_BYTES = 64 * 1024

type Bytes = Uint8Array
interface Compactable {
  compactRange(start: Bytes, end: Bytes): Promise<void>
}
const encodings = { keyEncoding: 'view', valueEncoding: 'view' } as const

export class LevelStore implements Store {
  private readonly folder: string
  private db: Level<Bytes, Bytes> | undefined
  /** A write failed: what of it is on disk is unknown until the log is read again. */
  private failed = false

  constructor(folder: string) {
    this.folder = folder
  }

  /** Throws `store.locked` (a live process has it) or `store.corrupt` (place.file names what is damaged). */
  async open(): Promise<void> {
    if (this.db) return
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const db = new Level<Bytes, Bytes>(this.folder, { ...encodings, compression: false, writeBufferSize: 16 << 20 })
    try {
      await this.lockedOpen(db)
    } catch (cause) {
      throw await this.openFault(cause)
    }
    this.db = db
    this.failed = false
  }

  // LevelDB skips what it cannot read in its log without a word, so the log is checked first. The first attempt to
  // open settles who holds the lock; files of another live process are none of ours to judge.
  private async lockedOpen(db: Level<Bytes, Bytes>): Promise<void> {
    const damage = await damagedLog(this.folder)
    if (damage === undefined) return db.open()
    await db.open()
    await db.close()
    throw damage
  }

  get(key: Bytes): Bytes | undefined {
    try {
      return this.opened().getSync(key)
    } catch (cause) {
      throw fault(cause, this.folder)
    }
  }

  async range(gte: Bytes, lt: Bytes, limit = -1): Promise<{ key: Bytes; value: Bytes }[]> {
    try {
      const found = await this.opened()
        .iterator({ gte, lt, limit: Number.isFinite(limit) ? limit : -1 })
        .all()
      return found.map(([key, value]) => ({ key, value }))
    } catch (cause) {
      throw fault(cause, this.folder)
    }
  }

  /** After a failed write the next one opens the store anew and fails too: the caller must read again what there is. */
  async write(writes: readonly Write[], sync: boolean): Promise<void> {
    if (this.failed) {
      await this.reopen()
      throw new PicoError('store.unavailable', 'The store was opened anew after a failed write; try again.')
    }
    try {
      const batch = this.opened().batch()
      for (const { key, value } of writes) value === undefined ? batch.del(key) : batch.put(key, value)
      await batch.write({ sync })
    } catch (cause) {
      this.failed = true
      throw fault(cause, this.folder)
    }
  }

  /** Keys of the range that are only one byte longer than `gte`, or lie above its last 64 bytes of 0xff, must not exist. */
  async compact(gte: Bytes, lt: Bytes): Promise<void> {
    try {
      // In Node, `level` is classic-level, whose type it does not show.
      const db = this.opened() as unknown as Compactable
      await db.compactRange(gte, lt)
      // What was flushed to the last level that has files is not rewritten unless something newer lies over all of it.
      await this.opened().batch().del(after(gte)).del(lastBefore(lt)).write({ sync: true })
      await db.compactRange(gte, lt)
    } catch (cause) {
      throw fault(cause, this.folder)
    }
  }

  async close(): Promise<void> {
    const db = this.db
    this.db = undefined
    await db?.close()
  }

  // Reads go on while the disk takes nothing: the store is closed only when a probe was written and synced.
  private async reopen(): Promise<void> {
    const probe = join(this.folder, 'probe.tmp')
    try {
      const file = await open(probe, 'w', 0o600)
      await file.writeFile(new Uint8Array(PROBE_BYTES))
      await file.sync().finally(() => file.close())
    } catch (cause) {
      throw fault(cause, this.folder)
    } finally {
      await rm(probe, { force: true }).catch(() => undefined)
    }
    if (this.db) await this.close()
    await this.open()
  }

  private opened(): Level<Bytes, Bytes> {
    if (!this.db) throw new PicoError('store.unavailable', 'The store is not open.')
    return this.db
  }

  private async openFault(cause: unknown): Promise<PicoError> {
    const found = fault(cause, this.folder)
    if (found.code !== 'store.corrupt' || found.place?.['file'] !== undefined) return found
    const missing = /(\S+\.(?:ldb|sst|log|dbtmp))|MANIFEST-\d+|CURRENT/.exec(textOf(cause))?.[0]
    const file = missing ? basename(missing) : await newestManifest(this.folder)
    return corrupt(file, cause)
  }
}

const lastBefore = (lt: Bytes): Bytes => {
  const bytes = new Uint8Array(lt.length + 64).fill(0xff)
  bytes.set(lt)
  bytes[lt.length - 1] = (lt[lt.length - 1] as number) - 1
  return bytes
}

const corrupt = (file: string, cause: unknown): PicoError =>
  new PicoError(
    'store.corrupt',
    `The store is damaged in ${file}: restore the home from a backup.`,
    { file },
    { cause },
  )

async function newestManifest(folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => [])
  return (
    names
      .filter(name => name.startsWith('MANIFEST-'))
      .sort()
      .at(-1) ?? 'CURRENT'
  )
}

interface Thrown {
  readonly code?: string
  readonly message?: string
  readonly cause?: Thrown
}

// abstract-level wraps the binding's error as `cause`, and LevelDB tells its own kinds apart by text only.
function textOf(thrown: unknown): string {
  const parts: string[] = []
  for (let e = thrown as Thrown | undefined; e?.message; e = e.cause) parts.push(e.code ?? '', e.message)
  return parts.join(' ')
}

function fault(cause: unknown, folder: string): PicoError {
  if (cause instanceof PicoError) return cause
  const text = textOf(cause)
  if (/LEVEL_LOCKED|lock .*already held|Resource temporarily unavailable/i.test(text))
    return new PicoError('store.locked', 'A live engine holds this home.', undefined, { cause })
  if (/LEVEL_CORRUPTION|Corruption|missing files|does not exist \(create_if_missing/i.test(text)) {
    const file = /\d+\.(?:ldb|sst|log)/.exec(text)?.[0]
    if (file) return corrupt(file, cause)
    return new PicoError('store.corrupt', `The store in ${basename(folder)} is damaged.`, undefined, { cause })
  }
  return new PicoError('store.unavailable', 'The disk did not take or give the data.', undefined, { cause })
}
