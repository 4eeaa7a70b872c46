// Nothing that a pico knows can be read from the home, the logs or the output without the key (law L7): markers of nine
// kinds are planted and searched for in every spelling. The same search over a build that does not seal must find each
// kind, or it proves nothing. Then: a deleted pico's wrapped key is in no file, and nobody else may read the home.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EngineProcess, freePort, until } from '../../examples/engine-process.ts'
import { connect } from '../../examples/sensor-community/setup.ts'
import { randomFrom } from '../../examples/tally.ts'
import { brokenBuild } from './build.ts'
import { filesOf, type Hit, looseModes, search, spellings, spellingsOfBytes } from './needles.ts'
import { privateSeeds, wrappedKey } from './opened-home.ts'
import type { LongOptions } from './run.ts'

export const KINDS = [
  'value',
  'map key',
  'variable name',
  'attribute',
  'configuration',
  'message',
  'label',
  'ECI',
  'private seed',
] as const
type Kind = (typeof KINDS)[number]

/** Sealing that does not seal: the record stays as it is, with room for the tag. */
const UNSEALED = [
  { file: 'wallet/vault.js', from: /if \(crypto\.xchacha20Poly1305Record\)/, to: 'if (false)' },
  {
    file: 'wallet/vault.js',
    from: /function sealed\(([^)]*)\) \{/,
    to: 'function sealed($1) {\n    return concat(plain, new Uint8Array(16));',
  },
  {
    file: 'wallet/vault.js',
    from: /function unsealed\(([^)]*)\) \{/,
    to: 'function unsealed($1) {\n    return Uint8Array.from(box.subarray(0, -16));',
  },
]

export interface MarkerFigures {
  readonly planted: number
  readonly bytesSearched: number
  /** What the search found of each kind; of sealed homes it must be nothing. */
  readonly hits: Readonly<Record<Kind, readonly Hit[]>>
  /** Files and folders in the home that others could read. */
  readonly loose: readonly string[]
  /** Files that hold the wrapped key of a pico: before its deletion, and after it and compaction. */
  readonly wrapped: { readonly before: number; readonly after: number }
}

export async function run({ seed }: LongOptions): Promise<boolean> {
  const sealed = await plantAndSearch(seed)
  const unsealed = await withoutSealing(seed)
  console.log(`  ${sealed.planted} markers of ${KINDS.length} kinds, ${sealed.bytesSearched} bytes searched`)
  for (const kind of KINDS) {
    const { length } = unsealed.hits[kind]
    console.log(
      `  ${kind}: ${sealed.hits[kind].length} hits; with sealing off ${length} in ${names(unsealed.hits[kind])}`,
    )
    for (const { file, spelling } of sealed.hits[kind]) console.log(`    FOUND ${spelling} in ${file}`)
  }
  const { before, after } = sealed.wrapped
  console.log(`  a pico's wrapped key: in ${before} files before its deletion, in ${after} after`)
  console.log(`  files and folders open to others: ${sealed.loose.length} ${sealed.loose.join(' ')}`)
  return holds(sealed) && finds(unsealed)
}

/** The same with a build whose sealing is the identity. */
export async function withoutSealing(seed: number): Promise<MarkerFigures> {
  const build = brokenBuild(UNSEALED)
  try {
    return await plantAndSearch(seed, build.cli)
  } finally {
    build.remove()
  }
}

const names = (hits: readonly Hit[]) => [...new Set(hits.map(({ file }) => file.replace(/\d+/g, 'N')))].join(' ')

export function holds({ hits, loose, wrapped }: MarkerFigures): boolean {
  return KINDS.every(kind => hits[kind].length === 0) && loose.length === 0 && wrapped.before > 0 && wrapped.after === 0
}

export const finds = ({ hits }: MarkerFigures): boolean => KINDS.every(kind => hits[kind].length > 0)

// ---- one home, from its first start to its last ----------------------------------------------------------------

/** Plants, searches while it runs, after kill -9, after a clean stop, and after a deletion. */
export async function plantAndSearch(seed: number, cli?: string): Promise<MarkerFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'picomesh-markers-'))
  const home = join(folder, 'home')
  const options = { home, port: await freePort(), ...(cli === undefined ? {} : { cli }) }
  const markers = makeMarkers(seed)
  const outputs = new Map<string, string>()
  const ruleset = writeRuleset(folder, markers['variable name'])
  const found = new Found()
  try {
    const first = await EngineProcess.start({ ...options, log: 'json' })
    const eci = await plant(first, ruleset, markers)
    const texts = { ...markers, ECI: eci }
    found.look(home, texts)
    await first.kill()
    outputs.set('log (json)', first.output)
    found.look(home, texts)
    const second = await EngineProcess.start({ ...options, log: 'pretty' })
    await exercise(second, eci, markers)
    found.look(home, texts)
    const { picoId } = await second.verb<{ picoId: string }>('pico.show', { pico: 'holder' })
    await second.stop()
    outputs.set('log (pretty)', second.output)
    const seeds = cli === undefined ? await privateSeeds(home) : await seedsUnsealed(home)
    for (const [name, output] of outputs) found.lookAt(name, Buffer.from(output), texts, seeds)
    found.look(home, texts, seeds)
    const wrapped = await deletion(options, picoId, seeds, texts, found)
    return { planted: Object.keys(texts).length + seeds.length, wrapped, ...found.figures() }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

type Markers = Record<Exclude<Kind, 'ECI' | 'private seed'>, string>
type Texts = Record<Exclude<Kind, 'private seed'>, string>

/** Texts that occur nowhere else, fit for a variable's name. */
function makeMarkers(seed: number): Markers {
  const random = randomFrom(seed)
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  const text = () => Array.from({ length: 24 }, () => letters[Math.floor(random() * letters.length)]).join('')
  return {
    value: text(),
    'map key': text(),
    'variable name': text(),
    attribute: text(),
    configuration: text(),
    message: text(),
    label: text(),
  }
}

function writeRuleset(folder: string, variable: string): string {
  const file = join(folder, 'test.markers.krl')
  writeFileSync(
    file,
    `ruleset test.markers {
  meta { shares stored }
  global { stored = function() { ent:${variable} } }
  rule keep {
    select when marker keep key re#(.+)# value re#(.+)# setting(key, value)
    always {
      ent:${variable} := {}.put(key, value);
      schedule marker event "later" at time:add(time:now(), {"days": 1}) attributes event:attrs
    }
  }
  rule fault {
    select when marker fault
    event:send({"eci": event:attrs{"attribute"}, "domain": event:attrs, "type": event:attrs})
  }
}
`,
  )
  return pathToFileURL(file).href
}

/** Everything a home can hold of each kind; the ECI that was made. */
async function plant(engine: EngineProcess, url: string, markers: Markers): Promise<string> {
  for (const name of ['holder', 'peer']) await engine.verb('pico.new', { name })
  const config = { secret: markers.configuration }
  await engine.verb('ruleset.install', { pico: 'holder', url, config })
  const { eci } = await engine.verb<{ eci: string }>('channel.new', { pico: 'holder', tags: ['m'], events: 'marker:*' })
  await exercise(engine, eci, markers, false)
  const side = { engine, events: '', queries: '' }
  const [connection] = await connect({ ...side, pico: 'holder' }, { ...side, pico: 'peer' })
  await engine.verb('msg.send', { pico: 'holder', connection: connection.connectionId, text: markers.message })
  const label = { label: markers.label, version: 'v1', multi: true, approve: false, events: '', queries: '' }
  await engine.verb('invite', { pico: 'holder', ...label })
  await until('the message to arrive', 5_000, async () => {
    const list = await engine.verb<{ direction: string }[] & Record<string, never>>('msg.ls', { pico: 'peer' })
    return list.some(({ direction }) => direction === 'in')
  })
  return eci
}

/** Events by HTTP, well and badly formed, and a fault that has the attribute in its hands. */
async function exercise(engine: EngineProcess, eci: string, markers: Markers, again = true): Promise<void> {
  const body = JSON.stringify({ key: markers['map key'], value: markers.value, attribute: markers.attribute })
  const post = async (path: string, text = body) => {
    const headers = { 'content-type': 'application/json' }
    await (await fetch(`${engine.url}${path}`, { method: 'POST', headers, body: text })).arrayBuffer()
  }
  await post(`/c/${eci}/event/marker/keep`)
  await post(`/c/${eci}/event-wait/marker/keep`)
  await post(`/c/${eci}/event-wait/marker/fault`)
  await post(`/c/${eci}/event/other/${markers.attribute}`)
  await post(`/c/${eci}/query/test.markers/${markers.value}`)
  await post(`/c/${eci}/event/marker/keep`, body.slice(1))
  await post('/didcomm', body)
  if (again) await engine.verb('rejected', { pico: 'holder' })
}

async function deletion(
  options: { readonly home: string; readonly port: number; readonly cli?: string },
  picoId: string,
  seeds: readonly Uint8Array[],
  texts: Texts,
  found: Found,
): Promise<MarkerFigures['wrapped']> {
  const { home } = options
  const needle = new Map([['raw', Buffer.from(await wrappedKey(home, picoId))]])
  const holding = () => filesOf(home).filter(({ bytes }) => search('', bytes, needle).length > 0).length
  const before = holding()
  const engine = await EngineProcess.start({ ...options, log: 'json' })
  await engine.verb('pico.rm', { pico: 'holder' })
  await until('the key to be gone from every file', 10_000, async () => holding() === 0).catch(() => undefined)
  found.look(home, texts, seeds)
  await engine.stop()
  found.lookAt('log (json)', Buffer.from(engine.output), texts, seeds)
  return { before, after: holding() }
}

/** A build that wraps nothing leaves wallet and records as they are: the same reading tool would not open them. */
async function seedsUnsealed(home: string): Promise<Uint8Array[]> {
  const seeds = filesOf(home).flatMap(({ bytes }) => [...bytes.toString('latin1').matchAll(/"seed":"([\w-]{43})"/g)])
  return [...new Set(seeds.map(([, seed]) => seed as string))].map(
    seed => new Uint8Array(Buffer.from(seed, 'base64url')),
  )
}

/** What was found where, over all searches of one home. */
class Found {
  private readonly hits = Object.fromEntries(KINDS.map(kind => [kind, new Map<string, Hit>()])) as Record<
    Kind,
    Map<string, Hit>
  >
  private readonly loose = new Set<string>()
  private bytes = 0

  /** Every file of the home but the key file; who may read it. */
  look(home: string, texts: Texts, seeds: readonly Uint8Array[] = []): void {
    for (const { file, bytes } of filesOf(home)) this.lookAt(file, bytes, texts, seeds)
    for (const path of looseModes(home)) this.loose.add(path)
  }

  lookAt(file: string, bytes: Buffer, texts: Texts, seeds: readonly Uint8Array[] = []): void {
    this.bytes += bytes.length
    for (const [kind, text] of Object.entries(texts)) this.note(kind as Kind, search(file, bytes, spellings(text)))
    for (const seed of seeds) this.note('private seed', search(file, bytes, spellingsOfBytes(seed)))
  }

  figures(): Pick<MarkerFigures, 'hits' | 'loose' | 'bytesSearched'> {
    const hits = Object.fromEntries(KINDS.map(kind => [kind, [...this.hits[kind].values()]])) as Record<Kind, Hit[]>
    return { hits, loose: [...this.loose], bytesSearched: this.bytes }
  }

  private note(kind: Kind, hits: readonly Hit[]): void {
    for (const hit of hits) this.hits[kind].set(`${hit.file} ${hit.spelling}`, hit)
  }
}
