// The real core on the real driver and LevelDB, in this process, without sockets: what the benchmarks of picos run on.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Engine } from '../src/engine.ts'
import type { Answer, Birth, Clock, Effect, Json, PicoId, Stimulus, Store } from '../src/ports.ts'
import { Sources } from '../src/sources.ts'
import { runQuery, step } from '../src/step.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { newEngineKeys, newMasterKey, openVault, type Vault } from '../wallet/vault.ts'

/** One rule that sets one variable. */
export const COUNTER = `
ruleset bench.counter {
  meta { shares n }
  global { n = function() { ent:n.defaultsTo(0) } }
  rule count {
    select when bench tick
    fired { ent:n := ent:n.defaultsTo(0) + 1 }
  }
}`

export interface Core {
  readonly engine: Engine
  /** A birth without parent, with `rulesets` installed, reached by `eciOf(n)`. */
  birth(n: number, rulesets?: Birth['rulesets']): Birth
  ruleset(source: string): Promise<Birth['rulesets'][number]>
  stop(): Promise<void>
}

export const clock: Clock = {
  now: () => Date.now(),
  wake(at, fn) {
    const timer = setTimeout(fn, Math.max(0, at - Date.now()))
    return () => clearTimeout(timer)
  },
}

export const picoIdOf = (n: number): PicoId => n.toString(16).padStart(32, '0')
export const eciOf = (n: number): string => `eci-${n}`

/** Events that bench.counter counts. */
export const tick = (n: number, i: number): Stimulus => ({
  kind: 'event',
  id: `event-${n}-${i}`,
  eci: eciOf(n),
  outside: true,
  domain: 'bench',
  name: 'tick',
  attrs: { temperature: 20 + (i % 10), at: '2024-01-01T00:00:00.000Z', sensor: `sensor-${n}`, sequence: i },
})

export function newVault(): Vault {
  const master = newMasterKey(cryptoNode)
  const vault = openVault(cryptoNode, master, newEngineKeys(cryptoNode, master))
  if (!('engine' in vault)) throw new Error(vault.message)
  return vault
}

const builtins = join(fileURLToPath(new URL('.', import.meta.url)), '..', 'krl')

/** An engine over `store`, started. Effects other than rulesets and queries of its own picos fail, letters to others are given up. */
export async function startCore(store: Store, folder: string, vault = newVault()): Promise<Core> {
  const sources = new Sources(
    { get: name => engine.named(name), put: (name, value) => engine.setNamed(name, value) },
    async url => Promise.reject(new Error(url)),
    builtins,
  )
  const perform = async (effect: Effect): Promise<Answer> =>
    effect.kind === 'ruleset'
      ? { value: (await sources.load(effect.url, effect)) as unknown as Json }
      : { error: { code: 'bench.alone', message: 'Nothing is out there.' } }
  const engine: Engine = new Engine({
    store,
    vault,
    clock,
    random: { bytes: length => cryptoNode.randomBytes(length) },
    world: { perform, deliver: async () => ({ refused: 'bench.alone' }) },
    step,
    runQuery,
    code: sources.compiled,
    loadCode: async hash => void (await sources.ensure(hash)),
    toStimulus: async (_, stored) => stored as unknown as Stimulus,
    mark: { read: () => '', write: () => undefined },
    facts: { baseUrl: 'http://localhost', engineDid: 'did:key:bench', version: '0' },
  })
  await sources.start()
  await engine.start()
  return {
    engine,
    birth: (n, rulesets = []) => ({
      picoId: picoIdOf(n),
      name: `pico ${n}`,
      parentId: null,
      parentEci: null,
      eci: eciOf(n),
      rulesets,
      attrs: {},
    }),
    async ruleset(source) {
      const file = join(folder, `${/ruleset (\S+)/.exec(source)?.[1]}.krl`)
      await writeFile(file, source)
      const url = pathToFileURL(file).href
      return { url, config: {}, loaded: await sources.load(url, { fresh: true, owner: true, installed: {} }) }
    },
    stop: () => engine.stop(),
  }
}

/** Gives `run` an empty folder and removes it. */
export async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'picomesh-bench-'))
  try {
    return await run(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs `one` for 0 … count-1, `flight` at a time; per second. */
export async function perSecond(count: number, flight: number, one: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0
  const start = performance.now()
  const caller = async () => {
    for (let i = next++; i < count; i = next++) await one(i)
  }
  await Promise.all(Array.from({ length: Math.min(flight, count) }, caller))
  return (count * 1000) / (performance.now() - start)
}
