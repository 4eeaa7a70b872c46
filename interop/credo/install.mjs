// Puts the foreign agent into a cache folder outside the repository: Credo 0.6.3 with the exact packages of
// peer/package-lock.json, from the npm registry alone, no compiler and no install scripts. Safe to call from several
// processes at once and again and again; says plainly when the peer cannot be had.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PeerUnavailable } from '../peer.mjs'

const PEER = join(dirname(fileURLToPath(import.meta.url)), 'peer')
const NAME = 'credo-0.6.3'
const LOCK_WAIT_MS = 600_000

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** `$PICOMESH_INTEROP_CACHE`, or `picomesh-interop` in the user's cache folder. */
export const cacheFolder = () =>
  process.env.PICOMESH_INTEROP_CACHE ??
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'picomesh-interop')

const digest = files => {
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(join(PEER, file)))
  return hash.digest('hex').slice(0, 16)
}

const alive = pid => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Holder of a lock folder, or undefined while it is just being made. */
const holder = lock => {
  try {
    return Number(readFileSync(join(lock, 'pid'), 'utf8'))
  } catch {
    return undefined
  }
}

/** One installer at a time; a lock whose holder is gone is taken over. */
const underLock = async (lock, work) => {
  const end = Date.now() + LOCK_WAIT_MS
  let unnamed = 0
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const pid = holder(lock)
    unnamed = pid === undefined ? unnamed + 1 : 0
    if (unnamed > 20 || (pid !== undefined && !alive(pid))) rmSync(lock, { recursive: true, force: true })
    else if (Date.now() > end) throw new PeerUnavailable(`credo: another installation holds ${lock}`)
    else await sleep(250)
  }
  writeFileSync(join(lock, 'pid'), String(process.pid))
  try {
    return await work()
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

/** `npm ci` in the folder; resolves to the tail of its output when it failed. */
const npmCi = folder =>
  new Promise(resolve => {
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    const npm = spawn('npm', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    npm.stdout.on('data', chunk => (output += chunk))
    npm.stderr.on('data', chunk => (output += chunk))
    npm.on('error', error => resolve(error.message))
    npm.on('close', code => resolve(code === 0 ? undefined : output.trim().split('\n').slice(0, 3).join(' | ')))
  })

/** Builds the package tree beside its place and moves it there whole, so a half-made one is never seen. */
const build = async (base, target, mark) => {
  for (const entry of readdirSync(base)) {
    if (entry.startsWith(`${NAME}.new-`)) rmSync(join(base, entry), { recursive: true, force: true })
  }
  const fresh = join(base, `${NAME}.new-${process.pid}`)
  mkdirSync(fresh)
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(PEER, file), join(fresh, file))
  const failure = await npmCi(fresh)
  if (failure) {
    rmSync(fresh, { recursive: true, force: true })
    throw new PeerUnavailable(`credo: Credo 0.6.3 could not be installed: ${failure}`)
  }
  writeFileSync(join(fresh, 'installed'), mark)
  rmSync(target, { recursive: true, force: true })
  renameSync(fresh, target)
}

const isInstalled = (target, mark) => {
  const file = join(target, 'installed')
  return existsSync(file) && readFileSync(file, 'utf8') === mark
}

/** The agent's own files stand beside its packages, under their digest: runs of two versions do not disturb each other. */
const placeAgent = target => {
  const files = readdirSync(PEER).filter(file => file.endsWith('.mjs'))
  const folder = join(target, `agent-${digest(files)}`)
  if (!existsSync(folder)) {
    const fresh = `${folder}.new-${process.pid}`
    mkdirSync(fresh, { recursive: true })
    for (const file of files) cpSync(join(PEER, file), join(fresh, file))
    try {
      renameSync(fresh, folder)
    } catch {
      rmSync(fresh, { recursive: true, force: true })
    }
  }
  return join(folder, 'agent.mjs')
}

/**
 * Makes sure the peer is there.
 * @param {(line: string) => void} say told when packages are fetched
 * @returns {Promise<string>} path of the agent's main file
 * @throws {PeerUnavailable} when the packages cannot be had
 */
export const installCredo = async (say = () => {}) => {
  const base = cacheFolder()
  const target = join(base, NAME)
  const mark = digest(['package.json', 'package-lock.json'])
  if (!isInstalled(target, mark)) {
    mkdirSync(base, { recursive: true })
    await underLock(join(base, `${NAME}.lock`), async () => {
      if (isInstalled(target, mark)) return
      say(`credo: installing Credo 0.6.3 into ${target}`)
      await build(base, target, mark)
    })
  }
  return placeAgent(target)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log(await installCredo(line => console.error(line)))
  } catch (error) {
    if (!(error instanceof PeerUnavailable)) throw error
    console.error(error.message)
    process.exit(3)
  }
}
