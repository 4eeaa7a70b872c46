// The record store of the foreign agent: Credo's StorageService over Maps, in memory only. Credo ships none but its
// Askar one, which wants a native library; queries follow its tag semantics ($and, $or, $not, arrays contain).

import { JsonTransformer, RecordDuplicateError, RecordNotFoundError, StorageVersionRecord } from '@credo-ts/core'

/** Does a record with these tags answer the query? An undefined member of the query asks nothing. */
const matches = (tags, query) => {
  const { $and, $or, $not, ...simple } = query
  if ($and && !$and.every(part => matches(tags, part))) return false
  if ($or && !$or.some(part => matches(tags, part))) return false
  if ($not && matches(tags, $not)) return false
  return Object.entries(simple).every(([name, wanted]) => {
    if (wanted === undefined) return true
    const value = tags[name]
    if (!Array.isArray(wanted)) return value === wanted
    return Array.isArray(value) && wanted.every(item => value.includes(item))
  })
}

/** One agent's records: context → `type id` → {value, tags}. */
export class MemoryStorage {
  supportsCursorPagination = false
  #contexts = new Map()

  #records(agentContext) {
    const id = agentContext.contextCorrelationId
    if (!this.#contexts.has(id)) this.#contexts.set(id, new Map())
    return this.#contexts.get(id)
  }

  #put(agentContext, record) {
    record.updatedAt = new Date()
    const entry = { type: record.type, id: record.id, value: JsonTransformer.serialize(record), tags: record.getTags() }
    this.#records(agentContext).set(`${record.type} ${record.id}`, structuredClone(entry))
  }

  #open(entry, recordClass) {
    const record = JsonTransformer.deserialize(entry.value, recordClass)
    record.id = entry.id
    record.replaceTags(structuredClone(entry.tags))
    return record
  }

  #demand(agentContext, type, id) {
    const entry = this.#records(agentContext).get(`${type} ${id}`)
    if (!entry) throw new RecordNotFoundError(`record with id ${id} not found.`, { recordType: type })
    return entry
  }

  async save(agentContext, record) {
    if (this.#records(agentContext).has(`${record.type} ${record.id}`))
      throw new RecordDuplicateError(`record with id ${record.id} exists`, { recordType: record.type })
    this.#put(agentContext, record)
  }

  async update(agentContext, record) {
    this.#demand(agentContext, record.type, record.id)
    this.#put(agentContext, record)
  }

  async delete(agentContext, record) {
    this.#demand(agentContext, record.type, record.id)
    this.#records(agentContext).delete(`${record.type} ${record.id}`)
  }

  async deleteById(agentContext, recordClass, id) {
    this.#demand(agentContext, recordClass.type, id)
    this.#records(agentContext).delete(`${recordClass.type} ${id}`)
  }

  async getById(agentContext, recordClass, id) {
    return this.#open(this.#demand(agentContext, recordClass.type, id), recordClass)
  }

  async getAll(agentContext, recordClass) {
    return this.findByQuery(agentContext, recordClass, {})
  }

  async findByQuery(agentContext, recordClass, query, { limit, offset = 0 } = {}) {
    const found = [...this.#records(agentContext).values()].filter(
      entry => entry.type === recordClass.type && matches(entry.tags, query),
    )
    return found.slice(offset, limit && offset + limit).map(entry => this.#open(entry, recordClass))
  }
}

/** Credo module that registers store and keys, and marks the empty store as being of Credo's present version. */
export class PeerModule {
  #storage
  #register

  constructor(storage, register) {
    this.#storage = storage
    this.#register = register
  }

  register(dependencyManager) {
    this.#register(dependencyManager)
  }

  async onInitializeContext(agentContext) {
    const storageVersion = StorageVersionRecord.frameworkStorageVersion
    await this.#storage.save(agentContext, new StorageVersionRecord({ storageVersion }))
  }
}
