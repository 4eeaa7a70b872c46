// A Credo 0.6.3 agent in its own process, driven by JSON lines on standard input and answering on standard output.
// DIDComm v1: out-of-band 1.1 (RFC 0434), didexchange 1.1 (RFC 0023), trust ping 1.0 (RFC 0048), basic message 1.0
// (RFC 0095). Runs inside the peer's cache folder, which is where its packages are found.
//
//   node agent.mjs [--port N] [--label TEXT] [--record FILE]
//   in:  {id, cmd, …}            cmd: invite receive wait-connected ping message messages connections stop
//   out: {id, result} | {id, error: {message}} | {event: ready|message|connection|ping|http, …}

import 'reflect-metadata'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import {
  Agent,
  BaseLogger,
  DidsModule,
  InjectionSymbols,
  JwkDidRegistrar,
  JwkDidResolver,
  KeyDidRegistrar,
  KeyDidResolver,
  Kms,
  LogLevel,
  MultiBaseEncoder,
  PeerDidRegistrar,
  PeerDidResolver,
  TypedArrayEncoder,
  WebDidResolver,
} from '@credo-ts/core'
import {
  DidCommEnvelopeService,
  DidCommHttpOutboundTransport,
  DidCommModule,
  parseInvitationJson,
} from '@credo-ts/didcomm'
import { agentDependencies, DidCommHttpInboundTransport } from '@credo-ts/node'
import express from 'express'
import { PeerKms } from './kms.mjs'
import { MemoryStorage, PeerModule } from './storage.mjs'

const WAIT_MS = 15_000

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    label: { type: 'string', default: 'Credo 0.6.3' },
    record: { type: 'string' },
  },
})

const say = line => process.stdout.write(`${JSON.stringify(line)}\n`)
const emit = (event, fields) => say({ event, ...fields })
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** Credo's warnings and errors go to standard error; what they carry beside the text is left out. */
class ErrorLogger extends BaseLogger {
  constructor() {
    super(process.env.CREDO_DEBUG ? LogLevel.debug : LogLevel.warn)
  }
  #put(level, message, data) {
    if (!this.isEnabled(level)) return
    const cause = data?.error?.message ?? data?.cause?.message ?? data?.message
    process.stderr.write(`credo: ${message}${cause ? ` (${cause})` : ''}\n`)
  }
  trace = (message, data) => this.#put(LogLevel.trace, message, data)
  debug = (message, data) => this.#put(LogLevel.debug, message, data)
  info = (message, data) => this.#put(LogLevel.info, message, data)
  test = (message, data) => this.#put(LogLevel.test, message, data)
  warn = (message, data) => this.#put(LogLevel.warn, message, data)
  error = (message, data) => this.#put(LogLevel.error, message, data)
  fatal = (message, data) => this.#put(LogLevel.fatal, message, data)
}

let recorded = 0
/** With --record: one JSON line per plaintext, envelope and HTTP exchange, in the order they happened. */
const record = entry => {
  if (options.record) appendFileSync(options.record, `${JSON.stringify({ n: ++recorded, ...entry })}\n`)
}

/** Credo takes any HTTP status for success, so a refused letter would be lost in silence: report it as an event. */
const watchedFetch = async (url, init) => {
  const response = await fetch(url, init)
  const method = init?.method ?? 'GET'
  record({
    what: 'http',
    method,
    url: String(url),
    requestHeaders: init?.headers,
    status: response.status,
    responseType: response.headers.get('content-type'),
  })
  if (!response.ok) emit('http', { method, url: String(url), status: response.status })
  return response
}

/** The loopback listener is opened first: with port 0 the endpoint must be known before the agent is made. */
const listen = async () => {
  const app = express()
  const server = createServer(app)
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(Number(options.port), '127.0.0.1', resolve)
  })
  app.listen = () => server
  return { app, port: server.address().port }
}

const { app, port } = await listen()
const endpoint = `http://127.0.0.1:${port}/`
const storage = new MemoryStorage()

const agent = new Agent({
  config: { logger: new ErrorLogger(), autoUpdateStorageOnStartup: true, allowInsecureHttpUrls: true },
  dependencies: { ...agentDependencies, fetch: watchedFetch },
  modules: {
    peer: new PeerModule(storage, dependencyManager => {
      dependencyManager.registerInstance(InjectionSymbols.StorageService, storage)
      dependencyManager
        .resolve(Kms.KeyManagementModuleConfig)
        .registerBackend(new PeerKms(jwk => record({ what: 'key', jwk })))
    }),
    dids: new DidsModule({
      resolvers: [new PeerDidResolver(), new KeyDidResolver(), new WebDidResolver(), new JwkDidResolver()],
      registrars: [new PeerDidRegistrar(), new KeyDidRegistrar(), new JwkDidRegistrar()],
    }),
    didcomm: new DidCommModule({
      endpoints: [endpoint],
      transports: {
        inbound: [new DidCommHttpInboundTransport({ app, port })],
        outbound: [new DidCommHttpOutboundTransport()],
      },
      connections: { autoAcceptConnections: true },
      processDidCommMessagesConcurrently: true,
      credentials: false,
      proofs: false,
      mediator: false,
      mediationRecipient: false,
      messagePickup: false,
    }),
  },
})

/** The document inside a long-form did:peer:4, or undefined. */
const documentOf = did => {
  const encoded = did?.startsWith('did:peer:4') ? did.split(':')[3] : undefined
  return encoded && JSON.parse(Buffer.from(MultiBaseEncoder.decode(encoded).data.slice(2)).toString())
}

/** What Credo packs and opens, kept as it stands, with keys (base58), opened header, DID document and signature header. */
const recordEnvelopes = () => {
  const service = agent.dependencyManager.resolve(DidCommEnvelopeService)
  const opened = text => JSON.parse(Buffer.from(text, 'base64url').toString())
  const base58 = key => key && TypedArrayEncoder.toBase58(key.publicKey.publicKey)
  const note = (what, plaintext, envelope, senderKey, recipientKeys) =>
    record({
      what,
      senderKey: base58(senderKey),
      recipientKeys: recipientKeys.map(base58),
      plaintext,
      envelope,
      header: opened(envelope.protected),
      didDocument: documentOf(plaintext.did),
      signatureHeader:
        plaintext['did_rotate~attach']?.data?.jws && opened(plaintext['did_rotate~attach'].data.jws.protected),
    })
  const pack = service.packMessage.bind(service)
  service.packMessage = async (context, payload, keys) => {
    const envelope = await pack(context, payload, keys)
    note('sent', payload.toJSON(), envelope, keys.senderKey, keys.recipientKeys)
    return envelope
  }
  const unpack = service.unpackMessage.bind(service)
  service.unpackMessage = async (context, envelope) => {
    const message = await unpack(context, envelope)
    note('received', message.plaintextMessage, envelope, message.senderKey, [message.recipientKey])
    return message
  }
}

const connectionView = record => ({
  connectionId: record.id,
  state: record.state,
  role: record.role,
  outOfBandId: record.outOfBandId,
  did: record.did,
  theirDid: record.theirDid,
  theirLabel: record.theirLabel,
})

const received = []

const watchEvents = () => {
  agent.events.on('ConnectionStateChanged', ({ payload }) =>
    emit('connection', connectionView(payload.connectionRecord)),
  )
  agent.events.on('DidCommBasicMessageStateChanged', ({ payload }) => {
    const { basicMessageRecord, message } = payload
    if (basicMessageRecord.role !== 'receiver') return
    const view = {
      connectionId: basicMessageRecord.connectionId,
      messageId: message.id,
      threadId: basicMessageRecord.threadId ?? message.threadId,
      content: basicMessageRecord.content,
      sentTime: basicMessageRecord.sentTime,
    }
    received.push(view)
    emit('message', view)
  })
  agent.events.on('DidCommTrustPingReceivedEvent', ({ payload }) =>
    emit('ping', { connectionId: payload.connectionRecord.id, threadId: payload.message.threadId }),
  )
}

/** Polls until `find` gives a value; throws with `what` after `timeoutMs`. */
const until = async (find, what, timeoutMs = WAIT_MS) => {
  const end = Date.now() + timeoutMs
  for (;;) {
    const value = await find()
    if (value) return value
    if (Date.now() > end) throw new Error(`timed out after ${timeoutMs} ms: ${what}`)
    await sleep(10)
  }
}

/** The connection in its final state; by id, or the first made from an out-of-band record. */
const connected = async ({ connectionId, outOfBandId, timeoutMs }) => {
  const { connections } = agent.didcomm
  const find = async () => {
    const found = connectionId
      ? await connections.findById(connectionId)
      : (await connections.findAllByOutOfBandId(outOfBandId))[0]
    return found?.state === 'completed' ? found : undefined
  }
  return connectionView(await until(find, 'the connection is not completed', timeoutMs))
}

/** Waits for the response; `ms` counts from the call. */
const ping = async ({ connectionId, timeoutMs = WAIT_MS }) => {
  const start = performance.now()
  const answered = new Set()
  const note = ({ payload }) => answered.add(payload.message.threadId)
  agent.events.on('DidCommTrustPingResponseReceivedEvent', note)
  try {
    const { threadId } = await agent.didcomm.connections.sendPing(connectionId, { responseRequested: true })
    await until(() => answered.has(threadId), 'no ping response', timeoutMs)
    return { threadId, ms: Math.round(performance.now() - start) }
  } finally {
    agent.events.off('DidCommTrustPingResponseReceivedEvent', note)
  }
}

const commands = {
  invite: async ({ label, multi = false }) => {
    const { id, outOfBandInvitation } = await agent.didcomm.oob.createInvitation({
      label: label ?? options.label,
      handshakeProtocols: ['https://didcomm.org/didexchange/1.x'],
      multiUseInvitation: multi,
    })
    const invitation = outOfBandInvitation.toJSON()
    record({ what: 'invitation', invitation })
    return { outOfBandId: id, invitation, url: outOfBandInvitation.toUrl({ domain: endpoint }) }
  },
  receive: async ({ url, invitation, label }) => {
    const { oob } = agent.didcomm
    const config = { label: label ?? options.label, reuseConnection: false }
    const { outOfBandRecord, connectionRecord } = url
      ? await oob.receiveInvitationFromUrl(url, config)
      : await oob.receiveInvitation(parseInvitationJson(invitation), config)
    return {
      outOfBandId: outOfBandRecord.id,
      connectionId: connectionRecord?.id,
      invitationId: outOfBandRecord.outOfBandInvitation.id,
    }
  },
  'wait-connected': connected,
  ping,
  message: async ({ connectionId, content }) => {
    const sent = await agent.didcomm.basicMessages.sendMessage(connectionId, content)
    return { recordId: sent.id, threadId: sent.threadId }
  },
  messages: async ({ connectionId }) => received.filter(one => !connectionId || one.connectionId === connectionId),
  connections: async () => (await agent.didcomm.connections.getAll()).map(connectionView),
  stop: async () => ({ stopped: true }),
}

const answer = async line => {
  let id = null
  try {
    const command = JSON.parse(line)
    id = command.id ?? null
    if (!Object.hasOwn(commands, command.cmd)) throw new Error(`no such command: ${command.cmd}`)
    say({ id, result: await commands[command.cmd](command) })
    if (command.cmd === 'stop') await stop()
  } catch (error) {
    say({ id, error: { message: error.cause ? `${error.message}: ${error.cause.message}` : error.message } })
  }
}

const stop = async () => {
  setTimeout(() => process.exit(0), 2_000).unref()
  await agent.shutdown().catch(() => {})
  process.exit(0)
}

if (options.record) recordEnvelopes()
watchEvents()
await agent.initialize()
const lines = createInterface({ input: process.stdin })
lines.on('line', line => void answer(line))
lines.on('close', () => void stop())
emit('ready', { endpoint, peer: 'credo', version: '0.6.3', label: options.label })
