// A bounded memo for pure computations (resolved DIDs, Diffie-Hellman results): the entry that came first goes first. A
// value pushed out is computed again, which is rare; a hit, which is not, is a Map's own `get` and moves nothing.

export interface MemoOptions<V> {
  /** Bound on the sum of key lengths, for keys that peers write. */
  readonly maxKeyChars?: number
  /** Sees each value that leaves: pushed out, replaced, deleted or cleared. */
  readonly dropped?: (value: V) => void
}

/** A memo of at most `limit` entries. A key that is set again counts as new. */
export class Memo<V> extends Map<string, V> {
  private keyChars = 0

  constructor(
    private readonly limit: number,
    private readonly options: MemoOptions<V> = {},
  ) {
    super()
  }

  override set(key: string, value: V): this {
    this.delete(key)
    super.set(key, value)
    this.keyChars += key.length
    const maxKeyChars = this.options.maxKeyChars ?? Number.POSITIVE_INFINITY
    while (this.size > this.limit || this.keyChars > maxKeyChars) this.delete(this.keys().next().value as string)
    return this
  }

  override delete(key: string): boolean {
    const value = this.get(key)
    if (!super.delete(key)) return false
    this.keyChars -= key.length
    this.options.dropped?.(value as V)
    return true
  }

  override clear(): void {
    for (const key of this.keys()) this.delete(key)
  }
}
