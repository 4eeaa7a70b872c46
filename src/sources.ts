// Rulesets of this engine: fetched once per URL, kept by the hash of their text, compiled when first needed. What a
// ruleset uses is looked for among the pico's own, in this engine, and beside its URL (krl-readings, Mend).

import { readFile, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { compile, load } from '../krl/index.ts'
import type { CompiledRuleset, Diagnostic } from '../krl/types.ts'
import { hex, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { PicoError } from './errors.ts'
import { BUILTINS, builtinHash } from './family.ts'
import { domains } from './modules.ts'
import type { Json, JsonObject, LoadedRuleset } from './ports.ts'

/** Named values of the engine, sealed under the engine key. */
export interface Table {
  get(name: string): Json | undefined
  put(name: string, value: Json | undefined): Promise<void>
}

/** Fetches text over HTTP under the engine's address rules; the owner's own words may name any address. */
export type FetchText = (url: string, owner: boolean) => Promise<string>

export interface LoadOptions {
  /** Fetch again what is known. */
  readonly fresh: boolean
  /** The owner's own words: any address, any file. */
  readonly owner: boolean
  /** Rulesets of the asking pico, rid → hash. */
  readonly installed: Readonly<Record<string, string>>
}

interface Kept {
  readonly hash: string
  readonly rid: string
  readonly uses: readonly string[]
}

type Modules = Record<string, { hash: string; url: string }>

const SOURCE_CHARACTERS = 4 * 1024 * 1024
const isBuiltin = (rid: string) => (BUILTINS as readonly string[]).includes(rid)

export class Sources {
  private readonly table: Table
  private readonly fetchText: FetchText
  /** Compiled code by hash, as far as it is in memory. */
  readonly compiled = new Map<string, CompiledRuleset>()
  private readonly loading = new Map<string, Promise<Kept>>()
  private readonly folder: string

  /** `folder` holds the rulesets that every pico has. */
  constructor(table: Table, fetchText: FetchText, folder: string) {
    this.table = table
    this.fetchText = fetchText
    this.folder = folder
  }

  /** Compiles the rulesets that every pico has. */
  async start(): Promise<void> {
    for (const rid of BUILTINS) {
      const source = await readFile(`${this.folder}/${rid}.krl`, 'utf8')
      this.compiled.set(builtinHash(rid), compileText(source, `picomesh:${rid}.krl`).code)
    }
  }

  /** Compiled code, from the kept source when it is not in memory. Throws `ruleset.missing`. */
  async ensure(hash: string): Promise<CompiledRuleset> {
    const known = this.compiled.get(hash)
    if (known) return known
    const source = this.source(hash)
    if (source === undefined)
      throw new PicoError('ruleset.missing', `the source of ruleset ${hash.slice(0, 12)} is not in this engine`)
    const { code } = compileText(source, hash)
    this.compiled.set(hash, code)
    return code
  }

  /** The text that a hash stands for; travels with a pico that moves. */
  source(hash: string): string | undefined {
    const source = this.table.get(`source/${hash}`)
    return typeof source === 'string' ? source : undefined
  }

  /** Takes a source that came with a pico; its hash. */
  async adopt(source: string, url: string): Promise<string> {
    return (await this.keep(url, source, false)).hash
  }

  /** Loads by URL with everything it uses. Throws PicoError `ruleset.*`. */
  async load(url: string, options: LoadOptions): Promise<LoadedRuleset> {
    return this.loadTree(url, options, [])
  }

  private async loadTree(given: string, options: LoadOptions, above: readonly string[]): Promise<LoadedRuleset> {
    const url = normalise(given)
    const kept = await this.one(url, options)
    if (above.includes(kept.rid))
      throw new PicoError('ruleset.invalid', `rulesets use each other in a circle: ${[...above, kept.rid].join(' → ')}`)
    const modules: Modules = {}
    for (const rid of kept.uses) Object.assign(modules, await this.module(rid, url, options, [...above, kept.rid]))
    return { rid: kept.rid, url, hash: kept.hash, modules }
  }

  private async module(rid: string, user: string, options: LoadOptions, above: readonly string[]): Promise<Modules> {
    if (isBuiltin(rid)) return { [rid]: { hash: builtinHash(rid), url: `picomesh:${rid}.krl` } }
    const installed = options.installed[rid]
    if (installed !== undefined) return { [rid]: { hash: installed, url: '' } }
    const known = this.table.get(`rid/${rid}`)
    if (typeof known === 'string' && !options.fresh) {
      const loaded = await this.loadTree(known, { ...options, owner: false }, above)
      return { ...loaded.modules, [rid]: { hash: loaded.hash, url: loaded.url } }
    }
    return this.beside(rid, sibling(user, rid), options, above)
  }

  private async beside(rid: string, url: string, options: LoadOptions, above: readonly string[]): Promise<Modules> {
    try {
      const loaded = await this.loadTree(url, options, above)
      if (loaded.rid !== rid) throw new PicoError('ruleset.missing', `${url} holds ${loaded.rid}`)
      return { ...loaded.modules, [rid]: { hash: loaded.hash, url: loaded.url } }
    } catch (error) {
      if (!(error instanceof PicoError) || error.code === 'ruleset.invalid') throw error
      throw new PicoError(
        'ruleset.missing',
        `module ${rid} was not found: not installed in this pico, not known to this engine, and not at ${url} (${error.message})`,
      )
    }
  }

  private async one(url: string, options: LoadOptions): Promise<Kept> {
    const known = this.table.get(`url/${url}`) as unknown as Kept | undefined
    if (known !== undefined && !options.fresh && !options.owner) return known
    const running = this.loading.get(url)
    if (running) return running
    const job = this.fetch(url, options.owner).then(source => this.keep(url, source, options.owner))
    this.loading.set(url, job)
    return job.finally(() => this.loading.delete(url))
  }

  private async fetch(url: string, owner: boolean): Promise<string> {
    const source = url.startsWith('picomesh:')
      ? await readText(`${this.folder}/${url.slice('picomesh:'.length).replace(/[^a-zA-Z0-9._-]/g, '')}`, url)
      : url.startsWith('file:')
        ? await this.ownFile(url, owner)
        : await this.fetchText(url, owner)
    if (source.length > SOURCE_CHARACTERS)
      throw new PicoError('ruleset.invalid', `a ruleset may have ${SOURCE_CHARACTERS} characters, ${url} has more`)
    return source
  }

  /** `file:` is the owner's; a rule may install only below a folder of a file that the owner installed. */
  private async ownFile(url: string, owner: boolean): Promise<string> {
    const path = await realpath(fileURLToPath(url)).catch(() => fileURLToPath(url))
    const folders = (this.table.get('folders') as string[] | undefined) ?? []
    const folder = dirname(path)
    const allowed = owner || folders.some(known => folder === known || folder.startsWith(`${known}/`))
    if (!allowed)
      throw new PicoError(
        'ruleset.forbidden',
        'a rule may install file: rulesets only below a folder of a file that the owner installed',
      )
    const source = await readText(path, url)
    if (owner && !folders.includes(folder)) await this.table.put('folders', [...folders, folder])
    return source
  }

  /** By its rid alone every pico finds what the owner loaded, and only that: a rule names modules for nobody else. */
  private async keep(url: string, source: string, owner: boolean): Promise<Kept> {
    const { code, hash } = compileText(source, url)
    const kept: Kept = { hash, rid: code.meta.rid, uses: code.meta.uses.map(use => use.rid) }
    this.compiled.set(hash, code)
    await this.table.put(`source/${hash}`, source)
    if (url === '') return kept
    await this.table.put(`url/${url}`, kept as unknown as Json)
    if (owner) await this.table.put(`rid/${kept.rid}`, url)
    return kept
  }
}

async function readText(path: string, url: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new PicoError(
      'ruleset.unreachable',
      `${url} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'error'}`,
    )
  }
}

function compileText(source: string, url: string): { code: CompiledRuleset; hash: string } {
  const result = compile(source, { domains })
  if (!result.ok) throw invalid(url, result.diagnostics)
  return { code: load(result.js), hash: hex(cryptoNode.sha256(utf8(source))) }
}

function invalid(url: string, diagnostics: readonly Diagnostic[]): PicoError {
  const first = diagnostics.find(d => d.severity === 'error') ?? diagnostics[0]
  const place: JsonObject = { url, ...(first ? { line: first.line, column: first.column } : {}) }
  const errors = diagnostics.map(({ line, column, severity, code, message, hint }) => ({
    line,
    column,
    severity,
    code,
    message,
    hint: hint ?? null,
  }))
  const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : ''
  return new PicoError(
    'ruleset.invalid',
    `${url}:${first?.line ?? 0}:${first?.column ?? 0} ${first?.message ?? 'does not compile'}${more}`,
    { ...place, errors },
  )
}

/** http, https and file URLs, without fragments; anything else is refused. */
function normalise(given: string): string {
  let url: URL
  try {
    url = given.startsWith('/') ? pathToFileURL(given) : new URL(given)
  } catch {
    throw new PicoError('ruleset.invalid', `"${given}" is not a URL`)
  }
  if (!['http:', 'https:', 'file:', 'picomesh:'].includes(url.protocol))
    throw new PicoError('ruleset.forbidden', `rulesets come by http, https or file, not by ${url.protocol}`)
  url.hash = ''
  return url.href
}

/** `https://host/path/a.b.krl` and rid `c.d` → `https://host/path/c.d.krl`. */
function sibling(url: string, rid: string): string {
  return `${url.replace(/[^/]*$/, '')}${rid}.krl`
}
