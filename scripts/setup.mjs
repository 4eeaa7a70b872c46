// What a clone needs before it can run: a Node that is new enough, the packages of the lockfile, a build that is not
// stale. Only what Node has built in is used here, since nothing else is installed yet.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

const OLDEST = [20, 19]
/** Folders and files whose change makes a build stale. */
const SOURCES = [
  'src',
  'wallet',
  'protocols',
  'krl',
  'bench',
  'examples',
  'test',
  'package.json',
  'tsconfig.json',
  'vite.config.ts',
]
const UI = join(ROOT, 'src', 'ui')
const VITE = join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js')
const STAMP = join(ROOT, 'dist', '.stamp')

/** Ends the process with one line when this Node is too old. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return
  console.error(`Picomesh needs Node ${OLDEST.join('.')} or newer; this is ${process.versions.node}.`)
  process.exit(1)
}

/** Installs what the lockfile names when node_modules is missing or older than it. No install script runs. */
export function install() {
  const installed = modified(join(ROOT, 'node_modules', '.package-lock.json'))
  if (installed !== undefined && installed >= modified(join(ROOT, 'package-lock.json'))) return
  say('Installing packages …')
  const npm = process.env.npm_execpath
  const args = ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  if (npm?.endsWith('.js')) must(process.execPath, [npm, ...args])
  else must(process.platform === 'win32' ? 'npm.cmd' : 'npm', args)
}

/** Builds when any source differs from those of the last build. */
export function buildIfStale() {
  const state = sourceState()
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === state) return
  build(state)
}

/** TypeScript to dist, the rulesets beside it, the console to dist/ui. */
export function build(state = sourceState()) {
  say('Building …')
  rmSync(STAMP, { force: true })
  must(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', ROOT])
  copyRulesets(join(ROOT, 'krl'), join(ROOT, 'dist', 'krl'))
  if (existsSync(join(UI, 'index.html')))
    must(process.execPath, [
      VITE,
      'build',
      UI,
      '--outDir',
      join(ROOT, 'dist', 'ui'),
      '--emptyOutDir',
      '--logLevel',
      'warn',
    ])
  chmodSync(join(ROOT, 'dist', 'src', 'cli.js'), 0o755)
  writeFileSync(STAMP, state)
}

/** Runs a Node program to its end; its exit code. */
export function node(args, env = {}) {
  const { status, signal } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (signal) console.error(`ended by ${signal}`)
  return status ?? 1
}

/** Number of source files and the time of the newest: one that is gone counts too. */
function sourceState() {
  let files = 0
  let newest = 0
  const walk = path => {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return
    if (!stat.isDirectory()) {
      files++
      newest = Math.max(newest, stat.mtimeMs)
    } else for (const name of readdirSync(path)) if (!IGNORED.has(name)) walk(join(path, name))
  }
  for (const source of SOURCES) walk(join(ROOT, source))
  return `${files} ${newest}\n`
}

const IGNORED = new Set(['vectors', 'screenshots', 'node_modules'])

function copyRulesets(from, to) {
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) if (name.endsWith('.krl')) copyFileSync(join(from, name), join(to, name))
}

function must(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2] })
  if (status === 0) return
  console.error(error ? `${command}: ${error.message}` : `failed: ${[command, ...args].join(' ')}`)
  process.exit(1)
}

/** To standard error: standard output belongs to the program that is started. */
function say(text) {
  console.error(text)
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs
}
