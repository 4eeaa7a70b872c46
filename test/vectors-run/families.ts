// Which family the cases of a vector file are of. Told by the form of the file (its head, and the members of the case),
// never by its path or name, so that other files of the same families are recognised wherever they lie.

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
/** v1 alone is spoken where no identity has a key for v2. */
const hasV2Keys = ({ identities }: Json) => Object.values(identities).some((one: Json) => one?.x25519_kid !== undefined)
/** Verkeys are v1's: the same member `packed` holds envelopes of both. */
const hasVerkeys = ({ keys }: Json) => Object.values(keys ?? {}).some((one: Json) => one?.verkey_base58 !== undefined)
const isEnveloped = (test: Json) => test.packed !== undefined || test.envelope !== undefined

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
    has: (test, file) => withIdentities(file) && hasV2Keys(file) && isEnveloped(test),
    run: runInbox,
  },
  {
    name: 'security/didcomm-v1-semantic',
    has: (test, file) => withIdentities(file) && (Array.isArray(test.steps) || isEnveloped(test)),
    run: runInbox,
  },
  {
    name: 'didcomm-v1-envelope',
    has: (test, file) =>
      !withIdentities(file) && (test.envelope !== undefined || (test.packed !== undefined && hasVerkeys(file))),
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
  return Array.isArray(file.cases) && file.cases.some((test: Json) => test?.id !== undefined)
}

/** The first family of the list that a case of the file belongs to, or undefined. */
export function familyOf(file: Json): Family | undefined {
  if (!isVectorFile(file)) return undefined
  return FAMILIES.find(({ has }) => file.cases.some((test: Json) => isCase(test) && has(test, file)))
}

const isCase = (test: Json) => typeof test === 'object' && test !== null

/** Runs each case as one of its family; what is of none is listed as skipped. */
export async function runFile(file: Json): Promise<RunResult> {
  const cases = new Map<Family | undefined, Json[]>()
  for (const test of file.cases) {
    const family = isCase(test) ? FAMILIES.find(({ has }) => has(test, file)) : undefined
    cases.set(family, [...(cases.get(family) ?? []), test])
  }
  const results: RunResult[] = []
  for (const [family, some] of cases) {
    results.push(family === undefined ? ofNoFamily(some) : await runOf(family, { ...file, cases: some }))
  }
  return {
    passed: results.flatMap(({ passed }) => passed),
    failed: results.flatMap(({ failed }) => failed),
    skipped: results.flatMap(({ skipped }) => skipped),
  }
}

function ofNoFamily(cases: Json[]): RunResult {
  const why = (test: Json) => `no such family here: a case of ${isCase(test) ? Object.keys(test).join(', ') : test}`
  return { passed: [], failed: [], skipped: cases.map(test => ({ id: String(test?.id), why: why(test) })) }
}

// A head that cannot be read fails its cases and no others.
async function runOf({ run }: Family, file: Json): Promise<RunResult> {
  try {
    return await run(file)
  } catch (thrown) {
    const why = `the head of the file cannot be read: ${(thrown as Error).message}`
    return { passed: [], failed: file.cases.map(({ id }: Json) => ({ id, why })), skipped: [] }
  }
}
