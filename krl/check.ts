// Names and legality: every mention is bound to a declaration or to the standard library, and what can be known to fail
// is refused here with its place. A declaration does not see itself unless it is a function; functions see their whole block.

import type {
  Action,
  ActionBlock,
  Argument,
  CallExpression,
  Declaration,
  DefactionExpression,
  DotExpression,
  EventExpression,
  EventName,
  EventPattern,
  Expression,
  FunctionExpression,
  MemberExpression,
  MetaProperty,
  Name,
  NameExpression,
  Rule,
  Ruleset,
  Statement,
  StatementBody,
} from './ast.ts'
import { literalText } from './parse.ts'
import type { Binding, Resolution, Shape, Testing } from './scope.ts'
import { OPERATOR, Scope, shapeOf } from './scope.ts'
import { actions, operatorParams, operators } from './stdlib.ts'
import type { Diagnostic, Place } from './types.ts'

/** What a member of a domain may be used as. `both`: a function and an action. */
export type MemberKind = 'property' | 'function' | 'action' | 'both'

/** The domains that every ruleset may mention without `use module`, and what is in them. */
export type Domains = Readonly<Record<string, Readonly<Record<string, MemberKind>>>>

export interface Checked {
  readonly resolution: Resolution
  readonly diagnostics: readonly Diagnostic[]
}

/** Checks a parsed ruleset, which may name the members of `domains`. */
export const check = (ruleset: Ruleset, domains: Domains): Checked => {
  const checker = new Checker(ruleset, domains)
  checker.run()
  return { resolution: checker, diagnostics: checker.diagnostics }
}

const MAX_ERRORS = 50
/** Every ruleset has it, unless it declares its own. */
const TESTING: Binding = { id: -1, name: '__testing', where: 'testing', shape: 'value' }
const unreachable = (node: never): never => {
  throw new Error(`a node that the checker does not know: ${JSON.stringify(node)}`)
}

class Checker implements Resolution {
  readonly diagnostics: Diagnostic[] = []
  readonly names = new Map<object, Binding | typeof OPERATOR>()
  readonly declared = new Map<object, Binding>()
  readonly variables = new Map<object, Binding[]>()
  readonly captures = new Map<object, readonly Binding[]>()
  readonly globals: Binding[] = []
  readonly testing: Testing = { queries: [], events: [] }
  private readonly ruleset: Ruleset
  private readonly builtin: Domains
  private readonly domains: Set<string>
  private readonly top = new Scope()
  private ids = 0
  /** Events of the rule at hand, for `__testing`. */
  private events: { attrs: string[] }[] = []

  constructor(ruleset: Ruleset, domains: Domains) {
    this.ruleset = ruleset
    this.builtin = domains
    this.domains = new Set(Object.keys(domains))
  }

  run(): void {
    this.top.add(TESTING)
    for (const property of this.ruleset.meta) if (property.kind === 'use') this.alias(property)
    for (const property of this.ruleset.meta) if (property.kind === 'configure') this.configure(property.declarations)
    this.globalBlock()
    for (const property of this.ruleset.meta) this.meta(property)
    const rules = new Set<string>()
    for (const rule of this.ruleset.rules) this.ruleHead(rule, rules)
  }

  // ---- meta ---------------------------------------------------------------------------------------------------

  private readonly once = new Set<string>()

  private alias({ use, ...at }: MetaProperty & { kind: 'use' }): void {
    const alias = use.alias?.text ?? use.rid
    if (alias === 'ent' || this.domains.has(alias))
      this.error('krl.duplicate', `the name \`${alias}:\` is taken`, 'Choose another alias.', use.alias ?? at)
    this.domains.add(alias)
  }

  private configure(declarations: readonly Declaration[]): void {
    for (const { name, value } of declarations) {
      this.expression(value, this.top)
      if (this.top.own(name.text)?.where === 'config') this.duplicate(name)
      this.globals.push(this.declare(name, this.top, 'config', 'unknown'))
    }
  }

  private meta(property: MetaProperty): void {
    switch (property.kind) {
      case 'text':
        this.single(property.key, property)
        if (literalText(property.value) === undefined)
          this.error('krl.unsupported', `\`${property.key}\` is not a literal text`, 'Write it as a string.', property)
        return
      case 'logging':
        this.single('logging', property)
        return
      case 'use':
        for (const { value } of property.use.with) this.expression(value, this.top)
        return
      case 'configure':
        return
      case 'shares':
        for (const name of property.names) this.share(name)
        return
      case 'provides':
        for (const name of property.names) this.exported(name)
        return
      case 'unsupported':
        this.error('krl.unsupported', `${property.what} is not supported`, property.hint, property)
        return
      default:
        unreachable(property)
    }
  }

  private single(key: string, at: Place): void {
    if (this.once.has(key)) this.error('krl.duplicate', `a second \`${key}\``, 'Keep one.', at)
    this.once.add(key)
  }

  private exported(name: Name): Binding | undefined {
    const binding = this.top.own(name.text)
    if (binding === undefined)
      this.error('krl.undefined', `\`${name.text}\` is not declared in \`global\``, 'Declare it there.', name)
    return binding
  }

  private share(name: Name): void {
    const binding = this.exported(name)
    if (binding?.shape === 'action')
      this.error('krl.not_a_function', `\`${name.text}\` is an action and cannot be shared`, 'Share a function.', name)
    if (binding === undefined || binding.name === TESTING.name) return
    if (this.testing.queries.some(query => query.name === name.text)) return
    this.testing.queries.push({ name: name.text, args: binding.code?.params.map(param => param.text) ?? [] })
  }

  // ---- declarations -------------------------------------------------------------------------------------------

  private globalBlock(): void {
    const declarations = this.ruleset.globals
    for (const { name, value } of declarations) {
      const before = this.top.own(name.text)
      if (before !== undefined && before.where !== 'testing') this.duplicate(name)
      this.globals.push(this.declareValue(name, value, this.top, 'global'))
    }
    for (const { name, value } of declarations) {
      const binding = this.declared.get(name) as Binding
      if (binding.code === undefined) this.hiding(binding, () => this.expression(value, this.top))
      else this.expression(value, this.top)
    }
  }

  /** A value's own name means, inside it, what it meant before. */
  private hiding(binding: Binding, act: () => void): void {
    this.top.remove(binding.name)
    if (binding.name === TESTING.name) this.top.add(TESTING)
    act()
    this.top.add(binding)
  }

  /** Declarations of a body: values see what stands before them, functions see all. */
  private block(declarations: readonly Declaration[], scope: Scope): void {
    const seen = new Set<string>()
    for (const { name, value } of declarations) {
      if (seen.has(name.text)) this.duplicate(name)
      seen.add(name.text)
      if (value.kind === 'function' || value.kind === 'defaction') this.declareValue(name, value, scope, 'local')
    }
    for (const { name, value } of declarations) {
      if (value.kind === 'function' || value.kind === 'defaction') continue
      this.expression(value, scope)
      this.declareValue(name, value, scope, 'local')
    }
    for (const { value } of declarations)
      if (value.kind === 'function' || value.kind === 'defaction') this.expression(value, scope)
  }

  private declareValue(name: Name, value: Expression, scope: Scope, where: Binding['where']): Binding {
    const code = value.kind === 'function' || value.kind === 'defaction' ? value : undefined
    return this.declare(name, scope, where, shapeOf(value), code)
  }

  private declare(
    name: Name,
    scope: Scope,
    where: Binding['where'] = 'local',
    shape: Shape = 'unknown',
    code?: FunctionExpression | DefactionExpression,
  ): Binding {
    const binding = { id: this.ids++, name: name.text, where, shape, ...(code === undefined ? {} : { code }) }
    this.declared.set(name, binding)
    return scope.add(binding)
  }

  /** A variable of `block` that is set inside it and until then is what it hides. */
  private variable(name: Name, scope: Scope, block: object): Binding {
    const known = scope.own(name.text)
    if (known !== undefined) {
      this.declared.set(name, known)
      return known
    }
    const initial = scope.find(name.text)
    const binding = { id: this.ids++, name: name.text, where: 'local', shape: 'unknown' } as const
    const variable = initial === undefined ? binding : { ...binding, initial }
    this.variables.get(block)?.push(variable)
    this.declared.set(name, variable)
    return scope.add(variable)
  }

  // ---- rules --------------------------------------------------------------------------------------------------

  private ruleHead(rule: Rule, names: Set<string>): void {
    if (!rule.active) {
      this.warn('krl.inactive', `rule ${rule.name.text} is inactive and never runs`, 'Remove it or activate it.', rule)
      return
    }
    if (names.has(rule.name.text)) this.duplicate(rule.name)
    names.add(rule.name.text)
    this.rule(rule)
  }

  private rule(rule: Rule): void {
    this.events = []
    let scope = new Scope(this.top)
    this.select(rule, scope)
    for (const { collection, setting } of rule.foreach) {
      this.expression(collection, scope)
      scope = new Scope(scope)
      for (const [i, name] of setting.entries()) {
        if (setting.slice(0, i).some(other => other.text === name.text)) this.duplicate(name)
        this.declare(name, scope)
      }
    }
    scope = new Scope(scope)
    this.block(rule.pre, scope)
    if (rule.actions !== undefined) scope = this.actionBlock(rule.actions, scope)
    for (const statements of [rule.postlude?.fired, rule.postlude?.notfired, rule.postlude?.always])
      if (statements !== undefined) this.statements(statements, scope)
  }

  private select(rule: Rule, scope: Scope): void {
    const { select } = rule
    if (select === undefined) return
    if (select.kind === 'where') {
      this.captures.set(rule, [])
      this.expression(select.where.expression, scope)
      return
    }
    const patterns = eventPatterns(select.event)
    const captured: Binding[] = []
    for (const name of capturedNames(select.event)) {
      const known = scope.own(name.text)
      if (known === undefined) captured.push(this.declare(name, scope))
    }
    this.captures.set(rule, captured)
    for (const pattern of patterns) this.pattern(pattern, scope)
    if (select.within !== undefined) this.expression(select.within.expression, this.top)
  }

  private pattern({ domain, type, attrs, where }: EventPattern, scope: Scope): void {
    const names = [...new Set(attrs.map(attr => attr.name))]
    const known = this.testing.events.find(event => event.domain === domain && event.name === type)
    const event = known ?? { domain, name: type, attrs: [] }
    if (known === undefined) this.testing.events.push(event)
    this.events.push(event)
    for (const name of names) if (!event.attrs.includes(name)) event.attrs.push(name)
    if (where !== undefined) this.expression(where.expression, scope)
  }

  private attribute(key: Expression | undefined): void {
    if (key?.kind !== 'string') return
    for (const { attrs } of this.events) if (!attrs.includes(key.value)) attrs.push(key.value)
  }

  /** Gives the scope that later parts see: with the names that the actions set. */
  private actionBlock(block: ActionBlock, outer: Scope): Scope {
    this.variables.set(block, [])
    if (block.condition !== undefined) this.expression(block.condition, outer)
    if (block.choice !== undefined) this.expression(block.choice, outer)
    const scope = new Scope(outer)
    const labels = new Set<string>()
    for (const action of block.actions) {
      if (block.mode === 'choose' && action.label !== undefined && labels.has(action.label.text))
        this.duplicate(action.label)
      if (action.label !== undefined) labels.add(action.label.text)
      this.action(action, scope)
      if (action.setting !== undefined) this.variable(action.setting, scope, block)
    }
    return scope
  }

  private action({ target, args }: Action, scope: Scope): void {
    if (target.kind === 'member') this.domain(target, 'action')
    else this.actionName(target, args, scope)
    this.args(args, scope)
  }

  private actionName(target: NameExpression, args: readonly Argument[], scope: Scope): void {
    const found = this.name(target, scope)
    const shape = found === OPERATOR ? (Object.hasOwn(actions, target.name) ? 'action' : 'function') : found?.shape
    if (shape === 'function' || shape === 'value')
      this.error(
        'krl.not_an_action',
        `\`${target.name}\` is not an action`,
        'Call it in an expression, in `pre` for one.',
        target,
      )
    if (found !== undefined && found !== OPERATOR) this.parameters(found, target.name, args)
  }

  // ---- postludes ----------------------------------------------------------------------------------------------

  private statements(statements: readonly Statement[], outer: Scope): void {
    this.variables.set(statements, [])
    const scope = new Scope(outer)
    const fixed = new Set<string>()
    for (const { body, guard } of statements) {
      if (guard !== undefined && guard !== 'on final') this.expression(guard, scope)
      const set = this.statement(body, scope)
      if (set === undefined) continue
      if (guard === undefined && fixed.has(set.text)) this.duplicate(set)
      if (guard === undefined) fixed.add(set.text)
      this.variable(set, scope, statements)
    }
  }

  /** Gives the name that the statement sets. */
  private statement(body: StatementBody, scope: Scope): Name | undefined {
    switch (body.kind) {
      case 'assign':
        if (body.path !== undefined) this.expression(body.path, scope)
        this.expression(body.value, scope)
        return undefined
      case 'clear':
        if (body.path !== undefined) this.expression(body.path, scope)
        return undefined
      case 'raise':
        this.eventName(body.event, scope)
        for (const part of [body.rid, body.attrs]) if (part !== undefined) this.expression(part, scope)
        return undefined
      case 'schedule':
        this.eventName(body.event, scope)
        this.expression(body.time, scope)
        if (body.attrs !== undefined) this.expression(body.attrs, scope)
        return body.setting
      case 'log':
      case 'error':
        this.expression(body.value, scope)
        return undefined
      case 'last':
        return undefined
      case 'declare':
        this.expression(body.declaration.value, scope)
        return body.declaration.name
      default:
        return unreachable(body)
    }
  }

  private eventName(event: EventName, scope: Scope): void {
    this.expression('dynamic' in event ? event.dynamic : event.type, scope)
  }

  // ---- expressions --------------------------------------------------------------------------------------------

  private expression(node: Expression, scope: Scope): void {
    switch (node.kind) {
      case 'null':
      case 'boolean':
      case 'number':
      case 'string':
      case 'regexp':
        return
      case 'chevron':
        for (const part of node.parts) if (typeof part !== 'string') this.expression(part, scope)
        return
      case 'array':
        for (const item of node.items) this.expression(item, scope)
        return
      case 'map':
        for (const { value } of node.entries) this.expression(value, scope)
        return
      case 'name':
        this.name(node, scope)
        return
      case 'member':
        this.domain(node, 'value')
        return
      case 'unary':
        this.expression(node.arg, scope)
        return
      case 'infix':
        this.expression(node.left, scope)
        this.expression(node.right, scope)
        return
      case 'conditional':
        this.expression(node.test, scope)
        this.expression(node.yes, scope)
        this.expression(node.no, scope)
        return
      case 'path':
        this.expression(node.object, scope)
        if (isEventAttrs(node.object)) this.attribute(node.path)
        this.expression(node.path, scope)
        return
      case 'index':
        this.expression(node.object, scope)
        this.expression(node.index, scope)
        return
      case 'dot':
        this.property(node, scope)
        return
      case 'call':
        this.call(node, scope)
        return
      case 'function':
      case 'defaction':
        this.code(node, scope)
        return
      default:
        unreachable(node)
    }
  }

  private property({ object, property, ...at }: DotExpression, scope: Scope): void {
    this.expression(object, scope)
    this.warn('krl.deprecated', '`.name` without a call reads a key', 'Write `{"name"}`.', at)
    if (property.kind === 'member') this.domain(property, 'value')
  }

  private call(node: CallExpression, scope: Scope): void {
    const { callee, args } = node
    if (callee.kind === 'dot') {
      this.expression(callee.object, scope)
      if (isEventAttrs(callee.object)) this.attribute(args[0]?.value)
      this.callee(callee.property, args, scope, 1)
    } else this.callee(callee, args, scope, 0)
    this.args(args, scope)
  }

  private callee(callee: Expression, args: readonly Argument[], scope: Scope, before: number): void {
    if (callee.kind === 'member') {
      this.domain(callee, 'function')
      if (callee.domain === 'event' && callee.name === 'attr') this.attribute(args[0]?.value)
    } else if (callee.kind === 'name') this.functionName(callee, args, scope, before)
    else if (shapeOf(callee) === 'value' || callee.kind === 'defaction')
      this.notFunction('this', 'Remove the parentheses.', callee)
    else this.expression(callee, scope)
  }

  private functionName(callee: NameExpression, args: readonly Argument[], scope: Scope, before: number): void {
    const found = this.name(callee, scope)
    if (found === undefined) return
    if (found !== OPERATOR) {
      if (found.shape === 'action')
        this.notFunction(
          `\`${callee.name}\``,
          'It is an action: call it as the action of a rule or a defaction.',
          callee,
        )
      if (found.shape === 'value') this.notFunction(`\`${callee.name}\``, 'Remove the parentheses.', callee)
      this.parameters(found, callee.name, args, before)
      return
    }
    if (!Object.hasOwn(operators, callee.name))
      this.notFunction(`\`${callee.name}\``, 'It is an action: call it as the action of a rule or a defaction.', callee)
    const params = operatorParams[callee.name] ?? []
    const wrong = args.find(arg => arg.name !== undefined && !params.includes(arg.name))
    if (wrong !== undefined)
      this.error('krl.argument', `\`${callee.name}\` has no parameter \`${wrong.name}\``, 'Give it by position.', wrong)
  }

  private notFunction(what: string, hint: string, at: Place): void {
    this.error('krl.not_a_function', `${what} is not a function`, hint, at)
  }

  /** Named arguments of a function known by its declaration. */
  private parameters(found: Binding, name: string, args: readonly Argument[], before = 0): void {
    const { code } = found
    if (code === undefined) return
    for (const arg of args)
      if (arg.name !== undefined && !code.params.some(param => param.text === arg.name))
        this.warn('krl.argument', `\`${name}\` has no parameter \`${arg.name}\``, 'The argument is ignored.', arg)
    if (args.length + before > code.params.length)
      this.warn(
        'krl.argument',
        `\`${name}\` takes ${code.params.length} arguments`,
        'The others are ignored.',
        args[0] as Argument,
      )
  }

  private args(args: readonly Argument[], scope: Scope): void {
    for (const { value } of args) this.expression(value, scope)
  }

  private code(node: FunctionExpression | DefactionExpression, outer: Scope): void {
    const params = new Scope(outer)
    let optional = false
    for (const param of node.params) {
      if (params.own(param.text) !== undefined) this.duplicate(param)
      if (param.fallback !== undefined) this.expression(param.fallback, params)
      else if (optional)
        this.error('krl.argument', `\`${param.text}\` follows a parameter with a default`, 'Give it one too.', param)
      optional ||= param.fallback !== undefined
      this.declare(param, params)
    }
    let scope = new Scope(params)
    this.block(node.body, scope)
    if (node.kind === 'defaction') scope = this.actionBlock(node.actions, scope)
    if (node.value !== undefined) this.expression(node.value, scope)
  }

  private name(node: NameExpression, scope: Scope): Binding | typeof OPERATOR | undefined {
    const found = scope.find(node.name) ?? (isOperator(node.name) ? OPERATOR : undefined)
    if (found === undefined) {
      const hint = this.domains.has(node.name)
        ? `To use the module write \`${node.name}:member\`.`
        : 'Declare it before, or correct the spelling.'
      this.error('krl.undefined', `\`${node.name}\` is not defined`, hint, node)
    } else this.names.set(node, found)
    return found
  }

  private domain(node: MemberExpression, use: 'value' | 'function' | 'action'): void {
    const { domain, name } = node
    if (domain === 'ent') {
      if (use === 'function') this.notFunction(`\`ent:${name}\``, 'Entity variables hold data.', node)
      if (use === 'action')
        this.error('krl.not_an_action', `\`ent:${name}\` is not an action`, 'Entity variables hold data.', node)
      return
    }
    if (domain === 'app')
      this.error('krl.unsupported', 'application variables are not supported', 'Use an entity variable, `ent:`.', node)
    else if (!this.domains.has(domain)) {
      const hint = `Add \`use module RID alias ${domain}\` to \`meta\`.`
      this.error('krl.module', `there is no module \`${domain}\``, hint, node)
    } else if (Object.hasOwn(this.builtin, domain)) this.member(node, use)
    if (isEventAttrs(node) && use === 'function')
      this.notFunction('`event:attrs`', 'It is a map: write `event:attrs{"name"}`.', node)
    if (domain === 'event' && name === 'attr')
      this.warn('krl.deprecated', '`event:attr(name)` is the old form', 'Write `event:attrs{name}`.', node)
  }

  /** A member of a built-in domain: is there one, and may it stand here? */
  private member(node: MemberExpression, use: 'value' | 'function' | 'action'): void {
    const { domain, name } = node
    const members = this.builtin[domain] as Domains[string]
    const kind = Object.hasOwn(members, name) ? members[name] : undefined
    const spelled = `\`${domain}:${name}\``
    if (kind === undefined)
      this.error(
        'krl.unsupported',
        `there is no ${spelled}`,
        `\`${domain}\` has ${Object.keys(members).join(', ')}.`,
        node,
      )
    else if (use === 'function' && kind === 'action')
      this.notFunction(spelled, 'It is an action: let a rule do it.', node)
    else if (use === 'action' && kind !== 'action' && kind !== 'both')
      this.error('krl.not_an_action', `${spelled} is not an action`, 'Use its value in an expression.', node)
  }

  // ---- diagnostics --------------------------------------------------------------------------------------------

  private duplicate(name: Name): void {
    this.error('krl.duplicate', `\`${name.text}\` is declared twice`, 'Choose another name.', name)
  }

  private error(code: string, message: string, hint: string, { line, column }: Place): void {
    if (this.diagnostics.filter(known => known.severity === 'error').length >= MAX_ERRORS) return
    this.diagnostics.push({ severity: 'error', code, message, hint, line, column })
  }

  private warn(code: string, message: string, hint: string, { line, column }: Place): void {
    this.diagnostics.push({ severity: 'warning', code, message, hint, line, column })
  }
}

/** A word (not a symbol) of the standard library. */
const isOperator = (name: string): boolean => Object.hasOwn(actions, name) || Object.hasOwn(operators, name)

const isEventAttrs = (node: Expression): boolean =>
  node.kind === 'member' && node.domain === 'event' && node.name === 'attrs'

/** All patterns of an event expression, from left to right. */
export const eventPatterns = (event: EventExpression): EventPattern[] => {
  if (event.kind === 'event') return [event]
  return 'arg' in event ? [event.arg] : event.args.flatMap(eventPatterns)
}

const capturedNames = (event: EventExpression): Name[] => {
  if (event.kind === 'event') return [...event.setting]
  if ('arg' in event) return [...event.arg.setting, ...(event.aggregate?.setting ?? [])]
  return event.args.flatMap(capturedNames)
}
