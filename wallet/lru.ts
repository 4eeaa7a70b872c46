// A bounded memo for pure computations (resolved DIDs, Diffie-Hellman results): the least recently used entry goes
// first. A Map keeps insertion order, so moving an entry to the end is a delete and a set.

export interface Lru<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
  clear(): void
  readonly size: number
}

/** `limit` entries; `dropped` sees each value that leaves, whether pushed out, replaced or cleared. */
export function makeLru<V>(limit: number, dropped?: (value: V) => void): Lru<V> {
  const entries = new Map<string, V>()
  const drop = (key: string) => {
    const value = entries.get(key)
    if (value !== undefined && entries.delete(key)) dropped?.(value)
  }
  return {
    get(key) {
      const value = entries.get(key)
      if (value !== undefined) {
        entries.delete(key)
        entries.set(key, value)
      }
      return value
    },
    set(key, value) {
      drop(key)
      entries.set(key, value)
      if (entries.size > limit) drop(entries.keys().next().value as string)
    },
    clear() {
      for (const key of [...entries.keys()]) drop(key)
    },
    get size() {
      return entries.size
    },
  }
}
