// Which family a vector file is of. Told by the form of the file (its head, and the members of its cases), never by its
// path or name, so that other files of the same families are recognised wherever they lie.

import type { RunResult } from './cases.ts'
import { runDidKey, runDidPeer } from './did.ts'
import { runAttachmentJws, runV1Envelope, runV2 } from './envelope.ts'
import { runInbox } from './inbox.ts'

// biome-ignore lint/suspicious/noExplicitAny: vector files are read as they come
type Json = any

interface Family {
  readonly name: string
  /** Is this case, in a file with this head, one of the family? */
  readonly has: (test: Json, file: Json) => boolean
  readonly run: (file: Json) => RunResult | Promise<RunResult>
}

// Negative cases misspell their DIDs.
const names = (value: Json, method: RegExp) => typeof value === 'string' && method.test(value)
const withIdentities = (file: Json) => typeof file.identities === 'object' && file.identities !== null
const hasV2Keys = ({ identities }: Json) =>
  Object.values(identities).every((one: Json) => one?.x25519_kid !== undefined)

const FAMILIES: readonly Family[] = [
  {
    name: 'did-key',
    has: test => test.verkey_base58 !== undefined || names(test.did, /did:key/i),
    run: runDidKey,
  },
  {
    name: 'did-peer',
    has: test =>
      test.input_document !== undefined || test.expected?.valid_syntax !== undefined || names(test.did, /did:peer/i),
    run: runDidPeer,
  },
  {
    name: 'security/attachment-jws',
    // connection-sig has `signature` instead; the encoding examples have no identities.
    has: (test, file) => withIdentities(file) && test.attachment !== undefined,
    run: runAttachmentJws,
  },
  {
    name: 'security/didcomm-v2-sequences',
    has: (test, file) => withIdentities(file) && hasV2Keys(file) && Array.isArray(test.steps),
    run: runInbox,
  },
  {
    name: 'security/didcomm-v2-semantic',
    has: (test, file) => withIdentities(file) && hasV2Keys(file) && test.packed !== undefined,
    run: runInbox,
  },
  {
    name: 'security/didcomm-v1-semantic',
    has: (test, file) => withIdentities(file) && test.envelope !== undefined && test.receiver !== undefined,
    run: runInbox,
  },
  {
    name: 'didcomm-v1-envelope',
    has: (test, file) => !withIdentities(file) && test.envelope !== undefined,
    run: runV1Envelope,
  },
  {
    name: 'didcomm-v2',
    has: (test, file) => !withIdentities(file) && (test.packed !== undefined || typeof test.jwt === 'string'),
    run: runV2,
  },
]

/** Is it a vector file at all (vectors/README.md, "File form")? */
export function isVectorFile(file: Json): boolean {
  if (typeof file !== 'object' || file === null || typeof file.meta !== 'object') return false
  return (
    Array.isArray(file.cases) &&
    file.cases.length > 0 &&
    file.cases.every((test: Json) => test?.id !== undefined && test.kind !== undefined)
  )
}

/** The family that all cases of the file belong to, or undefined. */
export function familyOf(file: Json): Family | undefined {
  if (!isVectorFile(file)) return undefined
  return FAMILIES.find(({ has }) => file.cases.every((test: Json) => has(test, file)))
}
