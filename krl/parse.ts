// Text to tree: the ruleset, its meta section and its order. Parsing goes on after a broken declaration, meta property
// or rule, so that all faults are reported at once.

import type { Declaration, Expression, MetaProperty, Rule, Ruleset, Use } from './ast.ts'
import { SyntaxFault } from './cursor.ts'
import { RuleParser } from './parse-rule.ts'
import { tokenize } from './token.ts'
import type { Diagnostic, Place } from './types.ts'

export interface Parsed {
  /** The whole tree; absent when a part of it could not be read. */
  readonly ruleset?: Ruleset
  readonly diagnostics: readonly Diagnostic[]
}

/** Parses one ruleset. Never throws for any text. */
export const parse = (source: string): Parsed => {
  const parser = new RulesetParser(tokenize(source))
  const ruleset = parser.run()
  return { diagnostics: parser.diagnostics, ...(ruleset === undefined || parser.broken ? {} : { ruleset }) }
}

const META: ReadonlySet<string> = new Set(
  'version name description author logging key keys use errors configure provide provides share shares'.split(' '),
)

class RulesetParser extends RuleParser {
  private readonly meta: MetaProperty[] = []
  private readonly globals: Declaration[] = []
  private readonly rules: Rule[] = []
  private readonly seen = new Set<string>()

  run(): Ruleset | undefined {
    try {
      return this.ruleset()
    } catch (fault) {
      if (!(fault instanceof SyntaxFault)) throw fault
      this.report(fault.diagnostic)
      return undefined
    }
  }

  private ruleset(): Ruleset {
    const at = this.place()
    this.expect('ruleset', 'A ruleset is `ruleset rid { … }`.')
    const rid = this.rid()
    this.expect('{')
    if (this.is('version')) this.oldVersion()
    while (!this.is('}') && this.peek().kind !== 'end')
      this.recovering(
        () => this.section(),
        () => this.atSection(),
      )
    this.recovering(
      () => this.end(),
      () => false,
    )
    const { meta, globals, rules } = this
    return { rid, meta, globals, rules, ...at }
  }

  private end(): void {
    this.expect('}')
    if (this.peek().kind !== 'end') this.unexpected('the end of the text', 'A file holds one ruleset.')
  }

  private oldVersion(): void {
    const at = this.place(this.take())
    this.warn('krl.deprecated', '`version` stands outside `meta`', 'Move it into `meta { … }`.', at)
    this.meta.push({ kind: 'text', key: 'version', value: this.expression(), ...at })
  }

  private section(): void {
    const head = this.peek()
    if (this.accept('rule')) {
      this.rules.push(this.rule())
      return
    }
    if (!this.is('meta') && !this.is('global'))
      this.unexpected('`meta`, `global`, `rule` or `}`', 'Check the braces of the section before.')
    if (this.seen.has(head.text))
      this.note('krl.duplicate', `a second \`${head.text}\` section`, 'Put everything into the first.', head)
    this.seen.add(this.take().text)
    if (head.text === 'global') this.globals.push(...this.declarationBlock())
    else this.metaBlock()
  }

  private metaBlock(): void {
    this.expect('{')
    while (!this.is('}') && this.peek().kind !== 'end' && !this.atSection()) {
      const property = this.recovering(
        () => this.metaProperty(),
        () => this.peek().kind === 'word' && META.has(this.peek().text),
      )
      if (property !== undefined) this.meta.push(property)
    }
    this.expect('}')
  }

  private metaProperty(): MetaProperty {
    const at = this.place()
    const key = this.peek().text
    if (this.peek().kind !== 'word' || !META.has(key))
      this.unexpected('a meta property', `There are ${[...META].join(', ')}.`)
    this.take()
    switch (key) {
      case 'version':
      case 'name':
      case 'description':
      case 'author':
        return { kind: 'text', key, value: this.expression(), ...at }
      case 'logging':
        return { kind: 'logging', on: this.onOff(), ...at }
      case 'use':
        return { kind: 'use', use: this.use(at), ...at }
      case 'configure':
        this.expect('using')
        return { kind: 'configure', declarations: this.bindings('`configure using`'), ...at }
      case 'errors':
        this.expect('to')
        this.rid()
        return { kind: 'unsupported', what: '`errors to`', hint: 'Select on `system:error` instead.', ...at }
      case 'key':
      case 'keys':
        this.word('a name for the keys')
        this.expression()
        return { kind: 'unsupported', what: '`keys`', hint: 'Give secrets as `configure using` values.', ...at }
      case 'share':
      case 'shares':
        return { kind: 'shares', names: this.names(), ...at }
      default:
        return this.provides(at)
    }
  }

  private provides(at: Place): MetaProperty {
    if (!this.is('keys') || this.is(',', 1) || !this.isName(1) || !(this.is('to', 2) || this.is(',', 2)))
      return { kind: 'provides', names: this.names(), ...at }
    this.take()
    this.names()
    this.expect('to')
    do this.rid()
    while (this.accept(','))
    return { kind: 'unsupported', what: '`provides keys`', hint: 'Give secrets with `use module … with`.', ...at }
  }

  private onOff(): boolean {
    if (this.accept('on')) return true
    this.expect('off', 'Logging is `on` or `off`.')
    return false
  }

  private use(at: Place): Use {
    this.expect('module')
    const rid = this.rid()
    const alias = this.accept('alias') ? this.name() : undefined
    const pairs = this.accept('with') ? this.bindings('`with`') : []
    return { rid, with: pairs, ...(alias === undefined ? {} : { alias }), ...at }
  }

  /** `a = e and b = e`, the `and` being optional. */
  private bindings(after: string): Declaration[] {
    const pairs: Declaration[] = []
    let and = false
    while (this.atDeclaration() || and) {
      pairs.push(this.declaration())
      and = this.is('and') && !this.is('=', 1) && this.accept('and')
    }
    if (pairs.length === 0) this.unexpected(`\`name = value\` after ${after}`)
    return pairs
  }

  /** Dotted and dashed words, without blanks inside. */
  private rid(): string {
    let last = this.word('a ruleset id')
    let rid = last.text
    while (this.touches(last) && (this.is('.') || this.is('-'))) {
      const separator = this.take()
      if (!this.touches(separator))
        this.fail(`a ruleset id ends with \`${separator.text}\``, 'Write it like `org.example.name`.', separator)
      last = this.word('the rest of the ruleset id')
      rid += separator.text + last.text
    }
    return rid
  }

  private touches(token: { readonly start: number; readonly text: string }): boolean {
    return this.peek().start === token.start + token.text.length
  }
}

/** The text of a literal: a string, or a chevron without `#{…}`; undefined for anything else. */
export const literalText = (value: Expression): string | undefined => {
  if (value.kind === 'string') return value.value
  if (value.kind === 'number') return String(value.value)
  if (value.kind !== 'chevron' || value.parts.some(part => typeof part !== 'string')) return undefined
  return value.parts.join('')
}
