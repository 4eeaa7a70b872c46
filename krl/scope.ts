// Names and what they mean: bindings, the scopes that hold them, and the table that check.ts fills and emit.ts reads.

import type { DefactionExpression, Expression, FunctionExpression } from './ast.ts'

/** What can be known of a value without running: decides what may be called, and how. */
export type Shape = 'function' | 'action' | 'value' | 'unknown'

export interface Binding {
  /** Unique in the ruleset: generated names carry it. */
  readonly id: number
  readonly name: string
  readonly where: 'global' | 'config' | 'testing' | 'local'
  readonly shape: Shape
  /** The function or defaction that a declaration binds for good. */
  readonly code?: FunctionExpression | DefactionExpression
  /** What a variable that is set later starts as: the binding that it hides. */
  readonly initial?: Binding
}

/** A word of the standard library that no binding hides. */
export const OPERATOR = 'operator'

export interface Resolution {
  /** Per mention (name expression). */
  readonly names: ReadonlyMap<object, Binding | typeof OPERATOR>
  /** Per declaring name. */
  readonly declared: ReadonlyMap<object, Binding>
  /** Variables that begin with a block (an action block or the statements of a postlude) and are set inside it. */
  readonly variables: ReadonlyMap<object, readonly Binding[]>
  /** Captured names of each active rule's select. */
  readonly captures: ReadonlyMap<object, readonly Binding[]>
  readonly globals: readonly Binding[]
  /** Value of `__testing`: what the ruleset answers to, for generated forms. */
  readonly testing: Testing
}

export interface Testing {
  readonly queries: { readonly name: string; readonly args: readonly string[] }[]
  readonly events: { readonly domain: string; readonly name: string; readonly attrs: string[] }[]
}

export class Scope {
  private readonly parent: Scope | undefined
  private readonly bindings = new Map<string, Binding>()

  constructor(parent?: Scope) {
    this.parent = parent
  }

  find(name: string): Binding | undefined {
    return this.bindings.get(name) ?? this.parent?.find(name)
  }

  own(name: string): Binding | undefined {
    return this.bindings.get(name)
  }

  add(binding: Binding): Binding {
    this.bindings.set(binding.name, binding)
    return binding
  }

  remove(name: string): void {
    this.bindings.delete(name)
  }
}

/** The shape that an expression's value has, whatever happens. */
export const shapeOf = (value: Expression): Shape => {
  switch (value.kind) {
    case 'function':
      return 'function'
    case 'defaction':
      return 'action'
    case 'null':
    case 'boolean':
    case 'number':
    case 'string':
    case 'regexp':
    case 'chevron':
    case 'array':
    case 'map':
    case 'unary':
      return 'value'
    default:
      return 'unknown'
  }
}
