// The standard library: the language's 81 operators as one table. `operators[name](host, args)`: args[0] is the receiver
// or left operand. Operators neither change what they are given nor catch what the host throws.

import type { Operator } from './convert.ts'
import { collectionOperators } from './operators-collection.ts'
import { scalarOperators } from './operators-scalar.ts'
import { textOperators } from './operators-text.ts'
import type { Args, Host, Value } from './types.ts'
import { emptyMap, isMap, toText } from './values.ts'

export { equal } from './convert.ts'
export { deletePath, getPath, putPath } from './paths.ts'

/**
 * Operators and functions by name. Faults are `RulesetFault`: `ruleset.failed` (wrong types), `ruleset.budget`,
 * `ruleset.size`, `ruleset.depth`.
 */
export const operators: Readonly<Record<string, Operator>> = Object.freeze(
  Object.assign(Object.create(null), scalarOperators, textOperators, collectionOperators, { noop: () => null }),
)

/** Actions that need no domain. The value is what `setting` binds. */
export const actions: Readonly<Record<string, (host: Host, args: Args) => Value>> = Object.freeze(
  Object.assign(Object.create(null), {
    noop: () => null,
    send_directive: (host: Host, { positional, named }: Args): Value => {
      const name = toText(positional[0] ?? named.name)
      const given = positional[1] ?? named.options
      const options = isMap(given as Value) ? (given as ReturnType<typeof emptyMap>) : emptyMap()
      host.directive(name, options)
      return Object.assign(emptyMap(), { type: 'directive', name, options })
    },
  }),
)

const BINARY = '+ - * / % == != <=> < > <= >= >< cmp shiftRight shiftLeft band bor bxor'.split(' ')
const RECEIVER = (
  'isnull typeof bnot chr capitalize decode lc uc ord trimLeading trimTrailing trim head tail length isEmpty reverse ' +
  'once duplicates unique'
).split(' ')

/** Names for named arguments, the receiver first. */
export const operatorParams: Readonly<Record<string, readonly string[]>> = Object.freeze(
  Object.assign(
    Object.create(null),
    Object.fromEntries(BINARY.map(name => [name, ['left', 'right']])),
    Object.fromEntries(RECEIVER.map(name => [name, ['val']])),
    Object.fromEntries(
      'all notall any none collect filter map pairwise'.split(' ').map(name => [name, ['val', 'iter']]),
    ),
    Object.fromEntries('startsWith endsWith contains'.split(' ').map(name => [name, ['val', 'target']])),
    Object.fromEntries('intersection union difference'.split(' ').map(name => [name, ['a', 'b']])),
    Object.fromEntries('like extract match'.split(' ').map(name => [name, ['val', 'regex']])),
    Object.fromEntries('delete keys values'.split(' ').map(name => [name, ['val', 'path']])),
    {
      as: ['val', 'type'],
      klog: ['val', 'message'],
      sprintf: ['val', 'template'],
      defaultsTo: ['val', 'defaultVal', 'message'],
      range: ['val', 'end'],
      split: ['val', 'splitOn'],
      substr: ['val', 'start', 'len'],
      replace: ['val', 'regex', 'replacement'],
      append: ['val', 'a', 'b', 'c', 'd', 'e'],
      index: ['val', 'elm'],
      join: ['val', 'str'],
      reduce: ['val', 'iter', 'dflt'],
      slice: ['val', 'start', 'end'],
      splice: ['val', 'start', 'nElements', 'value'],
      encode: ['val', 'indent'],
      has: ['val', 'other'],
      put: ['val', 'path', 'toSet'],
      sort: ['val', 'sortBy'],
      get: ['obj', 'path'],
      set: ['obj', 'path', 'val'],
      noop: [],
      send_directive: ['name', 'options'],
    },
  ),
)
