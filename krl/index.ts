// The KRL compiler: text of a ruleset in, JavaScript text out; and that text in, a ruleset that can run out.
// Depends on nothing but this folder (DESIGN law L11).

import { check, type Domains } from './check.ts'
import { emit } from './emit.ts'
import { load } from './load.ts'
import { parse } from './parse.ts'
import type { CompiledRuleset, Diagnostic, RulesetMeta } from './types.ts'

export type { Domains, MemberKind } from './check.ts'
export { load } from './load.ts'

export interface CompileOptions {
  /** What the engine offers beside modules: `ctx`, `event`, `math`, ... */
  readonly domains: Domains
}

export type Compiled =
  | {
      readonly ok: true
      readonly js: string
      readonly meta: RulesetMeta
      readonly warnings: readonly Diagnostic[]
      /** The warnings again, so that both outcomes can be shown alike. */
      readonly diagnostics: readonly Diagnostic[]
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] }

/** Longest source, in characters. */
const MAX_SOURCE = 1_000_000

/**
 * Compiles one ruleset. Never throws for any text; `diagnostics` hold all errors (and the warnings) in order of place.
 * Codes: `krl.syntax`, `krl.nesting`, `krl.size`, `krl.select`, `krl.label`, `krl.setting`, `krl.event`, `krl.regexp`,
 * `krl.undefined`, `krl.duplicate`, `krl.module`, `krl.not_a_function`, `krl.not_an_action`, `krl.argument`,
 * `krl.unsupported`; warnings also `krl.deprecated`, `krl.inactive`.
 */
export const compile = (source: string, options: CompileOptions): Compiled => {
  if (source.length > MAX_SOURCE) return { ok: false, diagnostics: [TOO_LONG] }
  const parsed = parse(source)
  if (parsed.ruleset === undefined) return { ok: false, diagnostics: inOrder(parsed.diagnostics) }
  const checked = check(parsed.ruleset, options.domains)
  const diagnostics = inOrder([...parsed.diagnostics, ...checked.diagnostics])
  if (diagnostics.some(({ severity }) => severity === 'error')) return { ok: false, diagnostics }
  return { ok: true, ...emit(parsed.ruleset, checked.resolution), warnings: diagnostics, diagnostics }
}

/** `compile` and `load` in one. */
export const compileAndLoad = (
  source: string,
  options: CompileOptions,
):
  | { readonly ok: true; readonly ruleset: CompiledRuleset }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] } => {
  const compiled = compile(source, options)
  return compiled.ok ? { ok: true, ruleset: load(compiled.js) } : compiled
}

const TOO_LONG: Diagnostic = {
  severity: 'error',
  code: 'krl.size',
  message: `the ruleset is longer than ${MAX_SOURCE} characters`,
  hint: 'Split it into modules.',
  line: 1,
  column: 1,
}

const inOrder = (diagnostics: readonly Diagnostic[]): Diagnostic[] =>
  [...diagnostics].sort((a, b) => a.line - b.line || a.column - b.column)
