// Expressions of KRL: a precedence-climbing parser (10 `=> |`, 20 `||`, 30 `&&`, 40 comparisons, 50 `+ -`, 60 `* / %`,
// 70 prefix `+ - not`, 80 `.name {path} [index]`, 90 call), functions, and lists of declarations.

import type {
  ActionBlock,
  Argument,
  Declaration,
  DefactionExpression,
  Expression,
  FunctionExpression,
  InfixOperator,
  MemberExpression,
  NameExpression,
  Parameter,
  RegExpExpression,
  SourceExpression,
} from './ast.ts'
import { Cursor, MAX_NESTING, RESERVED } from './cursor.ts'
import { linearPattern } from './regexp.ts'
import type { Token } from './token.ts'
import { unchevron, unquote } from './token.ts'

const INFIX: ReadonlyMap<string, number> = new Map([
  ['||', 20],
  ['&&', 30],
  ...['==', '!=', '<', '<=', '>', '>=', 'like', '><', '<=>', 'cmp'].map(op => [op, 40] as const),
  ['+', 50],
  ['-', 50],
  ['*', 60],
  ['/', 60],
  ['%', 60],
])
const CONDITIONAL = 10
const PREFIX = 70
const MEMBER = 80
const CALL = 90

export abstract class ExpressionParser extends Cursor {
  protected abstract actionBlock(): ActionBlock

  /** An expression whose operators bind tighter than `min`; `braces` is false where `{` may open a block. */
  protected expression(min = 0, braces = true): Expression {
    const outer = this.tall
    this.nesting += 1
    this.bound(this.nesting)
    this.tall = 0
    let left = this.prefix(braces)
    let tall = this.tall + 1
    for (;;) {
      this.tall = 0
      const longer = this.suffix(left, min, braces)
      if (longer === undefined) break
      left = longer
      tall = Math.max(tall, this.tall) + 1
      this.bound(tall)
    }
    this.nesting -= 1
    this.tall = Math.max(outer, tall)
    return left
  }

  protected bound(height: number): void {
    if (height > MAX_NESTING)
      this.fail(`nested more than ${MAX_NESTING} deep`, 'Split it with declarations.', this.peek(), 'krl.nesting')
  }

  /** An expression with its tokens, for hashes. */
  protected sourced(): SourceExpression {
    const start = this.at
    const expression = this.expression()
    const source = this.tokens.slice(start, this.at).map(token => token.text)
    return { expression, source: source.join(' ') }
  }

  private suffix(left: Expression, min: number, braces: boolean): Expression | undefined {
    const token = this.peek()
    if (token.kind !== 'raw' && token.kind !== 'word') return undefined
    const at = this.place(token)
    const infix = INFIX.get(token.text)
    if (infix !== undefined && !(token.kind === 'word' && this.is('=', 1))) {
      if (infix <= min) return undefined
      this.take()
      return { kind: 'infix', op: token.text as InfixOperator, left, right: this.expression(infix, braces), ...at }
    }
    if (token.kind === 'word') return undefined
    if (token.text === '(' && min < CALL)
      return { kind: 'call', callee: left, args: this.arguments(), ...this.place(left) }
    if (token.text === '=>' && min < CONDITIONAL) return this.conditional(left)
    return min < MEMBER ? this.member(left, token, braces) : undefined
  }

  private member(left: Expression, { text }: Token, braces: boolean): Expression | undefined {
    const at = this.place()
    if (text === '.') {
      this.take()
      return { kind: 'dot', object: left, property: this.reference(), ...at }
    }
    if (text === '[') {
      this.take()
      const index = this.expression()
      this.expect(']')
      return { kind: 'index', object: left, index, ...at }
    }
    if (text !== '{' || (!braces && this.atActions())) return undefined
    this.take()
    const path = this.expression()
    this.expect('}')
    return { kind: 'path', object: left, path, ...at }
  }

  /** At a brace that opens a list of actions and not a path. */
  private atActions(): boolean {
    return this.is('}', 1) || (this.isName(1) && (this.is('=>', 2) || this.is('(', 2) || this.is(':', 2)))
  }

  private conditional(test: Expression): Expression {
    this.take()
    const yes = this.expression(CONDITIONAL)
    this.expect('|', 'A conditional is `test => value | other value`.')
    return { kind: 'conditional', test, yes, no: this.expression(), ...this.place(test) }
  }

  /** `name` or `domain:name`. */
  protected reference(): NameExpression | MemberExpression {
    const { text, line, column } = this.name()
    if (!this.accept(':')) return { kind: 'name', name: text, line, column }
    return { kind: 'member', domain: text, name: this.name().text, line, column }
  }

  private prefix(braces: boolean): Expression {
    const token = this.peek()
    const at = this.place(token)
    switch (token.kind) {
      case 'number':
        return this.number()
      case 'string':
        return { kind: 'string', value: unquote(this.take().text), ...at }
      case 'regexp':
        return this.regexp()
      case 'chevron-open':
        return this.chevron()
      case 'word':
        return this.wordExpression(token, braces)
      default:
        return this.bracketed(token, braces)
    }
  }

  private number(): Expression {
    const token = this.take()
    const value = Number(token.text)
    if (!Number.isFinite(value)) this.fail(`${token.text} is too large for a number`, 'Write it as a string.', token)
    return { kind: 'number', value, ...this.place(token) }
  }

  protected regexp(): RegExpExpression {
    const token = this.take()
    const end = token.text.lastIndexOf('#')
    const source = token.text.slice(3, end).replace(/\\#/g, '#')
    const flags = [...new Set(token.text.slice(end + 1))].sort().join('')
    const made = linearPattern(source, flags)
    if ('problem' in made)
      this.note('krl.regexp', `the regular expression ${made.problem}`, 'Write it another way.', token)
    return { kind: 'regexp', source, flags, ...this.place(token) }
  }

  private chevron(): Expression {
    const at = this.place(this.take())
    const parts: (string | Expression)[] = []
    for (;;) {
      const token = this.take()
      if (token.kind === 'chevron-close') return { kind: 'chevron', parts, ...at }
      if (token.kind === 'chevron-text') parts.push(unchevron(token.text))
      else if (token.kind === 'beesting-open') {
        parts.push(this.expression())
        if (this.take().kind !== 'beesting-close')
          this.fail('`#{` in a chevron is not closed', 'Close it with `}`.', at)
      } else this.fail('a chevron is not closed', 'Close it with `>>`.', at)
    }
  }

  private wordExpression(token: Token, braces: boolean): Expression {
    const at = this.place(token)
    switch (token.text) {
      case 'null':
        this.take()
        return { kind: 'null', ...at }
      case 'true':
      case 'false':
        this.take()
        return { kind: 'boolean', value: token.text === 'true', ...at }
      case 'not':
        this.take()
        return { kind: 'unary', op: 'not', arg: this.expression(PREFIX, braces), ...at }
      case 'function':
        return this.functionExpression()
      case 'defaction':
        return this.defaction()
      default:
        return RESERVED.has(token.text) ? this.unexpected('an expression') : this.reference()
    }
  }

  private bracketed(token: Token, braces: boolean): Expression {
    const at = this.place(token)
    switch (token.kind === 'raw' ? token.text : '') {
      case '(': {
        this.take()
        const inner = this.expression()
        this.expect(')')
        return inner
      }
      case '[':
        this.take()
        return { kind: 'array', items: this.list(']', () => this.expression()), ...at }
      case '{':
        this.take()
        return { kind: 'map', entries: this.list('}', () => this.entry()), ...at }
      case '+':
      case '-':
        this.take()
        return { kind: 'unary', op: token.text as '+' | '-', arg: this.expression(PREFIX, braces), ...at }
      default:
        return this.unexpected('an expression')
    }
  }

  /** Items up to `close`, with commas between and perhaps one after the last. */
  private list<T>(close: string, item: () => T): T[] {
    const items: T[] = []
    while (!this.is(close)) {
      items.push(item())
      if (!this.accept(',')) break
    }
    this.expect(close)
    return items
  }

  private entry(): { key: string; value: Expression } {
    if (this.peek().kind !== 'string') this.unexpected('a map key', 'Map keys are strings in double quotes.')
    const key = unquote(this.take().text)
    this.expect(':')
    return { key, value: this.expression() }
  }

  protected arguments(): Argument[] {
    this.expect('(')
    let named = false
    return this.list(')', () => {
      const argument = this.argument()
      if (named && argument.name === undefined)
        this.fail('a positional argument follows a named one', 'Name it too, or put it first.', argument)
      named ||= argument.name !== undefined
      return argument
    })
  }

  private argument(): Argument {
    const at = this.place()
    if (!this.isName() || !this.is('=', 1)) return { value: this.expression(), ...at }
    const name = this.take().text
    this.take()
    return { name, value: this.expression(), ...at }
  }

  private functionExpression(): FunctionExpression {
    const at = this.place(this.take())
    const params = this.parameters()
    this.expect('{')
    const body = this.declarations()
    this.accept('return')
    if (this.is('}')) this.fail('a function needs a value at its end', 'End its body with an expression.')
    const value = this.expression()
    this.accept(';')
    this.expect('}')
    return { kind: 'function', params, body, value, ...at }
  }

  private defaction(): DefactionExpression {
    const at = this.place(this.take())
    const params = this.parameters()
    this.expect('{')
    const body = this.declarations()
    const actions = this.actionBlock()
    const value = this.accept('return') ? this.expression() : undefined
    if (this.is(',') || this.is('returns')) this.fail('a defaction returns one value', 'Return a map or an array.')
    this.accept(';')
    this.expect('}')
    return { kind: 'defaction', params, body, actions, ...(value === undefined ? {} : { value }), ...at }
  }

  private parameters(): Parameter[] {
    this.expect('(')
    return this.list(')', () => {
      const name = this.name()
      return this.accept('=') ? { ...name, fallback: this.expression() } : name
    })
  }

  protected atDeclaration(): boolean {
    return this.isName() && this.is('=', 1)
  }

  protected declarations(): Declaration[] {
    const declarations: Declaration[] = []
    while (this.atDeclaration()) declarations.push(this.declaration())
    return declarations
  }

  protected declaration(): Declaration {
    const name = this.name('a declaration')
    this.expect('=', 'A declaration is `name = value`.')
    const value = this.expression()
    this.accept(';')
    return { name, value, line: name.line, column: name.column }
  }

  /** `{ declarations }`, going on after a broken one. */
  protected declarationBlock(): Declaration[] {
    const declarations: Declaration[] = []
    this.expect('{')
    while (!this.is('}') && this.peek().kind !== 'end' && !this.atSection()) {
      const made = this.recovering(
        () => this.declaration(),
        () => this.atDeclaration(),
      )
      if (made !== undefined) declarations.push(made)
    }
    this.expect('}')
    return declarations
  }
}
