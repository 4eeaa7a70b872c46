// `npm run test:long -- [NAME…] [--seed S] [--rounds N]`: each name is a module beside this one whose `run` says whether
// everything held. Without names all are run; the seed printed repeats a run.

import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

/** What every long test is given; without `rounds` it chooses its own number. */
export interface LongOptions {
  readonly seed: number
  readonly rounds?: number
}

type Run = (options: LongOptions) => Promise<boolean>

const folder = dirname(fileURLToPath(import.meta.url))

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seed: { type: 'string' }, rounds: { type: 'string' } },
  })
  const known = await modules()
  const unknown = positionals.filter(name => !known.has(name))
  if (unknown.length > 0) {
    console.error(`there is no long test ${unknown.join(', ')}: ${[...known.keys()].join(', ')}`)
    return 2
  }
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed)
  const rounds = values.rounds === undefined ? {} : { rounds: Number(values.rounds) }
  const failed: string[] = []
  for (const name of positionals.length > 0 ? positionals : known.keys()) {
    console.log(`${name}: seed ${seed}`)
    const since = performance.now()
    const held = await (known.get(name) as Run)({ seed, ...rounds })
    console.log(`${name}: ${held ? 'held' : 'FAILED'}, ${((performance.now() - since) / 1000).toFixed(1)} s\n`)
    if (!held) failed.push(name)
  }
  if (failed.length > 0) console.error(`failed with seed ${seed}: ${failed.join(', ')}`)
  return failed.length === 0 ? 0 : 1
}

/** Modules beside this one that export `run`. */
async function modules(): Promise<Map<string, Run>> {
  const found = new Map<string, Run>()
  for (const name of readdirSync(folder).sort()) {
    if (!/\.[jt]s$/.test(name) || /\.d\.ts$|^run\./.test(name) || !existsSync(join(folder, name))) continue
    const loaded = (await import(pathToFileURL(join(folder, name)).href)) as { run?: Run }
    if (loaded.run) found.set(name.replace(/\.[jt]s$/, ''), loaded.run)
  }
  return found
}

main().then(
  code => process.exit(code),
  error => {
    console.error(error)
    process.exit(1)
  },
)
