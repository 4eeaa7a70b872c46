// Tree to JavaScript, one function per node type. What is emitted is synchronous, pays for every step, and is made only
// of generated `$` names and literals: no user text outside string literals, no property named by the user.

import type {
  Action,
  ActionBlock,
  Argument,
  CallExpression,
  Declaration,
  DefactionExpression,
  DotExpression,
  EventName,
  Expression,
  Foreach,
  FunctionExpression,
  MemberExpression,
  Name,
  NameExpression,
  Parameter,
  Postlude,
  Rule,
  Ruleset,
  Select,
  Statement,
  StatementBody,
} from './ast.ts'
import { EMITTED } from './load.ts'
import { literalText } from './parse.ts'
import type { Binding, Resolution } from './scope.ts'
import { OPERATOR } from './scope.ts'
import { compileRule } from './select.ts'
import { operatorParams } from './stdlib.ts'
import type { Place, RulesetMeta } from './types.ts'

/** JavaScript for a checked ruleset, and what is known of it without running it. */
export const emit = (ruleset: Ruleset, resolution: Resolution): { js: string; meta: RulesetMeta } => {
  const meta = rulesetMeta(ruleset)
  return { js: new Emitter(ruleset, resolution).ruleset(meta), meta }
}

const text = (value: string): string => JSON.stringify(value)
const STEP = 'if (--$b.steps < 0) $r.out()'
const DEPTH = 'if (--$b.depth < 0) $r.deep()'
const unreachable = (node: never): never => {
  throw new Error(`a node that cannot be emitted: ${JSON.stringify(node)}`)
}

type Code = FunctionExpression | DefactionExpression

class Emitter {
  private readonly ruleset_: Ruleset
  private readonly known: Resolution
  /** Definitions that are the same for every step: regular expressions, operators. */
  private readonly constants = new Map<string, string>()
  private readonly places: Place[] = []
  private readonly guards: string[] = []
  private readonly withins: string[] = []

  constructor(ruleset: Ruleset, resolution: Resolution) {
    this.ruleset_ = ruleset
    this.known = resolution
  }

  ruleset(meta: RulesetMeta): string {
    const active = this.ruleset_.rules.filter(rule => rule.active)
    const globals = this.globals()
    const rules = this.ruleset_.rules.map(rule => this.select(rule))
    const bodies = active.map((rule, i) => this.rule(rule, `$R${i}`))
    const withs = this.ruleset_.meta.flatMap(property => (property.kind === 'use' ? [this.withs(property.use)] : []))
    const table = active.flatMap((rule, i) => [text(rule.name.text), `$R${i}`])
    const parts = [
      `rules: [${table}]`,
      `guards: [${this.guards.join(',\n')}]`,
      `withins: [${this.withins}]`,
      `withs: [${withs.flat()}]`,
      `members: [${this.members()}]`,
      'place: () => $L[$w]',
    ]
    const made = [...globals, ...bodies, `return { ${parts.join(',\n')} }`].join(';\n')
    return [
      '"use strict"',
      `const $L = $r.data(${text(JSON.stringify(this.places))}), $t = $r.data(${text(JSON.stringify(this.known.testing))}), $n = $r.none`,
      ...[...this.constants].map(([value, name]) => `const ${name} = ${value}`),
      `return $r.ruleset(${EMITTED}, ${text(JSON.stringify({ meta, rules }))}, ($h, $c) => {`,
      'const $b = $h.budget\nlet $w = -1, $a',
      made,
      '})',
    ].join('\n')
  }

  private constant(kind: string, value: string): string {
    const known = this.constants.get(value)
    if (known !== undefined) return known
    const name = `$${kind}${this.constants.size}`
    this.constants.set(value, name)
    return name
  }

  /** Notes that the run stands here; an expression that gives the index. */
  private here({ line, column }: Place): string {
    const last = this.places.at(-1)
    if (last?.line !== line || last.column !== column) this.places.push({ line, column })
    return `$w = ${this.places.length - 1}`
  }

  private place(at: Place): string {
    return `$L[${this.here(at)}]`
  }

  // ---- names and globals --------------------------------------------------------------------------------------

  private binding(name: Name): Binding {
    return this.known.declared.get(name) as Binding
  }

  private read(binding: Binding): string {
    if (binding.where === 'testing') return '$t'
    if (binding.code !== undefined) return `$q${binding.id}()`
    return binding.where === 'local' ? `$v${binding.id}` : `$g${binding.id}()`
  }

  private members(): string[] {
    const members = [text('__testing'), '() => $t']
    for (const binding of this.known.globals) members.push(text(binding.name), `() => ${this.read(binding)}`)
    return members
  }

  private globals(): string[] {
    const lines: string[] = []
    for (const property of this.ruleset_.meta)
      if (property.kind === 'configure')
        for (const { name, value } of property.declarations) lines.push(this.configured(name, value))
    for (const { name, value } of this.ruleset_.globals) {
      const binding = this.binding(name)
      if (binding.code !== undefined) lines.push(this.named(binding, binding.code))
      else lines.push(this.lazy(binding, this.expression(value), name))
    }
    return lines
  }

  private configured(name: Name, value: Expression): string {
    const given = `$r.own($c, ${text(name.text)})`
    return this.lazy(this.binding(name), `${given} ?? ${this.expression(value)}`, name)
  }

  /** A value that is made when first asked for; to ask while it is made is a cycle. */
  private lazy({ id, name }: Binding, value: string, at: Place): string {
    const cycle = `if ($s${id} === 1) $r.cycle(${text(name)}, ${this.place(at)})`
    const make = `${cycle}; $s${id} = 1; $v${id} = ${value}; $s${id} = 2`
    return `let $s${id} = 0, $v${id} = null\nconst $g${id} = () => { if ($s${id} !== 2) { ${make} } return $v${id} }`
  }

  private withs({ rid, alias, with: pairs }: { rid: string; alias?: Name; with: readonly Declaration[] }): string[] {
    const entries = pairs.flatMap(({ name, value }) => [text(name.text), this.expression(value)])
    return [text(alias?.text ?? rid), `() => $r.map($b, [${entries}])`]
  }

  // ---- functions ----------------------------------------------------------------------------------------------

  /** `$f` is called directly; `$q` gives the function as a value. */
  private named({ id, name }: Binding, code: Code): string {
    const value = `$r.fn(${this.brand(code, name)}, $f${id})`
    return `const $f${id} = ${this.code(code)}\nlet $z${id}\nconst $q${id} = () => $z${id} ??= ${value}`
  }

  private brand({ kind, params }: Code, name: string): string {
    const names = JSON.stringify(params.map(param => param.text))
    return `${text(kind === 'function' ? 'function' : 'action')}, ${text(name)}, ${names}`
  }

  private code(node: Code): string {
    const params = node.params.map(param => `$v${this.binding(param).id}`)
    const lines = [
      this.here(node),
      STEP,
      DEPTH,
      ...node.params.map(param => this.fallback(param)),
      ...this.block(node.body),
    ]
    if (node.kind === 'defaction') lines.push(...this.actionBlock(node.actions))
    const value = node.value === undefined ? 'null' : this.expression(node.value)
    lines.push(`const $x = ${value}`, '$b.depth++', 'return $x')
    return `(${params}) => {\n${lines.join(';\n')}\n}`
  }

  private fallback(param: Parameter): string {
    const name = `$v${this.binding(param).id}`
    return `if (${name} === void 0) ${name} = ${param.fallback === undefined ? 'null' : this.expression(param.fallback)}`
  }

  /** Functions first, as they see the whole block; then values in order. */
  private block(declarations: readonly Declaration[]): string[] {
    const values: string[] = []
    const functions: string[] = []
    const names: string[] = []
    for (const { name, value } of declarations) {
      const binding = this.binding(name)
      if (binding.code !== undefined) functions.push(this.named(binding, binding.code))
      else {
        names.push(`$v${binding.id} = null`)
        values.push(`$v${binding.id} = ${this.expression(value)}`)
      }
    }
    return [...(names.length > 0 ? [`let ${names}`] : []), ...functions, ...values]
  }

  // ---- rules --------------------------------------------------------------------------------------------------

  private select(rule: Rule) {
    const bound = this.bound(rule)
    const guard = ({ expression }: { expression: Expression }) =>
      this.guards.push(
        `$e => { ${this.here(expression)}; ${STEP}; ${bound}return !!(${this.expression(expression)}) }`,
      ) - 1
    return compileRule(rule, guard, select => this.within(select, rule))
  }

  private within({ within, unit }: Select & { kind: 'when' }, at: Place): number {
    const value = within === undefined ? '0' : this.expression(within.expression)
    return (
      this.withins.push(`() => { ${this.here(at)}; ${STEP}; return $r.millis(${value}, ${unit}, ${this.place(at)}) }`) -
      1
    )
  }

  /** The names that the select captures. */
  private bound(rule: Rule): string {
    const captured = this.known.captures.get(rule) ?? []
    return captured.map(({ id, name }) => `const $v${id} = $r.own($e, ${text(name)}) ?? null;\n`).join('')
  }

  private rule(rule: Rule, name: string): string {
    const body = this.loops(rule.foreach, 0, rule)
    return `const ${name} = $e => {\n${this.here(rule)}\n${STEP}\nlet $any = 0\n${this.bound(rule)}${body}\nreturn $any\n}`
  }

  private loops(foreachs: readonly Foreach[], depth: number, rule: Rule): string {
    const loop = foreachs[depth]
    if (loop === undefined) return this.turn(rule)
    const [value, key] = loop.setting.map(name => this.binding(name).id)
    const turn = `$i${depth}[$j${depth}]`
    const names = [`$v${value} = ${turn}[1]`, ...(key === undefined ? [] : [`$v${key} = ${turn}[0]`])]
    const head = `const $i${depth} = $r.turns(${this.expression(loop.collection)})`
    const body = `${STEP}\nlet ${names}\n${this.loops(foreachs, depth + 1, rule)}`
    return `${head}\nfor (let $j${depth} = 0; $j${depth} < $i${depth}.length; $j${depth}++) {\n${body}\n}`
  }

  private turn(rule: Rule): string {
    const final = rule.foreach.map((_, i) => `$j${i} === $i${i}.length - 1`).join(' && ') || 'true'
    const lines = [`const $final = ${final}`, ...this.block(rule.pre)]
    lines.push(
      ...(rule.actions === undefined ? ['const $fired = true'] : this.actionBlock(rule.actions)),
      'if ($fired) $any = 1',
    )
    if (rule.postlude !== undefined) lines.push(...this.postlude(rule.postlude, rule.name.text))
    return `{\n${lines.join(';\n')}\n}`
  }

  private variables(block: object): string[] {
    const bindings = this.known.variables.get(block) ?? []
    return bindings.map(({ id, initial }) => `let $v${id} = ${initial === undefined ? 'null' : this.read(initial)}`)
  }

  private actionBlock(block: ActionBlock): string[] {
    const condition = block.condition === undefined ? 'true' : `!!(${this.expression(block.condition)})`
    const body = this.actionBodies(block)
    return [
      ...this.variables(block),
      `const $fired = ${condition}`,
      ...(body === '' ? [] : [`if ($fired) {\n${body}\n}`]),
    ]
  }

  private actionBodies({ mode, choice, actions: list }: ActionBlock): string {
    const bodies = list.map(action => this.action(action))
    switch (mode) {
      case 'every':
        return bodies.join(';\n')
      case 'sample':
        return this.cases(
          `$r.pick($h, ${list.length})`,
          bodies.map((body, i) => [String(i), body]),
        )
      case 'choose':
        return this.cases(
          choice === undefined ? 'null' : this.expression(choice),
          bodies.map((body, i) => [text(list[i]?.label?.text ?? ''), body]),
        )
      default:
        return unreachable(mode)
    }
  }

  private cases(value: string, cases: readonly (readonly [string, string])[]): string {
    return `switch (${value}) {\n${cases.map(([label, body]) => `case ${label}: ${body}; break`).join('\n')}\n}`
  }

  private action({ target, args, setting, ...at }: Action): string {
    const bound = setting !== undefined
    const call =
      target.kind === 'member'
        ? this.host('act', target, this.args(args, bound))
        : this.actionCall(target, args, bound, at)
    return setting === undefined ? call : `$v${this.binding(setting).id} = ${call}`
  }

  private actionCall(target: NameExpression, args: readonly Argument[], bound: boolean, at: Place): string {
    const found = this.known.names.get(target)
    if (found === OPERATOR) {
      const action = this.constant('d', `$r.action(${text(target.name)})`)
      return `($a = ${this.args(args)}, ${this.here(at)}, ${action}($h, $a))`
    }
    const binding = found as Binding
    if (binding.code !== undefined)
      return `$f${binding.id}(${this.ordered(
        binding.code.params.map(p => p.text),
        args,
      )})`
    return `$r.act(${this.read(binding)}, ${this.args(args, bound)}, ${this.place(at)})`
  }

  // ---- postludes ----------------------------------------------------------------------------------------------

  private postlude({ fired, notfired, always }: Postlude, rule: string): string[] {
    return [
      ...(fired === undefined ? [] : [`if ($fired) {\n${this.statements(fired, rule)}\n}`]),
      ...(notfired === undefined ? [] : [`if (!$fired) {\n${this.statements(notfired, rule)}\n}`]),
      ...(always === undefined ? [] : [`{\n${this.statements(always, rule)}\n}`]),
    ]
  }

  private statements(statements: readonly Statement[], rule: string): string {
    return [...this.variables(statements), ...statements.map(statement => this.guarded(statement, rule))].join(';\n')
  }

  private guarded({ body, guard, ...at }: Statement, rule: string): string {
    if (guard === undefined) return this.statement(body, rule, at)
    const test = guard === 'on final' ? '$final' : this.expression(guard)
    return `if (${test}) { ${this.statement(body, rule, at)} }`
  }

  private statement(body: StatementBody, rule: string, at: Place): string {
    switch (body.kind) {
      case 'assign':
        return this.assign(body.variable, body.path, body.value, at)
      case 'clear':
        return body.path === undefined
          ? this.hosted(`clearEnt(${text(body.variable)})`, [], at)
          : this.hosted('clearEnt', [text(body.variable), this.path(body.path)], at)
      case 'raise':
        return this.raise(body, at)
      case 'schedule':
        return this.schedule(body, at)
      case 'log':
        return this.hosted('log', [text(body.level), this.expression(body.value)], at)
      case 'error': {
        const raised = this.hosted('error', [text(body.level), this.expression(body.value), text(rule)], at)
        return body.level === 'error' ? `${raised}; return $any | 2` : raised
      }
      case 'last':
        return 'return $any | 2'
      case 'declare':
        return `$v${this.binding(body.declaration.name).id} = ${this.expression(body.declaration.value)}`
      default:
        return unreachable(body)
    }
  }

  /** A call of the host whose arguments are made before the place is noted. */
  private hosted(method: string, args: readonly string[], at: Place): string {
    if (args.length === 0) return `(${this.here(at)}, $h.${method})`
    return `($a = [${args}], ${this.here(at)}, $h.${method}(...$a))`
  }

  private assign(variable: string, path: Expression | undefined, value: Expression, at: Place): string {
    const name = text(variable)
    if (path === undefined) return this.hosted('setEnt', [name, this.expression(value)], at)
    return this.hosted('setEntPath', [name, this.path(path), this.expression(value)], at)
  }

  private path(path: Expression): string {
    const value = this.expression(path)
    return path.kind === 'array' ? value : `$r.path(${value})`
  }

  /** `domain, type` as two arguments. */
  private eventName(event: EventName, at: Place): string {
    if ('dynamic' in event) return `...$r.event(${this.expression(event.dynamic)}, ${this.place(at)})`
    return `${text(event.domain)}, $r.string(${this.expression(event.type)})`
  }

  private raise({ event, attrs, rid }: StatementBody & { kind: 'raise' }, at: Place): string {
    const given = attrs === undefined ? 'null' : this.expression(attrs)
    const target = rid === undefined ? 'void 0' : `$r.rid(${this.expression(rid)})`
    return this.hosted('raise', [this.eventName(event, at), given, target], at)
  }

  private schedule({ event, when, time, attrs, setting }: StatementBody & { kind: 'schedule' }, at: Place): string {
    const given = attrs === undefined ? 'null' : this.expression(attrs)
    const parts = `$a = [${this.eventName(event, at)}, ${given}, ${this.expression(time)}], ${this.here(at)}`
    const named = setting === undefined ? '' : `, setting: ${text(setting.text)}`
    const call = `(${parts}, $h.schedule({ domain: $a[0], type: $a[1], attrs: $a[2], ${when}: $a[3]${named} }))`
    return setting === undefined ? call : `$v${this.binding(setting).id} = ${call}`
  }

  // ---- expressions --------------------------------------------------------------------------------------------

  private expression(node: Expression): string {
    switch (node.kind) {
      case 'null':
        return 'null'
      case 'boolean':
      case 'number':
        return String(node.value)
      case 'string':
        return text(node.value)
      case 'regexp':
        return this.constant('x', `$r.re(${text(node.source)}, ${text(node.flags)})`)
      case 'chevron':
        return this.chevron(node.parts)
      case 'array':
        return `$r.list($b, [${node.items.map(item => this.expression(item))}])`
      case 'map':
        return `$r.map($b, [${node.entries.flatMap(({ key, value }) => [text(key), this.expression(value)])}])`
      case 'name':
        return this.mention(node)
      case 'member':
        return this.member(node)
      case 'unary':
        return node.op === 'not'
          ? `!(${this.expression(node.arg)})`
          : this.operator(node.op, [this.expression(node.arg)], node)
      case 'infix':
        return this.infix(node)
      case 'conditional':
        return `(${this.expression(node.test)} ? ${this.expression(node.yes)} : ${this.expression(node.no)})`
      case 'path':
        return this.get(node.object, node.path, node)
      case 'index':
        return this.get(node.object, { kind: 'array', items: [node.index], line: node.line, column: node.column }, node)
      case 'dot':
        return this.property(node)
      case 'call':
        return this.call(node)
      case 'function':
      case 'defaction':
        return `$r.fn(${this.brand(node, '')}, ${this.code(node)})`
      default:
        return unreachable(node)
    }
  }

  private chevron(parts: readonly (string | Expression)[]): string {
    const pieces = parts.map(part => (typeof part === 'string' ? text(part) : this.expression(part)))
    if (parts.every(part => typeof part === 'string')) return text(parts.join(''))
    return `$r.text($b, [${pieces}])`
  }

  private mention(node: NameExpression): string {
    const found = this.known.names.get(node)
    return found === OPERATOR ? `$r.library($h, ${text(node.name)})` : this.read(found as Binding)
  }

  private member(node: MemberExpression): string {
    if (node.domain === 'ent') return `($h.ent(${text(node.name)}) ?? null)`
    return `$h.member(${text(node.domain)}, ${text(node.name)}, ${this.place(node)})`
  }

  private infix({ op, left, right, ...at }: Expression & { kind: 'infix' }): string {
    const [a, b] = [this.expression(left), this.expression(right)]
    if (op === '||' || op === '&&') return `(${a} ${op} ${b})`
    return `${this.constant('p', `$r.infix(${text(op)})`)}($h, ${a}, ${b}, ${this.here(at)})`
  }

  /** An operator of the library; the place is noted after its arguments are made. */
  private operator(name: string, args: readonly string[], at: Place): string {
    const operator = this.constant('o', `$r.operator(${text(name)})`)
    return `($a = [${args}], ${this.here(at)}, ${operator}($h, $a))`
  }

  /** One entry of an entity variable is read without the others. */
  private get(object: Expression, path: Expression, at: Place): string {
    if (object.kind === 'member' && object.domain === 'ent')
      return `(${this.hosted('entPath', [text(object.name), this.path(path)], at)} ?? null)`
    return this.operator('get', [this.expression(object), this.expression(path)], at)
  }

  private property({ object, property, ...at }: DotExpression): string {
    const key = property.kind === 'name' ? text(property.name) : this.member(property)
    return this.operator('get', [this.expression(object), key], at)
  }

  private call(node: CallExpression): string {
    const { callee, args } = node
    if (callee.kind !== 'dot') return this.apply(callee, args, callee)
    const { object, property } = callee
    const isGet = property.kind === 'name' && property.name === 'get' && this.known.names.get(property) === OPERATOR
    const [path] = args
    if (isGet && args.length === 1 && path?.name === undefined && path !== undefined)
      return this.get(object, path.value, property)
    return this.apply(property, [{ value: object, line: object.line, column: object.column }, ...args], property)
  }

  private apply(callee: Expression, args: readonly Argument[], at: Place): string {
    if (callee.kind === 'member') return this.host('call', callee, this.args(args))
    const found = callee.kind === 'name' ? this.known.names.get(callee) : undefined
    if (callee.kind === 'name' && found === OPERATOR)
      return this.operator(callee.name, this.ordered(operatorParams[callee.name] ?? [], args), at)
    const code = found === undefined || found === OPERATOR ? undefined : found.code
    if (code !== undefined)
      return `$f${(found as Binding).id}(${this.ordered(
        code.params.map(param => param.text),
        args,
      )})`
    return `$r.call(${this.expression(callee)}, ${this.args(args)}, ${this.place(at)})`
  }

  private host(method: 'call' | 'act', { domain, name, ...at }: MemberExpression, args: string): string {
    return `$h.${method}(${text(domain)}, ${text(name)}, ${args}, ${this.place(at)})`
  }

  private args(args: readonly Argument[], bound = false): string {
    const positional = args.filter(arg => arg.name === undefined).map(arg => this.expression(arg.value))
    const named = args.flatMap(arg => (arg.name === undefined ? [] : [text(arg.name), this.expression(arg.value)]))
    const setting = bound ? ', setting: true' : ''
    return `{ positional: [${positional}], named: ${named.length === 0 ? '$n' : `$r.map($b, [${named}])`}${setting} }`
  }

  /** Arguments in the order of known parameters; what is not given is left out. */
  private ordered(params: readonly string[], args: readonly Argument[]): string[] {
    const order: string[] = []
    for (const arg of args) {
      const at = arg.name === undefined ? order.length : params.indexOf(arg.name)
      if (at >= 0) order[at] = this.expression(arg.value)
    }
    return Array.from(order, value => value ?? 'void 0')
  }
}

const rulesetMeta = ({ rid, meta }: Ruleset): RulesetMeta => {
  const texts: Record<string, string> = {}
  const logging = meta.find(property => property.kind === 'logging')
  for (const property of meta) if (property.kind === 'text') texts[property.key] = literalText(property.value) ?? ''
  const names = (kind: 'shares' | 'provides') =>
    meta.flatMap(property =>
      property.kind === kind && 'names' in property ? property.names.map(name => name.text) : [],
    )
  return {
    rid,
    ...texts,
    ...(logging === undefined ? {} : { logging: logging.on }),
    shares: [...new Set(names('shares'))],
    provides: [...new Set(names('provides'))],
    uses: meta.flatMap(property => (property.kind === 'use' ? [used(property.use)] : [])),
    configures: meta.flatMap(property =>
      property.kind === 'configure' ? property.declarations.map(({ name }) => name.text) : [],
    ),
  }
}

const used = ({ rid, alias, line, column }: { rid: string; alias?: Name } & Place) => ({
  rid,
  alias: alias?.text ?? rid,
  place: { line, column },
})
