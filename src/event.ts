// pure
// Events and directives inside one step.

import type { Json, JsonObject } from './ports.ts'

export interface PicoEvent {
  readonly eid: string
  readonly eci: string | null
  readonly domain: string
  readonly type: string
  readonly attrs: JsonObject
  /** `raise … for`: only this ruleset. */
  readonly forRid?: string
}

export interface Directive {
  readonly type: 'directive'
  readonly name: string
  readonly options: Json
  readonly meta: { readonly rid: string; readonly rule_name: string; readonly txnId: string }
}
