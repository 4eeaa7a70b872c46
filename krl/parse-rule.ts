// Rules: select, foreach, pre, one action or a block of them, and the postlude with its statements and guards.

import type {
  Action,
  ActionBlock,
  EventName,
  Expression,
  Foreach,
  Level,
  Postlude,
  Rule,
  Statement,
  StatementBody,
} from './ast.ts'
import { EventParser } from './parse-event.ts'
import type { Place } from './types.ts'

const POSTLUDE: ReadonlySet<string> = new Set(['fired', 'notfired', 'else', 'finally', 'always'])
const LEVELS: ReadonlySet<string> = new Set(['error', 'warn', 'info', 'debug'])
/** The choice of `choose` stops before the block's brace. */
const CHOICE = 70

export class RuleParser extends EventParser {
  /** After the word `rule`. */
  protected rule(): Rule {
    const name = this.name('a name for the rule')
    const active = this.ruleState()
    this.expect('{')
    const select = this.accept('select') ? this.select() : undefined
    if (select === undefined && active)
      this.fail(`rule ${name.text} has no \`select\``, 'Begin it with `select when domain type`.', name, 'krl.select')
    this.accept(';')
    const foreach = this.foreachs()
    const pre = this.accept('pre') ? this.declarationBlock() : []
    this.accept(';')
    const actions = this.peek().kind === 'word' && !POSTLUDE.has(this.peek().text) ? this.actionBlock() : undefined
    const postlude = this.postlude()
    this.expect('}', this.ruleEndHint(postlude))
    const body = { name, active, foreach, pre, line: name.line, column: name.column }
    return {
      ...body,
      ...(select === undefined ? {} : { select }),
      ...(actions === undefined ? {} : { actions }),
      ...(postlude === undefined ? {} : { postlude }),
    }
  }

  private ruleEndHint(postlude: Postlude | undefined): string {
    if (postlude === undefined) return 'Several actions go into `every { … }`; what follows goes into `fired { … }`.'
    return 'The postlude is the last part of a rule.'
  }

  private ruleState(): boolean {
    if (!this.accept('is')) return true
    if (this.accept('inactive')) return false
    this.expect('active', 'A rule is `active` or `inactive`.')
    return true
  }

  private foreachs(): Foreach[] {
    const foreachs: Foreach[] = []
    for (let at = this.place(); this.accept('foreach'); at = this.place()) {
      const collection = this.expression()
      this.expect('setting', 'A loop is `foreach values setting(value, key)`.')
      const setting = this.settingNames()
      if (setting.length > 2)
        this.fail('foreach sets a value and a key', 'Remove the other names.', setting[2] as Place, 'krl.setting')
      foreachs.push({ collection, setting, ...at })
      this.accept(';')
    }
    return foreachs
  }

  // ---- actions ------------------------------------------------------------------------------------------------

  protected actionBlock(): ActionBlock {
    const at = this.place()
    const condition = this.accept('if') ? this.condition() : undefined
    const block = this.actions()
    if (condition !== undefined && block.actions.length === 0 && block.mode === 'every')
      this.unexpected('an action after `if … then`', 'Several actions go into `every { … }`.')
    return { ...block, ...(condition === undefined ? {} : { condition }), ...at }
  }

  private condition(): Expression {
    const condition = this.expression()
    this.expect('then')
    return condition
  }

  private actions(): Pick<ActionBlock, 'mode' | 'choice' | 'actions'> {
    if (this.is('{', 1) && (this.is('every') || this.is('sample'))) {
      const mode = this.take().text as 'every' | 'sample'
      return { mode, actions: this.actionList() }
    }
    if (this.is('choose')) return this.choose()
    return { mode: 'every', actions: this.isName() && !POSTLUDE.has(this.peek().text) ? [this.action()] : [] }
  }

  private choose(): Pick<ActionBlock, 'mode' | 'choice' | 'actions'> {
    this.take()
    const choice = this.expression(CHOICE, false)
    const actions = this.actionList()
    for (const { label, ...at } of actions)
      if (label === undefined)
        this.fail('an action in `choose` has no label', 'Write `label => action()`.', at, 'krl.label')
    return { mode: 'choose', choice, actions }
  }

  private actionList(): Action[] {
    const actions: Action[] = []
    this.expect('{')
    while (!this.is('}')) actions.push(this.action())
    this.expect('}')
    this.accept(';')
    return actions
  }

  private action(): Action {
    const at = this.place()
    const label = this.isName() && this.is('=>', 1) ? this.name() : undefined
    if (label !== undefined) this.take()
    const target = this.reference()
    if (!this.is('(')) this.unexpected('`(`', 'An action is called with parentheses: `name(…)`.')
    const args = this.arguments()
    const setting = this.actionSetting()
    this.accept(';')
    return {
      ...at,
      target,
      args,
      ...(label === undefined ? {} : { label }),
      ...(setting === undefined ? {} : { setting }),
    }
  }

  private actionSetting() {
    if (!this.accept('setting')) return undefined
    const names = this.settingNames()
    if (names.length > 1)
      this.fail('an action sets one name', 'Take the parts from its value.', names[1] as Place, 'krl.setting')
    return names[0]
  }

  // ---- postlude -----------------------------------------------------------------------------------------------

  private postlude(): Postlude | undefined {
    if (this.accept('always')) return { always: this.statements() }
    const first = this.is('fired') || this.is('notfired') ? (this.take().text as 'fired' | 'notfired') : undefined
    if (first === undefined) return undefined
    const statements = this.statements()
    const other = this.accept('else') ? this.statements() : undefined
    const always = this.accept('finally') ? this.statements() : undefined
    const [fired, notfired] = first === 'fired' ? [statements, other] : [other, statements]
    return {
      ...(fired === undefined ? {} : { fired }),
      ...(notfired === undefined ? {} : { notfired }),
      ...(always === undefined ? {} : { always }),
    }
  }

  private statements(): Statement[] {
    const statements: Statement[] = []
    this.expect('{')
    while (!this.is('}')) {
      statements.push(this.statement())
      this.accept(';')
    }
    this.expect('}')
    return statements
  }

  private statement(): Statement {
    const at = this.place()
    const body = this.statementBody()
    if (this.is('on') && this.is('final', 1)) {
      this.take()
      this.take()
      return { body, guard: 'on final', ...at }
    }
    return this.accept('if') ? { body, guard: this.expression(), ...at } : { body, ...at }
  }

  private statementBody(): StatementBody {
    if (this.atDeclaration()) return { kind: 'declare', declaration: this.declaration() }
    if (this.isName() && this.is(':', 1)) return this.assignment()
    switch (this.peek().text) {
      case 'clear':
        this.take()
        return { kind: 'clear', ...this.variable() }
      case 'raise':
        this.take()
        return this.raise()
      case 'schedule':
        this.take()
        return this.schedule()
      case 'log':
      case 'error': {
        const kind = this.take().text as 'log' | 'error'
        return { kind, level: this.level(), value: this.expression() }
      }
      case 'last':
        this.take()
        return { kind: 'last' }
      case 'set':
        return this.fail('`set` is not supported', 'Write `ent:name := value`.', this.peek(), 'krl.unsupported')
      default:
        return this.unexpected(
          'a statement',
          'Actions go before the postlude; here go `ent:name := value`, `raise` and the like.',
        )
    }
  }

  private assignment(): StatementBody {
    const target = this.variable()
    this.expect(':=', 'An entity variable is set with `:=`.')
    return { kind: 'assign', ...target, value: this.expression() }
  }

  private variable(): { variable: string; path?: Expression } {
    const at = this.place()
    const domain = this.name().text
    this.expect(':')
    const variable = this.name().text
    if (domain === 'app')
      this.fail('application variables are not supported', 'Use an entity variable, `ent:`.', at, 'krl.unsupported')
    if (domain !== 'ent') this.fail(`\`${domain}:${variable}\` cannot be set`, 'Only `ent:` variables can.', at)
    if (!this.accept('{')) return { variable }
    const path = this.expression()
    this.expect('}')
    return { variable, path }
  }

  private eventName(): EventName {
    if (this.accept('event')) return { dynamic: this.expression() }
    const domain = this.name('`event` or a domain').text
    this.expect('event')
    return { domain, type: this.expression() }
  }

  private raise(): StatementBody {
    const event = this.eventName()
    let rid: Expression | undefined
    let attrs: Expression | undefined
    for (;;) {
      if (rid === undefined && this.accept('for')) rid = this.expression()
      else if (attrs === undefined && this.accept('attributes')) attrs = this.expression()
      else break
    }
    if (this.is('with'))
      this.fail(
        '`raise … with` is not supported',
        'Write `attributes {"name": value}`.',
        this.peek(),
        'krl.unsupported',
      )
    return { kind: 'raise', event, ...(rid === undefined ? {} : { rid }), ...(attrs === undefined ? {} : { attrs }) }
  }

  private schedule(): StatementBody {
    const event = this.eventName()
    if (!this.is('at') && !this.is('repeat')) this.unexpected('`at` or `repeat`')
    const when = this.take().text as 'at' | 'repeat'
    const time = this.expression()
    const attrs = this.accept('attributes') ? this.expression() : undefined
    const setting = this.actionSetting()
    const job = { kind: 'schedule', event, when, time } as const
    return { ...job, ...(attrs === undefined ? {} : { attrs }), ...(setting === undefined ? {} : { setting }) }
  }

  private level(): Level {
    if (!LEVELS.has(this.peek().text)) this.unexpected('a level', `Levels are ${[...LEVELS].join(', ')}.`)
    return this.take().text as Level
  }
}
