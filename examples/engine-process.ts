// Engines as child processes, for the demonstration and the long tests: start, ask by the local socket, end politely or
// by kill -9. Every child is gone when this process ends.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type EngineFile, readEngineFile } from '../src/home.ts'
import { askEngine } from '../src/local.ts'
import type { Json, JsonObject } from '../src/ports.ts'

/** Folder of this checkout, from the sources and from dist alike. */
export const ROOT = rootAbove(dirname(fileURLToPath(import.meta.url)))
export const CLI = join(ROOT, 'dist', 'src', 'cli.js')

const READY_MS = 20_000
const STOP_MS = 8_000

export interface EngineOptions {
  readonly home: string
  /** A fixed port lets a killed engine come back where its peers know it. */
  readonly port: number
  readonly baseUrl?: string
  readonly log?: 'pretty' | 'json' | 'silent'
  /** Another build than this checkout's. */
  readonly cli?: string
  /** Program and arguments to run Node under, e.g. a tracer. */
  readonly under?: readonly string[]
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class EngineProcess {
  readonly options: EngineOptions
  readonly file: EngineFile
  private readonly child: ChildProcess
  private readonly ended: Promise<number | string>
  private readonly written: string[]

  private constructor(
    options: EngineOptions,
    file: EngineFile,
    child: ChildProcess,
    ended: Promise<number | string>,
    written: string[],
  ) {
    this.options = options
    this.file = file
    this.child = child
    this.ended = ended
    this.written = written
  }

  /** Resolves when the engine is ready. Throws, with what it wrote, when it ends before or takes longer than 20 s. */
  static async start(options: EngineOptions): Promise<EngineProcess> {
    const { child, ended, written } = await launch(options)
    const file = await readyFile(options.home, ended, written)
    return new EngineProcess(options, file, child, ended, written)
  }

  /** Starts one and kills it after so long, ready or not. */
  static async startAndKill(options: EngineOptions, ms: number): Promise<void> {
    const { child, ended } = await launch(options)
    await sleep(ms)
    child.kill('SIGKILL')
    await ended
  }

  get url(): string {
    return this.file.publicUrl
  }

  /** Everything the process has written to standard output and error. */
  get output(): string {
    return this.written.join('')
  }

  /** A verb of the command line over the local socket. Throws the engine's refusal. */
  async verb<T = JsonObject>(name: string, args: JsonObject = {}): Promise<T> {
    return (await askEngine(this.options.home, name, args)) as T
  }

  /** The owner's query of a shared function. */
  async query<T = Json>(pico: string, rid: string, name: string, args: JsonObject = {}): Promise<T> {
    return this.verb<T>('query', { pico, rid, name, args })
  }

  /** SIGTERM; the exit code. Killed when it does not end within 8 s. */
  async stop(): Promise<number | string> {
    this.signal('SIGTERM')
    const late = setTimeout(() => this.kill(), STOP_MS)
    const code = await this.ended
    clearTimeout(late)
    return code
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    if (this.options.under !== undefined) this.child.kill('SIGKILL')
    await this.ended
  }

  /** The same home and ports again. */
  restart(): Promise<EngineProcess> {
    return EngineProcess.start(this.options)
  }

  // Under a tracer the child is the tracer; the engine says its own process id.
  private signal(signal: NodeJS.Signals): void {
    try {
      process.kill(this.file.pid, signal)
    } catch {
      this.child.kill(signal)
    }
  }
}

interface Launched {
  readonly child: ChildProcess
  readonly ended: Promise<number | string>
  readonly written: string[]
}

async function launch({
  home,
  port,
  baseUrl,
  log = 'silent',
  cli = CLI,
  under = [],
}: EngineOptions): Promise<Launched> {
  // A killed engine leaves its file; the new one's is the one that appears.
  await rm(join(home, 'engine.json'), { force: true })
  const [program, ...args] = [...under, process.execPath, '--enable-source-maps', cli, 'start']
  const env = {
    ...process.env,
    NODE_OPTIONS: '',
    PICOMESH_HOME: home,
    PORT: String(port),
    PICOMESH_ADMIN_PORT: '0',
    PICOMESH_LOG: log,
    ...(baseUrl === undefined ? {} : { PICOMESH_BASE_URL: baseUrl }),
  }
  const child = spawn(program as string, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const written: string[] = []
  child.stdout?.on('data', chunk => written.push(String(chunk)))
  child.stderr?.on('data', chunk => written.push(String(chunk)))
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      running.delete(child)
      resolve(code ?? signal ?? 'unknown')
    })
  })
  return { child, ended, written }
}

async function readyFile(home: string, ended: Promise<number | string>, written: string[]): Promise<EngineFile> {
  let code: number | string | undefined
  void ended.then(
    value => (code = value),
    error => (code = String(error)),
  )
  for (const end = Date.now() + READY_MS; Date.now() < end; await sleep(10)) {
    if (code !== undefined) throw new Error(`the engine ended with ${code}: ${written.join('').trim()}`)
    const file = await readEngineFile(home)
    if (file) return file
  }
  throw new Error(`the engine was not ready within ${READY_MS} ms: ${written.join('').trim()}`)
}

/** A port that was free a moment ago, of those that no outgoing connection is given: it stays free while its engine is down. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 30_000)
    const server = createServer()
    const free = await new Promise<boolean>(resolve => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}

/** Looks every 20 ms until `holds` gives something; throws after `ms`, saying what was waited for. */
export async function until<T>(what: string, ms: number, holds: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + ms; ; await sleep(20)) {
    const found = await holds()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for: ${what}`)
  }
}

function rootAbove(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  return rootAbove(dirname(folder))
}
