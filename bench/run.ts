// `npm run bench -- [NAME…] [--json] [--short]` (contract 1): each benchmark beside its ceiling or peer of the same run.
// Exit 1 when a goal is not held, 2 for a name that is none.

import { availableParallelism, loadavg } from 'node:os'
import { bench as children } from './children.ts'
import { bench as driver } from './driver.ts'
import { bench as envelope } from './envelope.ts'
import { type Bench, type Figure, judged, table } from './figure.ts'
import { bench as http } from './http.ts'
import { bench as pico } from './pico.ts'
import { bench as query } from './query.ts'
import { bench as ready } from './ready.ts'

const BENCHES: Readonly<Record<string, Bench>> = { envelope, driver, pico, http, children, query, ready }

const given = process.argv.slice(2)
const flags = given.filter(word => word.startsWith('-'))
const names = given.filter(word => !word.startsWith('-'))
const size = { short: flags.includes('--short') }
const json = flags.includes('--json')
const strange = [
  ...flags.filter(flag => flag !== '--short' && flag !== '--json'),
  ...names.filter(name => !Object.hasOwn(BENCHES, name)),
]
if (strange.length > 0) {
  console.error(`bench: ${strange.join(', ')}? There are ${Object.keys(BENCHES).join(', ')}, and --json, --short.`)
  process.exit(2)
}

const figures: Figure[] = []
for (const [name, bench] of Object.entries(BENCHES)) {
  if (names.length > 0 && !names.includes(name)) continue
  if (!json) console.error(`${name} …`)
  for (const measured of await bench(size)) figures.push(judged(measured, size))
}
if (json) console.log(JSON.stringify(figures))
else {
  console.log(table(figures))
  console.log(
    `load ${(loadavg()[0] as number).toFixed(1)} on ${availableParallelism()} processors${size.short ? '; short: small sizes, goals relaxed to half' : ''}`,
  )
}
process.exitCode = figures.every(figure => figure.held) ? 0 : 1
