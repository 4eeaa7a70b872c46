// A stand-in for the engine at its seam, for tests of the edges' own duties: statuses, limits, headers, exit codes. It
// records what it was asked and answers what the test says; nothing about picos is tested through it.

import type { Agent, EventRequest, QueryRequest, Received } from '../src/agent.ts'
import { PicoError } from '../src/errors.ts'
import type { Json, JsonObject } from '../src/ports.ts'
import { listenPublic } from '../src/transports/http.ts'
import type { Limits } from '../src/transports/limits.ts'
import type { Listener } from '../src/transports/listen.ts'
import { acceptWebSockets } from '../src/transports/ws.ts'

export interface FakeAgent extends Agent {
  readonly asked: {
    readonly verbs: { name: string; args: JsonObject }[]
    readonly events: EventRequest[]
    readonly queries: QueryRequest[]
    readonly envelopes: { text: string; live: boolean }[]
  }
  /** Channels that are not here. */
  readonly missing: Set<string>
  /** What the next calls do; a PicoError is thrown. */
  answers: {
    verb: Json | PicoError | ((name: string, args: JsonObject) => Json)
    event: JsonObject | PicoError
    query: Json | PicoError
    receive: Received
    ready: { ready: boolean; reason?: string }
  }
  push(event: JsonObject): void
  watchers(): number
}

/** Whoever `agent` gives at the moment: a listener outlives the agents of single tests. */
export const whoever = (agent: () => FakeAgent): FakeAgent =>
  new Proxy({} as FakeAgent, { get: (_, name) => agent()[name as keyof FakeAgent] })

/** The public listener with its WebSockets. */
export async function listening(agent: () => FakeAgent, limits: Limits): Promise<Listener> {
  const forward = whoever(agent)
  const listener = await listenPublic({ agent: forward, host: '127.0.0.1', port: 0, limits })
  const stop = acceptWebSockets(listener, forward, limits)
  const close = (grace_ms: number) => {
    stop()
    return listener.close(grace_ms)
  }
  return { ...listener, close }
}

export function fakeAgent(): FakeAgent {
  const listeners = new Set<(event: JsonObject) => void>()
  const asked: FakeAgent['asked'] = { verbs: [], events: [], queries: [], envelopes: [] }
  const answers: FakeAgent['answers'] = {
    verb: {},
    event: { eid: 'e1', directives: [] },
    query: null,
    receive: { status: 202 },
    ready: { ready: true },
  }
  const missing = new Set<string>()
  const give = <T>(answer: T | PicoError): T => {
    if (answer instanceof PicoError) throw answer
    return answer
  }
  return {
    asked,
    answers,
    missing,
    channel(eci) {
      if (missing.has(eci)) throw new PicoError('channel.unknown', 'there is no such channel')
    },
    async verb(name, args) {
      asked.verbs.push({ name, args })
      const answer = give(answers.verb)
      return typeof answer === 'function' ? answer(name, args) : answer
    },
    async receive(envelope, carrier) {
      const text = Buffer.from(envelope).toString()
      asked.envelopes.push({ text, live: carrier.live })
      if (carrier.live && text.includes('echo')) carrier.reply?.(Buffer.from(`reply to ${text}`))
      return answers.receive
    },
    async event(request) {
      asked.events.push(request)
      return give(answers.event) as unknown as { eid: string }
    },
    async query(request) {
      asked.queries.push(request)
      return give(answers.query)
    },
    async invitation(id) {
      const state = id === 'used' ? 'used' : id === 'late' ? 'expired' : 'open'
      if (id === 'missing') return undefined
      const label = '<script>alert("x")</script>'
      return { invitation: { '@id': id, label }, url: `http://127.0.0.1:3000/?oob=${id}`, label, state }
    },
    ready: () => answers.ready,
    watch(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    push(event) {
      for (const listener of listeners) listener(event)
    },
    watchers: () => listeners.size,
  }
}
