// The home folder on disk: 0700, files 0600; engine.json while an engine is ready; the local socket; who lives here
// (contract 2). The store's own lock is what keeps a second writer out; this file says it in a sentence beforehand.

import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PicoError } from './errors.ts'

/** Layout of the home; a home of a higher number is refused. */
const HOME_FORMAT = 1
/** sun_path holds 104 to 108 bytes by system (unix(7)). */
const SOCKET_PATH_BYTES = 100

/** What `engine.json` says of a running engine. */
export interface EngineFile {
  readonly pid: number
  readonly version: string
  /** Where the public listener listens. */
  readonly publicUrl: string
  /** The URL in invitations, DIDs and addresses. */
  readonly baseUrl: string
  readonly adminUrl: string
  /** Path of the local socket. */
  readonly socket: string
}

/**
 * May an engine start here? Changes nothing. Throws PicoError `store.unavailable` (not a folder, damaged),
 * `home.version` (written by a newer version), `store.locked` (a live engine).
 */
export async function checkHome(home: string): Promise<void> {
  const found = await lstat(home).catch(absent)
  if (found && !found.isDirectory() && !found.isSymbolicLink())
    throw new PicoError('store.unavailable', `${home} is not a folder`)
  const format = await homeFormat(home)
  if (format !== undefined && format > HOME_FORMAT)
    throw new PicoError('home.version', `${home} was written by a newer version (format ${format}): start that version`)
  const live = await liveEngine(home)
  if (live)
    throw new PicoError(
      'store.locked',
      `${home} is in use by the engine with process id ${live.pid} (${live.publicUrl})`,
    )
}

/** Makes the folder if needed and closes it to others. Throws as `checkHome`: nothing is changed then. */
export async function prepareHome(home: string): Promise<void> {
  await checkHome(home)
  try {
    await mkdir(home, { recursive: true, mode: 0o700 })
    await chmod(home, 0o700)
    if ((await homeFormat(home)) === undefined)
      await writePrivate(join(home, 'home.json'), `${JSON.stringify({ format: HOME_FORMAT })}\n`)
  } catch (error) {
    throw new PicoError(
      'store.unavailable',
      `${home} cannot be used: ${(error as NodeJS.ErrnoException).code ?? 'failed'}`,
    )
  }
}

/** Writes a file that only its owner reads, whole or not at all. */
export async function writePrivate(path: string, content: string | Uint8Array): Promise<void> {
  const draft = `${path}.${process.pid}.new`
  await rm(draft, { force: true })
  await writeFile(draft, content, { mode: 0o600, flag: 'wx', flush: true })
  await renameSynced(draft, path)
}

/** Puts a file in another's place for good: the folder's entry is on disk when this resolves. */
export async function renameSynced(from: string, to: string): Promise<void> {
  await rename(from, to)
  const folder = await open(dirname(to), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

export async function writeEngineFile(home: string, file: EngineFile): Promise<void> {
  await writePrivate(engineFilePath(home), `${JSON.stringify(file, null, 2)}\n`)
}

/** Removes engine.json if it is this process's. */
export async function removeEngineFile(home: string): Promise<void> {
  const file = await readEngineFile(home)
  if (file?.pid === process.pid) await rm(engineFilePath(home), { force: true })
}

/** Undefined when there is none, or none that can be read. */
export async function readEngineFile(home: string): Promise<EngineFile | undefined> {
  const text = await readFile(engineFilePath(home), 'utf8').catch(absent)
  try {
    return text === undefined ? undefined : (JSON.parse(text) as EngineFile)
  } catch {
    return undefined
  }
}

/** The engine that answers on this home's socket now; a file left by a killed one does not count. */
export async function liveEngine(home: string): Promise<EngineFile | undefined> {
  const file = await readEngineFile(home)
  return file && (await answers(file.socket)) ? file : undefined
}

/**
 * Path for the local socket, its folder made: in the home when that is short enough, else in a 0700 folder of the
 * temporary directory that belongs to us. Throws PicoError `store.unavailable`.
 */
export async function socketPath(home: string, temporary = tmpdir()): Promise<string> {
  const inHome = join(home, 'engine.sock')
  if (Buffer.byteLength(inHome) <= SOCKET_PATH_BYTES) return inHome
  const user = process.getuid?.() ?? 0
  const folder = join(temporary, `picomesh-${user}`)
  await mkdir(folder, { mode: 0o700 }).catch(error => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  })
  const stat = await lstat(folder)
  if (!stat.isDirectory() || (stat.mode & 0o077) !== 0 || stat.uid !== user)
    throw new PicoError('store.unavailable', `${folder} must be a folder of yours with mode 0700`)
  return join(folder, `${createHash('sha256').update(home).digest('hex').slice(0, 16)}.sock`)
}

function engineFilePath(home: string): string {
  return join(home, 'engine.json')
}

async function homeFormat(home: string): Promise<number | undefined> {
  const text = await readFile(join(home, 'home.json'), 'utf8').catch(absent)
  if (text === undefined) return undefined
  try {
    const { format } = JSON.parse(text) as { format?: unknown }
    if (typeof format === 'number') return format
  } catch {
    // Falls through to the one refusal for a file that says nothing.
  }
  throw new PicoError(
    'store.unavailable',
    `${join(home, 'home.json')} is damaged: it should hold {"format": ${HOME_FORMAT}}`,
  )
}

function answers(socket: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect(socket)
    const end = (alive: boolean) => {
      probe.destroy()
      resolve(alive)
    }
    probe.once('connect', () => end(true)).once('error', () => end(false))
  })
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error
}
