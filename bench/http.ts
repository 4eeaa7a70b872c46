// DIDComm v1 authcrypt over HTTP to the real program on one processor, the generator on the other; every message
// selects a rule that counts, 202 comes after the commit, and the counts are read at the end.

import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { JsonObject } from '../src/ports.ts'
import { inFolder } from './core.ts'
import { atLeast, type Measured, median, type Size } from './figure.ts'
import type { Task } from './load.ts'
import { canPin, pinned, type Server, startServer } from './server.ts'

const LINES = 32

const COUNTER = `
ruleset bench.letters {
  meta { shares n }
  global { n = function() { ent:n.defaultsTo(0) } }
  rule count {
    select when didcomm_basicmessage message or bench tick
    fired { ent:n := ent:n.defaultsTo(0) + 1 }
  }
}`

export async function bench(size: Size): Promise<Measured[]> {
  const where = canPin() ? 'server on one processor' : 'server not pinned'
  return inFolder(async folder => {
    const ruleset = join(folder, 'bench.letters.krl')
    await writeFile(ruleset, COUNTER)
    const server = await startServer(join(folder, 'home'), { processor: 0 })
    try {
      const picos: string[] = []
      for (let n = 0; n <= LINES; n++) {
        const { picoId } = await server.ask('pico.new', { name: `pico-${n}`, rulesets: [ruleset] })
        picos.push(String(picoId))
      }
      const [hot, ...others] = picos as [string, ...string[]]
      const rate = async (name: string, kind: Task['kind'], to: readonly string[], goal: number) => {
        const { perSecond, cpu } = await measure(server, kind, to, size)
        const measured = atLeast(
          `http, v1 ${name}, ${LINES} connections to ${to === others ? `${LINES} picos` : 'one pico'}`,
          perSecond,
          'messages/s',
          goal,
        )
        return { ...measured, note: cpu === undefined ? where : `${where}, ${Math.round(cpu)} µs of it a message` }
      }
      const all = Array<string>(LINES).fill(hot)
      return [
        await rate('basic message', 'message', others, 2500),
        await rate('basic message', 'message', all, 1500),
        await rate('pico event', 'event', others, 2500),
        await rate('pico event', 'event', all, 1500),
      ]
    } finally {
      await server.stop()
    }
  })
}

/** Messages per second, the median of the turns, and µs of the server's processor a message. */
async function measure(
  server: Server,
  kind: Task['kind'],
  picos: readonly string[],
  { short }: Size,
): Promise<{ perSecond: number; cpu: number | undefined }> {
  const messages = LINES * (short ? 60 : 200)
  const turns = short ? 3 : 5
  const before = await counted(server, picos)
  const generator = await startGenerator(server, kind, picos)
  await generator.turn(messages)
  const rates: number[] = []
  const start = server.cpu()
  for (let turn = 0; turn < turns; turn++) rates.push(messages / (await generator.turn(messages)))
  const end = server.cpu()
  await generator.stop()
  const applied = (await counted(server, picos)) - before
  if (applied !== messages * (turns + 1))
    throw new Error(`${applied} of ${messages * (turns + 1)} messages were applied`)
  return {
    perSecond: median(rates),
    cpu: start === undefined || end === undefined ? undefined : (end - start) / (messages * turns),
  }
}

async function counted(server: Server, picos: readonly string[]): Promise<number> {
  let sum = 0
  for (const pico of new Set(picos))
    sum += await server.ask<number>('query', { pico, rid: 'bench.letters', name: 'n', args: {} })
  return sum
}

async function startGenerator(server: Server, kind: Task['kind'], picos: readonly string[]) {
  const invitations: JsonObject[] = []
  for (const pico of picos) {
    const made = await server.ask('invite', {
      pico,
      version: 'v1',
      multi: false,
      approve: false,
      events: 'bench:tick',
      queries: '',
    })
    invitations.push(made.invitation as JsonObject)
  }
  const program = join(fileURLToPath(new URL('.', import.meta.url)), 'load.js')
  const [command, ...args] = pinned(1, [process.execPath, program])
  const generator = spawn(command as string, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: generator.stdout })[Symbol.asyncIterator]()
  const tell = async (value: object): Promise<JsonObject> => {
    generator.stdin.write(`${JSON.stringify(value)}\n`)
    const { value: line, done } = await lines.next()
    if (done) throw new Error('the load generator ended')
    return JSON.parse(line) as JsonObject
  }
  await tell({ didcommUrl: `${server.publicUrl}/didcomm`, invitations, kind } satisfies Task)
  return {
    turn: async (messages: number) => Number((await tell({ messages })).seconds),
    stop: () =>
      new Promise<void>(resolve => {
        generator.once('exit', () => resolve())
        generator.stdin.end()
      }),
  }
}
