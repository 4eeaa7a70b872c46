// A peer's mistake is a value, not an exception (DESIGN law L10): {code, message, place?}. The engine's table of
// codes turns it into an answer or a log line; nothing secret is ever put into one.

export interface Fault {
  readonly fault: true
  /** Dotted code, `did.…`, `key.…`, `wallet.…`, `envelope.…`; stable, in the engine's table. */
  readonly code: string
  readonly message: string
  /** Where in the input, as a path or member name. */
  readonly place?: string
}

export function fault(code: string, message: string, place?: string): Fault {
  return place === undefined ? { fault: true, code, message } : { fault: true, code, message, place }
}

/** True for a value made by `fault`; everything else a function returns is its result. */
export function isFault(value: unknown): value is Fault {
  return typeof value === 'object' && value !== null && (value as { fault?: unknown }).fault === true
}
