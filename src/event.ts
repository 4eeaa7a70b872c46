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

/** `domain:type` split at the first colon or blank; undefined when either part is empty. */
export function splitEvent(text: string): { domain: string; type: string } | undefined {
  const match = /^\s*([^:\s]+)\s*[:\s]\s*(\S+)\s*$/.exec(text)
  return match ? { domain: match[1] as string, type: match[2] as string } : undefined
}
