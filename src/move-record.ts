// A move as it is kept, its ticket, and how both are read.

import { byType } from '../protocols/index.ts'
import type { Message } from '../protocols/message.ts'
import { move } from '../protocols/move.ts'
import type { Thread } from '../protocols/turn.ts'
import { text as decoded, fromBase64url } from '../wallet/bytes.ts'
import { keyBytesOf } from '../wallet/did-key.ts'
import type { Json, PicoId } from './ports.ts'
import type { PeerTold } from './relocation.ts'

export const MOVE_STATES_BEFORE_COMMIT: readonly string[] = ['planned', 'prepared', 'frozen']

export interface MoveRecord {
  readonly thread: Thread
  /** Base URL of the other engine. */
  readonly url: string
  readonly at: number
  /** Of the bundle, sent or received. */
  readonly bytes: number
  readonly frozenAt: number | null
  readonly pause_ms: number
  readonly peers: readonly PeerTold[]
  readonly reason?: { readonly code: string; readonly message: string }
  /** Nothing is owed to the other side any more. */
  readonly settled: boolean
  /** Target: the first chunk of an entry that goes on. */
  readonly partFrom?: number
}

export interface Ticket {
  readonly did: string
  readonly url: string
  readonly id: string
  readonly secret: string
  /** Milliseconds. */
  readonly expires: number
}

export const picoOf = ({ thread }: MoveRecord): PicoId => text(thread.data.picoId)
export const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '')

/** `chunk` of `https://picomesh.dev/move/1.0/chunk`; undefined when the table has no such message. */
export const nameOf = (message: Message): string | undefined =>
  byType(message.type).find(found => found.protocol === move)?.name

/** What a ticket says, when it is one and names a DID that can be written to. */
export function readTicket(ticket: string): Ticket | undefined {
  const bytes = fromBase64url(ticket.trim())
  try {
    const read = JSON.parse(bytes === undefined ? '' : decoded(bytes)) as Partial<Ticket> | null
    const { did, url, id, secret, expires } = read ?? {}
    const texts = [did, url, id, secret].every(value => typeof value === 'string')
    if (!texts || typeof expires !== 'number' || !did?.startsWith('did:key:')) return undefined
    return keyBytesOf(did)?.type === 'Ed25519' && /^https?:\/\//.test(url as string) ? (read as Ticket) : undefined
  } catch {
    return undefined
  }
}
