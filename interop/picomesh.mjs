// The engine under test as the suites see it: the built program in its own home on free ports, driven through the
// command line only, as any user would (CONTRACT: configuration and verbs). No import of Picomesh's own code.

import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endProcess, until } from './peer.mjs'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const CLI = join(ROOT, 'dist', 'src', 'cli.js')
const READY_MS = 60_000
const VERB_MS = 60_000

/** Is there a build to test? */
export const isBuilt = () => existsSync(CLI)

const run = (args, environment) =>
  new Promise(resolve => {
    const options = { env: environment, timeout: VERB_MS, maxBuffer: 64 * 1024 * 1024 }
    execFile(process.execPath, [CLI, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    )
  })

/** One engine with a home of its own; made by `startEngine`. */
class Engine {
  #child
  #environment
  home
  /** Standard output so far: the start-up text with its QR. */
  output = ''
  /** `engine.json`: `{pid, publicUrl, baseUrl, adminUrl, …}`. */
  facts

  constructor(command, args) {
    this.home = mkdtempSync(join(tmpdir(), 'picomesh-interop-'))
    this.#environment = {
      ...process.env,
      PICOMESH_HOME: this.home,
      PICOMESH_HOST: '127.0.0.1',
      PORT: '0',
      PICOMESH_ADMIN_PORT: '0',
      PICOMESH_LOG: 'pretty',
    }
    for (const name of [
      'PICOMESH_KEY_FILE',
      'PICOMESH_BASE_URL',
      'PICO_ENGINE_BASE_URL',
      'PICO_ENGINE_HOME',
      'PICOMESH_PASSPHRASE_FILE',
    ])
      delete this.#environment[name]
    this.#child = spawn(command, args, { cwd: ROOT, env: this.#environment, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout.setEncoding('utf8').on('data', chunk => (this.output += chunk))
    this.errors = ''
    this.#child.stderr.setEncoding('utf8').on('data', chunk => {
      this.errors = (this.errors + chunk).slice(-8_000)
    })
    this.#child.on('error', error => (this.errors += error.message))
  }

  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  async ready() {
    const file = join(this.home, 'engine.json')
    this.facts = await until(
      async () => {
        if (!this.running) throw new Error(`the engine ended: ${(this.errors || this.output).trim().slice(-2_000)}`)
        try {
          return JSON.parse(readFileSync(file, 'utf8'))
        } catch {
          return undefined
        }
      },
      'the engine was not ready',
      READY_MS,
    )
    return this
  }

  /**
   * One verb of the command line.
   * @returns {Promise<any>} its --json value
   * @throws {Error} with code and message of a refusal
   */
  async cli(...args) {
    const { code, stdout, stderr } = await run([...args, '--json', '--home', this.home], this.#environment)
    if (code !== 0)
      throw new Error(`picomesh ${args.join(' ')}: exit ${code}: ${(stdout.trim() || stderr.trim()).slice(0, 600)}`)
    try {
      return JSON.parse(stdout)
    } catch {
      throw new Error(`picomesh ${args.join(' ')} --json: not one JSON value: ${stdout.slice(0, 300)}`)
    }
  }

  /** The first root pico. */
  async root() {
    const [root] = await this.cli('pico', 'ls')
    if (!root) throw new Error('the engine has no root pico')
    return root
  }

  /** Ends the engine by its own pid (npm may stand between) and removes the home. */
  async stop() {
    if (this.running && this.facts) {
      try {
        process.kill(this.facts.pid, 'SIGTERM')
        await until(async () => (this.running ? undefined : true), 'the engine did not stop', 8_000).catch(() => {})
      } catch {
        // It ended in between.
      }
    }
    await endProcess(this.#child)
    rmSync(this.home, { recursive: true, force: true })
  }
}

const starting = async (command, args) => {
  const engine = new Engine(command, args)
  try {
    return await engine.ready()
  } catch (error) {
    await engine.stop()
    throw error
  }
}

/** The built program, directly. */
export const startEngine = () => starting(process.execPath, [CLI, 'start'])

/** As a person starts it: `npm start`. */
export const npmStart = () => starting('npm', ['start'])
