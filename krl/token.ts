// Splits KRL text into tokens (KRL has no RFC; the grammar is the language's own). Comments and blanks are dropped;
// every token knows its line and column. Chevrons nest: text between `<<` and `>>` may hold `#{ expression }`.

import type { Diagnostic, Place } from './types.ts'

export type TokenKind =
  | 'word'
  | 'number'
  | 'string'
  | 'regexp'
  | 'raw'
  | 'chevron-open'
  | 'chevron-text'
  | 'beesting-open'
  | 'beesting-close'
  | 'chevron-close'
  | 'end'

export interface Token extends Place {
  readonly kind: TokenKind
  /** As written; for `end` empty. */
  readonly text: string
  /** Offset in the source, to see whether two tokens touch. */
  readonly start: number
}

export interface Tokens {
  readonly tokens: readonly Token[]
  readonly errors: readonly Diagnostic[]
}

const BLANK = /(?:\s+|\/\/[^\n\r]*|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)+/y
const WORD = /[A-Za-z_$][A-Za-z0-9_$]*/y
const NUMBER = /(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/y
const STRING = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y
const REGEXP = /re#[^#\\]*(?:\\[\s\S][^#\\]*)*#[gim]*/y
const RAW = /<=>|<=|>=|><|=>|==|!=|:=|&&|\|\||[<>|=:(){}[\],/.\-%+;*]/y
const CHEVRON_TEXT = /(?:[^\\>#]+|\\[\s\S]|>(?!>)|#(?!\{))+/y

const MAX_ERRORS = 100

/** All tokens of `source`, ending with one `end`; what cannot be read is skipped and reported. */
export const tokenize = (source: string): Tokens => {
  const lexer = new Lexer(source)
  lexer.run()
  return { tokens: lexer.tokens, errors: lexer.errors }
}

class Lexer {
  readonly tokens: Token[] = []
  readonly errors: Diagnostic[] = []
  private readonly source: string
  /** Open braces inside each open `#{`. */
  private readonly beestings: number[] = []
  /** Where the open chevrons begin. */
  private readonly chevrons: Place[] = []
  private at = 0
  private line = 1
  private lineStart = 0
  /** Where the next line feed at or after `at` stands, so that long lines are searched once. */
  private lineFeed: number

  constructor(source: string) {
    this.source = source
    this.lineFeed = source.indexOf('\n')
  }

  run(): void {
    while (this.skipBlank() < this.source.length) this.next()
    if (this.chevrons.length > 0) this.unclosedChevron()
    this.push('end', '')
  }

  private next(): void {
    const opening = this.source.slice(this.at, this.at + 3)
    if (opening.startsWith('/*')) this.unclosed('a comment is not closed', 'Close it with `*/`.')
    else if (opening.startsWith('"')) this.literal(STRING, 'string', 'a string is not closed', 'Close it with a quote.')
    else if (opening === 're#')
      this.literal(REGEXP, 'regexp', 'a regular expression is not closed', 'Close it with `#`.')
    else if (opening.startsWith('<<')) {
      this.chevrons.push(this.place())
      this.push('chevron-open', '<<')
      this.chevron()
    } else this.plain()
  }

  private plain(): void {
    const word = this.match(WORD)
    const number = word === undefined ? this.match(NUMBER) : undefined
    const raw = word === undefined && number === undefined ? this.match(RAW) : undefined
    if (word !== undefined) this.push('word', word)
    else if (number !== undefined) this.push('number', number)
    else if (raw !== undefined) this.raw(raw)
    else this.illegal()
  }

  private raw(text: string): void {
    const open = this.beestings.at(-1)
    if (open === 0 && text === '}') {
      this.beestings.pop()
      this.push('beesting-close', text)
      this.chevron()
      return
    }
    if (open !== undefined && text === '{') this.beestings[this.beestings.length - 1] = open + 1
    if (open !== undefined && text === '}') this.beestings[this.beestings.length - 1] = open - 1
    this.push('raw', text)
  }

  /** Text of a chevron up to its end or its next `#{`. */
  private chevron(): void {
    const text = this.match(CHEVRON_TEXT)
    if (text !== undefined) this.push('chevron-text', text)
    if (this.source.startsWith('>>', this.at)) {
      this.chevrons.pop()
      this.push('chevron-close', '>>')
    } else if (this.source.startsWith('#{', this.at)) {
      this.push('beesting-open', '#{')
      this.beestings.push(0)
    } else this.unclosedChevron()
  }

  private literal(pattern: RegExp, kind: TokenKind, message: string, hint: string): void {
    const text = this.match(pattern)
    if (text === undefined) this.unclosed(message, hint)
    else this.push(kind, text)
  }

  private unclosed(message: string, hint: string): void {
    this.error(message, hint, this.place())
    this.giveUp()
  }

  private unclosedChevron(): void {
    this.error('a chevron is not closed', 'Close it with `>>`.', this.chevrons.at(-1) as Place)
    this.giveUp()
  }

  private giveUp(): void {
    this.beestings.length = 0
    this.chevrons.length = 0
    this.advance(this.source.length - this.at)
  }

  private illegal(): void {
    const c = String.fromCodePoint(this.source.codePointAt(this.at) as number)
    this.error(`\`${c}\` is no part of KRL`, 'Remove it, or put it into a string.', this.place())
    this.advance(c.length)
  }

  private place(): Place {
    return { line: this.line, column: this.at - this.lineStart + 1 }
  }

  private error(message: string, hint: string, at: Place): void {
    if (this.errors.length < MAX_ERRORS)
      this.errors.push({ severity: 'error', code: 'krl.syntax', message, hint, ...at })
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    return pattern.exec(this.source)?.[0]
  }

  private push(kind: TokenKind, text: string): void {
    this.tokens.push({ kind, text, start: this.at, line: this.line, column: this.at - this.lineStart + 1 })
    this.advance(text.length)
  }

  private skipBlank(): number {
    this.advance(this.match(BLANK)?.length ?? 0)
    return this.at
  }

  private advance(length: number): void {
    this.at += length
    while (this.lineFeed >= 0 && this.lineFeed < this.at) {
      this.line += 1
      this.lineStart = this.lineFeed + 1
      this.lineFeed = this.source.indexOf('\n', this.lineStart)
    }
  }
}

/** The text that a string token stands for: `\"` and `\\` are the only escapes. */
export const unquote = (text: string): string => text.slice(1, -1).replace(/\\(["\\])/g, '$1')

/** The text that a chevron part stands for: `\>`, `\#{` and `\\` are the escapes. */
export const unchevron = (text: string): string => text.replace(/\\(>|#\{|\\)/g, '$1')
