// Ordered bytes on disk: LevelDB through `level`, chained batches, nothing else. Values are sealed before they come
// here, so compression would find nothing; a store that failed a write is opened anew before it takes another one.

import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Level } from 'level'
import { PicoError } from '../errors.ts'
import type { Store, Write } from '../ports.ts'
import { after } from './keys.ts'
import { damagedLog } from './level-log.ts'

/** Bytes a disk must take again before a store that failed is opened anew. */
const PROBE_BYTES = 64 * 1024
/** How each table ends (doc/table_format.md of LevelDB). */
const TABLE_END = Buffer.from('57fb808b247547db', 'hex')

type Bytes = Uint8Array
interface Compactable {
  compactRange(start: Bytes, end: Bytes): Promise<void>
}
const encodings = { keyEncoding: 'view', valueEncoding: 'view' } as const

export class LevelStore implements Store {
  private readonly folder: string
  private readonly wasHere: () => Promise<boolean>
  private db: Level<Bytes, Bytes> | undefined
  /** A write failed: what of it is on disk is unknown until the log is read again. */
  private failed = false

  /** `wasHere`: does something beside the store say that it was opened before? Then one that is missing is not made. */
  constructor(folder: string, wasHere: () => Promise<boolean> = async () => false) {
    this.folder = folder
    this.wasHere = wasHere
  }

  /** Throws `store.locked` (a live process has it), `store.corrupt` (place.file names what is damaged, as it was left)
   *  or `store.unavailable`. */
  async open(): Promise<void> {
    if (this.db) return
    await this.check()
    try {
      this.db = await this.lockedOpen()
    } catch (cause) {
      throw await this.openFault(cause)
    }
    this.failed = false
  }

  /** Throws `store.corrupt` when there is no store where one was: LevelDB would make an empty one. Changes nothing. */
  async check(): Promise<void> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR') throw damaged(this.folder, 'is not a folder', error)
      if (error.code !== 'ENOENT') throw fault(error, this.folder)
      return undefined
    })
    if (names?.includes('CURRENT')) return
    if (names?.some(isRest)) throw damaged(join(this.folder, 'CURRENT'), 'is missing')
    if (await this.wasHere()) throw damaged(names ? join(this.folder, 'CURRENT') : this.folder, 'is missing')
  }

  // LevelDB skips what it cannot read in its log without a word and then drops the log, so that is checked before.
  // Files of another live process are none of ours to judge: who holds the lock is settled first.
  private async lockedOpen(): Promise<Level<Bytes, Bytes>> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const damage = await damagedLog(this.folder)
    if (damage !== undefined) {
      await this.notHeld()
      throw damage
    }
    const made = !existsSync(join(this.folder, 'CURRENT'))
    const cut = (await readdir(this.folder)).filter(name => isTable(name) && !endsAsTable(join(this.folder, name)))
    const db = this.level()
    await db.open()
    // What a crash left half written belonged to nothing and is gone now.
    const missed = cut.find(name => existsSync(join(this.folder, name)))
    if (missed !== undefined) {
      await db.close()
      throw damaged(join(this.folder, missed), 'is damaged')
    }
    // Who writes beside the store that it was opened relies on finding it.
    if (made) await syncFolder(this.folder)
    return db
  }

  /** Throws `store.locked`. LevelDB takes the lock before it refuses a store that is there, and touches nothing of it. */
  private async notHeld(): Promise<void> {
    const db = this.level({ errorIfExists: true })
    await db.open().catch(cause => {
      if (fault(cause, this.folder).code === 'store.locked') throw cause
    })
  }

  /** Opens itself a moment later: to be opened, and awaited, at once. */
  private level(more: { errorIfExists?: boolean } = {}): Level<Bytes, Bytes> {
    return new Level(this.folder, { ...encodings, compression: false, writeBufferSize: 16 << 20, ...more })
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
    if (cause instanceof PicoError || found.code === 'store.locked') return found
    const path = (name: string) => join(this.folder, name)
    const current = await readFile(path('CURRENT'), 'utf8').catch(() => undefined)
    if (current === undefined) return found
    const manifest = /^(MANIFEST-\d+)\n$/.exec(current)?.[1]
    if (manifest === undefined) return damaged(path('CURRENT'), 'is damaged', cause)
    if (!existsSync(path(manifest))) return damaged(path(manifest), 'is missing', cause)
    // LevelDB says which table it lacks; what it cannot make sense of otherwise is the list of them.
    if (found.code !== 'store.corrupt' || isTable(String(found.place?.file))) return found
    return damaged(path(manifest), 'is damaged', cause)
  }
}

const isTable = (name: string): boolean => /^\d+\.(?:ldb|sst)$/.test(name)
/** Left of a store that lost its CURRENT. A first manifest alone is of a store whose making was ended. */
const isRest = (name: string): boolean => /^\d+\.(?:ldb|sst|log)$|^MANIFEST-(?!000001$)/.test(name)

// Of each table at every start, so without a turn of the loop for each.
function endsAsTable(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const end = Buffer.alloc(TABLE_END.length)
    const { size } = fstatSync(file)
    return size > end.length && readSync(file, end, 0, end.length, size - end.length) > 0 && end.equals(TABLE_END)
  } finally {
    closeSync(file)
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

const lastBefore = (lt: Bytes): Bytes => {
  const bytes = new Uint8Array(lt.length + 64).fill(0xff)
  bytes.set(lt)
  bytes[lt.length - 1] = (lt[lt.length - 1] as number) - 1
  return bytes
}

const damaged = (path: string, how: 'is missing' | 'is damaged' | 'is not a folder', cause?: unknown): PicoError =>
  new PicoError(
    'store.corrupt',
    `The store is damaged: ${path} ${how}. Restore the folder of the store from a backup, or move the whole home away to begin anew.`,
    { file: basename(path) },
    { cause },
  )

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
  const table = /\d+\.(?:ldb|sst)\b/.exec(text)?.[0]
  // A table that ends too early is no corruption to LevelDB, but an argument that its system call does not take.
  const gone = table !== undefined && /missing files|No such file/.test(text)
  const cut = table !== undefined && /Invalid argument/.test(text)
  if (gone || cut || /LEVEL_CORRUPTION|Corruption/i.test(text))
    return damaged(table === undefined ? folder : join(folder, table), gone ? 'is missing' : 'is damaged', cause)
  return new PicoError('store.unavailable', 'The disk did not take or give the data.', undefined, { cause })
}
