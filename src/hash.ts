// pure
// Hashes over canonical JSON (RFC 8785): request matching, body conflicts, state hashes.

import { hex, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { canonicalize } from '../wallet/jcs.ts'
import type { Json } from './ports.ts'

/** SHA-256 over JCS, hex. */
export function jcsHash(value: Json): string {
  return hex(cryptoNode.sha256(utf8(canonicalize(value))))
}
