// The tree of a ruleset as written: one node type per construct of the grammar, each with its place. No meaning is
// attached here; check.ts resolves names and emit.ts writes JavaScript, both exhaustively over these unions.

import type { Place } from './types.ts'

/** A name at the place where it is declared or mentioned. */
export interface Name extends Place {
  readonly text: string
}

export type InfixOperator =
  | '||'
  | '&&'
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | 'like'
  | '><'
  | '<=>'
  | 'cmp'
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'

export interface NameExpression extends Place {
  readonly kind: 'name'
  readonly name: string
}
export interface MemberExpression extends Place {
  readonly kind: 'member'
  readonly domain: string
  readonly name: string
}
export interface FunctionExpression extends Place {
  readonly kind: 'function'
  readonly params: readonly Parameter[]
  readonly body: readonly Declaration[]
  readonly value: Expression
}
export interface DefactionExpression extends Place {
  readonly kind: 'defaction'
  readonly params: readonly Parameter[]
  readonly body: readonly Declaration[]
  readonly actions: ActionBlock
  readonly value?: Expression
}
/** `object.name`, before a call or (old style) as a key. */
export interface DotExpression extends Place {
  readonly kind: 'dot'
  readonly object: Expression
  readonly property: NameExpression | MemberExpression
}
export interface CallExpression extends Place {
  readonly kind: 'call'
  readonly callee: Expression
  readonly args: readonly Argument[]
}
export interface RegExpExpression extends Place {
  readonly kind: 'regexp'
  readonly source: string
  readonly flags: string
}

export type Expression =
  | (Place & { readonly kind: 'null' })
  | (Place & { readonly kind: 'boolean'; readonly value: boolean })
  | (Place & { readonly kind: 'number'; readonly value: number })
  | (Place & { readonly kind: 'string'; readonly value: string })
  | RegExpExpression
  | (Place & { readonly kind: 'chevron'; readonly parts: readonly (string | Expression)[] })
  | (Place & { readonly kind: 'array'; readonly items: readonly Expression[] })
  | (Place & {
      readonly kind: 'map'
      readonly entries: readonly { readonly key: string; readonly value: Expression }[]
    })
  | NameExpression
  | MemberExpression
  | (Place & { readonly kind: 'unary'; readonly op: '+' | '-' | 'not'; readonly arg: Expression })
  | (Place & {
      readonly kind: 'infix'
      readonly op: InfixOperator
      readonly left: Expression
      readonly right: Expression
    })
  | (Place & {
      readonly kind: 'conditional'
      readonly test: Expression
      readonly yes: Expression
      readonly no: Expression
    })
  /** `object{path}`. */
  | (Place & { readonly kind: 'path'; readonly object: Expression; readonly path: Expression })
  /** `object[index]`. */
  | (Place & { readonly kind: 'index'; readonly object: Expression; readonly index: Expression })
  | DotExpression
  | CallExpression
  | FunctionExpression
  | DefactionExpression

export interface Argument extends Place {
  /** For `name = value`. */
  readonly name?: string
  readonly value: Expression
}

export interface Parameter extends Name {
  readonly fallback?: Expression
}

export interface Declaration extends Place {
  readonly name: Name
  readonly value: Expression
}

// ---- actions and postludes ------------------------------------------------------------------------------------

export interface ActionBlock extends Place {
  readonly condition?: Expression
  readonly mode: 'every' | 'sample' | 'choose'
  /** What `choose` compares with the labels. */
  readonly choice?: Expression
  readonly actions: readonly Action[]
}

export interface Action extends Place {
  readonly label?: Name
  readonly target: NameExpression | MemberExpression
  readonly args: readonly Argument[]
  readonly setting?: Name
}

export interface Postlude {
  readonly fired?: readonly Statement[]
  readonly notfired?: readonly Statement[]
  readonly always?: readonly Statement[]
}

export type Level = 'error' | 'warn' | 'info' | 'debug'

/** Domain and type apart, or one expression `"domain:type"`. */
export type EventName = { readonly domain: string; readonly type: Expression } | { readonly dynamic: Expression }

export interface Statement extends Place {
  readonly guard?: Expression | 'on final'
  readonly body: StatementBody
}

export type StatementBody =
  | { readonly kind: 'assign'; readonly variable: string; readonly path?: Expression; readonly value: Expression }
  | { readonly kind: 'clear'; readonly variable: string; readonly path?: Expression }
  | { readonly kind: 'raise'; readonly event: EventName; readonly rid?: Expression; readonly attrs?: Expression }
  | {
      readonly kind: 'schedule'
      readonly event: EventName
      readonly when: 'at' | 'repeat'
      readonly time: Expression
      readonly attrs?: Expression
      readonly setting?: Name
    }
  | { readonly kind: 'log'; readonly level: Level; readonly value: Expression }
  | { readonly kind: 'error'; readonly level: Level; readonly value: Expression }
  | { readonly kind: 'last' }
  | { readonly kind: 'declare'; readonly declaration: Declaration }

// ---- event expressions ----------------------------------------------------------------------------------------

export interface EventPattern extends Place {
  readonly kind: 'event'
  readonly domain: string
  readonly type: string
  readonly attrs: readonly { readonly name: string; readonly re: RegExpExpression }[]
  readonly setting: readonly Name[]
  readonly where?: SourceExpression
}

/** An expression with its tokens joined by blanks: what a select's hash is made of. */
export interface SourceExpression {
  readonly expression: Expression
  readonly source: string
}

export interface Aggregate extends Place {
  readonly op: 'max' | 'min' | 'sum' | 'avg' | 'push'
  readonly setting: readonly Name[]
}

export interface EventOperation extends Place {
  readonly kind: 'or' | 'and' | 'before' | 'then' | 'after'
  readonly args: readonly EventExpression[]
}
export interface EventBetween extends Place {
  readonly kind: 'between' | 'not between'
  readonly args: readonly [EventExpression, EventExpression, EventExpression]
}
export interface EventAny extends Place {
  readonly kind: 'any'
  readonly n: number
  readonly args: readonly EventExpression[]
}
export interface EventGroup extends Place {
  readonly kind: 'count' | 'repeat'
  readonly n: number
  readonly arg: EventPattern
  readonly aggregate?: Aggregate
}

export type EventExpression = EventPattern | EventOperation | EventBetween | EventAny | EventGroup

export type Select =
  | {
      readonly kind: 'when'
      readonly event: EventExpression
      readonly within?: SourceExpression
      readonly unit: number
    }
  | { readonly kind: 'where'; readonly where: SourceExpression }

// ---- rulesets -------------------------------------------------------------------------------------------------

export interface Foreach extends Place {
  readonly collection: Expression
  readonly setting: readonly Name[]
}

export interface Rule extends Place {
  readonly name: Name
  readonly active: boolean
  readonly select?: Select
  readonly foreach: readonly Foreach[]
  readonly pre: readonly Declaration[]
  readonly actions?: ActionBlock
  readonly postlude?: Postlude
}

export interface Use extends Place {
  readonly rid: string
  readonly alias?: Name
  readonly with: readonly Declaration[]
}

export type MetaProperty = Place &
  (
    | { readonly kind: 'text'; readonly key: 'version' | 'name' | 'description' | 'author'; readonly value: Expression }
    | { readonly kind: 'logging'; readonly on: boolean }
    | { readonly kind: 'use'; readonly use: Use }
    | { readonly kind: 'configure'; readonly declarations: readonly Declaration[] }
    | { readonly kind: 'shares' | 'provides'; readonly names: readonly Name[] }
    /** Parsed, but not run: `key`, `errors to`, `provides keys`. */
    | { readonly kind: 'unsupported'; readonly what: string; readonly hint: string }
  )

export interface Ruleset extends Place {
  readonly rid: string
  readonly meta: readonly MetaProperty[]
  readonly globals: readonly Declaration[]
  readonly rules: readonly Rule[]
}
