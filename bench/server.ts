// The real program in a process of its own, as `npm start` runs it, on one processor when `taskset` is there.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readEngineFile } from '../src/home.ts'
import { askEngine } from '../src/local.ts'
import type { Json, JsonObject } from '../src/ports.ts'

const PATIENCE_MS = 30_000
const cli = join(fileURLToPath(new URL('.', import.meta.url)), '..', 'src', 'cli.js')

/** A program and arguments that run `command` on one processor; as they are where that cannot be asked for. */
export function pinned(processor: number, command: readonly string[]): readonly string[] {
  return canPin() ? ['taskset', '-c', String(processor), ...command] : command
}

/** Is there a second processor, and `taskset`? */
export function canPin(): boolean {
  return spawnSync('taskset', ['-c', '1', process.execPath, '-e', '0']).status === 0
}

export interface Server {
  readonly publicUrl: string
  /** From spawn to engine.json. */
  readonly readyMs: number
  ask<T = JsonObject>(verb: string, args: JsonObject): Promise<T>
  /** Processor time used so far, µs; undefined where /proc is not. */
  cpu(): number | undefined
  stop(): Promise<void>
}

/** What `npm start` gives to Node. */
function nodeOptions(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(cli, '../../../package.json'), 'utf8')) as {
    scripts: { start: string }
  }
  return scripts.start.split(' ').filter(word => word.startsWith('--'))
}

/** Starts an engine on `home` and waits until it is ready. `port` 0: any that is free. */
export async function startServer(home: string, options: { processor?: number; port?: number } = {}): Promise<Server> {
  const { processor, port = 0 } = options
  const command = [process.execPath, ...nodeOptions(), cli, 'start']
  const [program, ...args] = processor === undefined ? command : pinned(processor, command)
  const env = {
    ...process.env,
    PICOMESH_HOME: home,
    PORT: String(port),
    PICOMESH_ADMIN_PORT: '0',
    PICOMESH_LOG: 'silent',
    PICOMESH_KEY_FILE: '',
    PICOMESH_PASSPHRASE_FILE: '',
    PICOMESH_BASE_URL: '',
  }
  const start = performance.now()
  const server = spawn(program as string, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const publicUrl = await ready(server, home)
  const readyMs = performance.now() - start
  return {
    publicUrl,
    readyMs,
    ask: async <T>(verb: string, given: JsonObject) => (await askEngine(home, verb, given)) as Json as T,
    cpu: () => cpuOf(server.pid as number),
    stop: () =>
      new Promise<void>(resolve => {
        server.once('exit', () => resolve())
        server.kill('SIGTERM')
      }),
  }
}

async function ready(server: ChildProcess, home: string): Promise<string> {
  const late = Date.now() + PATIENCE_MS
  while (Date.now() < late && server.exitCode === null) {
    const file = await readEngineFile(home)
    if (file !== undefined && file.pid === server.pid) return file.publicUrl
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  server.kill('SIGKILL')
  throw new Error(`the engine did not start (exit ${server.exitCode})`)
}

// Fields 14 and 15 of proc(5) stat: user and system time in ticks of 10 ms.
function cpuOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10_000
  } catch {
    return undefined
  }
}
