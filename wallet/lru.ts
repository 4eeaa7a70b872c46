// A bounded memo for pure computations (resolved DIDs, Diffie-Hellman results): the least recently used entry goes
// first. A Map keeps insertion order, so moving an entry to the end is a delete and a set.

export interface Lru<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
  clear(): void
  readonly size: number
}

export interface LruOptions<V> {
  /** Bound on the sum of key lengths, for keys that peers write. */
  readonly maxKeyChars?: number
  /** Sees each value that leaves: pushed out, replaced or cleared. */
  readonly dropped?: (value: V) => void
}

/** A memo of at most `limit` entries. */
export function makeLru<V>(limit: number, options: LruOptions<V> = {}): Lru<V> {
  const entries = new Map<string, V>()
  const maxKeyChars = options.maxKeyChars ?? Number.POSITIVE_INFINITY
  let keyChars = 0
  const drop = (key: string) => {
    const value = entries.get(key)
    if (value === undefined) return
    entries.delete(key)
    keyChars -= key.length
    options.dropped?.(value)
  }
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      drop(key)
      entries.set(key, value)
      keyChars += key.length
      while (entries.size > limit || keyChars > maxKeyChars) drop(entries.keys().next().value as string)
    },
    clear() {
      for (const key of [...entries.keys()]) drop(key)
    },
    get size() {
      return entries.size
    },
  }
}
