// The parser's hold on the tokens: looking, taking, failing with a place, and skipping to where parsing can go on.
// A syntax fault is thrown only inside the parser, from the failing construct to the nearest boundary that recovers.

import type { Name } from './ast.ts'
import type { Token, Tokens } from './token.ts'
import type { Diagnostic, Place } from './types.ts'

export class SyntaxFault extends Error {
  readonly diagnostic: Diagnostic
  constructor(diagnostic: Diagnostic) {
    super(diagnostic.message)
    this.diagnostic = diagnostic
  }
}

/** Words that can never be names. */
export const RESERVED: ReadonlySet<string> = new Set([
  'defaction',
  'function',
  'return',
  'not',
  'setting',
  'null',
  'true',
  'false',
])

/** How deep expressions may nest: more would exhaust the stack of whoever walks the tree. */
export const MAX_NESTING = 400
const MAX_ERRORS = 50
const OPENING: ReadonlySet<string> = new Set(['{', '(', '[', '#{'])
const OPENER: ReadonlyMap<string, string> = new Map([
  ['}', '{'],
  [')', '('],
  [']', '['],
])

export class Cursor {
  readonly diagnostics: Diagnostic[]
  /** Something could not be read, so the tree lacks it. */
  broken: boolean
  protected readonly tokens: readonly Token[]
  protected at = 0
  /** Open constructs, and the height of the tallest tree made since it was last set to 0. */
  protected nesting = 0
  protected tall = 0

  constructor({ tokens, errors }: Tokens) {
    this.tokens = tokens
    this.diagnostics = [...errors]
    this.broken = errors.length > 0
  }

  protected peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token
  }

  protected take(): Token {
    const token = this.peek()
    if (this.at < this.tokens.length - 1) this.at += 1
    return token
  }

  protected is(text: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.text === text && (token.kind === 'raw' || token.kind === 'word')
  }

  protected isName(ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === 'word' && !RESERVED.has(token.text)
  }

  protected accept(text: string): boolean {
    if (!this.is(text)) return false
    this.take()
    return true
  }

  protected expect(text: string, hint?: string): Token {
    if (!this.is(text)) this.unexpected(`\`${text}\``, hint)
    return this.take()
  }

  protected word(what: string): Token {
    if (this.peek().kind !== 'word') this.unexpected(what)
    return this.take()
  }

  protected name(what = 'a name'): Name {
    const token = this.peek()
    if (token.kind === 'word' && RESERVED.has(token.text))
      this.fail(`\`${token.text}\` is a reserved word`, 'Choose another name.')
    const { text, line, column } = this.word(what)
    return { text, line, column }
  }

  protected names(): Name[] {
    const names = [this.name()]
    while (this.accept(',')) names.push(this.name())
    return names
  }

  /** `setting(a, b)` after the word. */
  protected settingNames(): Name[] {
    this.expect('(')
    const names = this.names()
    this.expect(')')
    return names
  }

  protected place(token: Place = this.peek()): Place {
    return { line: token.line, column: token.column }
  }

  protected unexpected(wanted: string, hint?: string): never {
    const token = this.peek()
    const found = token.kind === 'end' ? 'the end of the text' : `\`${token.text.slice(0, 40)}\``
    return this.fail(`expected ${wanted} but found ${found}`, hint)
  }

  protected fail(message: string, hint?: string, at: Place = this.peek(), code = 'krl.syntax'): never {
    throw new SyntaxFault(this.diagnostic(code, message, hint, at))
  }

  protected note(code: string, message: string, hint: string, at: Place): void {
    if (this.diagnostics.length < MAX_ERRORS) this.diagnostics.push(this.diagnostic(code, message, hint, at))
  }

  protected warn(code: string, message: string, hint: string, at: Place): void {
    this.diagnostics.push({ ...this.diagnostic(code, message, hint, at), severity: 'warning' })
  }

  private diagnostic(code: string, message: string, hint: string | undefined, at: Place): Diagnostic {
    return { severity: 'error', code, message, ...(hint === undefined ? {} : { hint }), ...this.place(at) }
  }

  /** Runs `construct`; on a syntax fault notes it, goes on at the next boundary after `start`, and gives undefined. */
  protected recovering<T>(construct: () => T, boundary: () => boolean): T | undefined {
    const { at: start, nesting } = this
    try {
      return construct()
    } catch (fault) {
      if (!(fault instanceof SyntaxFault)) throw fault
      this.report(fault.diagnostic)
      this.nesting = nesting
      this.tall = 0
      this.skip(start, boundary)
      return undefined
    }
  }

  /** One error per place; that the text ends inside an unclosed literal is said once. */
  protected report(found: Diagnostic): void {
    const end = this.tokens.at(-1) as Token
    const atEnd = found.line === end.line && found.column === end.column
    const known = this.diagnostics.some(({ line, column }) => line === found.line && column === found.column)
    if (!known && !(atEnd && this.broken) && this.diagnostics.length < MAX_ERRORS) this.diagnostics.push(found)
    this.broken = true
  }

  /** Goes to the brace that closes the surrounding block, a boundary outside all brackets, or a section's head. */
  private skip(start: number, boundary: () => boolean): void {
    const failed = this.at
    const open: string[] = []
    for (this.at = start; this.peek().kind !== 'end'; this.at += 1) {
      const { kind, text } = this.peek()
      const past = this.at >= failed && this.at > start
      if (past && (this.atSection() || (open.length === 0 && boundary()))) return
      if (kind !== 'raw' && kind !== 'beesting-open' && kind !== 'beesting-close') continue
      const opener = OPENER.get(text)
      if (opener === undefined) {
        if (OPENING.has(text)) open.push(text.slice(-1))
      } else if (!open.includes(opener)) {
        // The end of an interpolation closes no block: stopping at it again and again would never end.
        if (text === '}' && kind === 'raw') return
      } else if (open.at(-1) === opener || text === '}') open.length = open.lastIndexOf(opener)
    }
  }

  /** `rule NAME {`, `rule NAME is`, `global {`: starts a section wherever it stands. */
  protected atSection(): boolean {
    if (this.is('rule') && this.isName(1)) return this.is('{', 2) || this.is('is', 2)
    return (this.is('global') || this.is('meta')) && this.is('{', 1)
  }
}
