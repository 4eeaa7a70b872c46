// Letters on their way: whose keys, which address, packed at delivery so that an address may change between attempts
// (DESIGN 4, Outbox). 2xx is taken; 400, 413, 415 is given up; anything else is tried again until the letter expires.

import { base58, fromBase58, utf8 } from '../wallet/bytes.ts'
import { cryptoNode } from '../wallet/crypto-node.ts'
import { keyBytesOf } from '../wallet/did-key.ts'
import { packV1 } from '../wallet/envelope-v1.ts'
import { packV2 } from '../wallet/envelope-v2.ts'
import { type Fault, fault, isFault } from '../wallet/fault.ts'
import { didPart, type Resolve, recipientKeys, shortForm } from '../wallet/keys.ts'
import { packForwardV1, packForwardV2 } from '../wallet/routing.ts'
import type { Engine } from './engine.ts'
import { asPicoError, errorRow } from './errors.ts'
import { ownDid, resolverOf, serviceOf } from './identity.ts'
import type { Keyrings } from './inbox.ts'
import { type Address, readConnection } from './pico.ts'
import type { Answer, Delivery, Effect, Json, JsonObject, Letter, PicoId, View } from './ports.ts'
import type { Sources } from './sources.ts'
import type { HttpClient } from './transports/client.ts'

export const MEDIA = { v1: 'application/didcomm-envelope-enc', v2: 'application/didcomm-encrypted+json' } as const

export interface Packed {
  /** Recipient names of an envelope that no relay opens first: base58 verkeys or kids. */
  readonly names: readonly string[]
  readonly envelope: Uint8Array
  readonly contentType: string
  readonly uri: string
}

type DidcommBody = Extract<Letter['body'], { kind: 'didcomm' }>

/** What delivery needs of the engine around it. */
export interface Around {
  readonly engine: () => Engine
  readonly keyrings: Keyrings
  readonly client: HttpClient
  readonly sources: Sources
  readonly baseUrl: () => string
  /** Mail to an inbox of this engine, without a socket. */
  readonly receive: (envelope: Uint8Array) => Promise<number>
  /** A live line (WebSocket) to the peer of this connection, if one is open. */
  readonly live: (picoId: PicoId, connectionId: string) => ((envelope: Uint8Array) => boolean) | undefined
}

export class Outbox {
  private readonly around: Around

  constructor(around: Around) {
    this.around = around
  }

  /** `World.deliver`. */
  async deliver(letter: Letter, picoId: PicoId): Promise<Delivery> {
    const { body } = letter
    switch (body.kind) {
      case 'didcomm':
        return this.didcomm(body, picoId)
      case 'event':
        return this.event(letter, body)
      case 'http':
        return this.http(body)
      case 'query':
        return this.query(letter, body, picoId)
      case 'create':
      case 'delete':
        return { refused: 'pico.unknown' }
    }
  }

  /** `World.perform`. */
  async perform(effect: Effect): Promise<Answer> {
    switch (effect.kind) {
      case 'http':
        return { value: await this.around.client.request(effect.request) }
      case 'ruleset':
        return { value: (await this.around.sources.load(effect.url, effect)) as unknown as Json }
      case 'query':
        return this.remoteQuery(effect)
      case 'resolve':
        return {
          error: { code: 'did.unresolvable', message: `${effect.did} needs a resolver that this engine has not` },
        }
      case 'read':
      case 'code':
        throw new Error('the driver reads for itself')
    }
  }

  // ---- DIDComm -------------------------------------------------------------------------------------------------

  private async didcomm(body: DidcommBody, picoId: PicoId): Promise<Delivery> {
    const line = body.connectionId === undefined ? undefined : this.around.live(picoId, body.connectionId)
    const direct = line && (await this.pack(body, picoId, true))
    if (direct !== undefined && !isFault(direct) && line?.(direct.envelope)) return { taken: true }
    const packed = await this.pack(body, picoId)
    if (isFault(packed))
      return packed.code === 'did.unresolvable' || packed.code === 'connection.address'
        ? { retry: packed.code }
        : { refused: packed.code }
    if (this.lives(packed) || packed.uri === `${this.around.baseUrl()}/didcomm`)
      return verdict(await this.around.receive(packed.envelope))
    const posted = await this.around.client.post(packed.uri, packed.envelope, packed.contentType)
    if (posted.status === 200 && posted.body !== undefined && posted.body.length > 0)
      void this.around.receive(posted.body)
    return verdict(posted.status, posted.reason)
  }

  /** A peer that lives on this engine is reached whatever address it had when the DIDs were made. */
  private lives({ names }: Packed): boolean {
    const engine = this.around.engine()
    const picoId = engine.recipient(names)
    const status = picoId === undefined ? undefined : engine.registered(picoId)?.status
    return status === 'live' || status === 'frozen'
  }

  /** Packs a letter for its peer as things stand now. `direct`: on a line that the peer itself holds, where neither its
   *  address nor the keys on the way to it matter (RFC 0092). */
  async pack(body: DidcommBody, picoId: PicoId, direct = false): Promise<Packed | Fault> {
    return this.around
      .engine()
      .read(picoId, view =>
        this.around.keyrings.with(picoId, view, keyring =>
          body.version === 'v1' ? packLetterV1(view, keyring, body, direct) : packLetterV2(view, keyring, body, direct),
        ),
      )
  }

  // ---- others --------------------------------------------------------------------------------------------------

  /** An event to a channel of another engine: the letter's id is the Idempotency-Key, so a repetition is safe. */
  private async event(letter: Letter, body: Extract<Letter['body'], { kind: 'event' }>): Promise<Delivery> {
    const host = body.host ?? this.movedTo(body.eci)
    if (host === undefined) return { refused: 'channel.unknown' }
    const url = `${host.replace(/\/+$/, '')}/c/${encodeURIComponent(body.eci)}/event/${encodeURIComponent(body.domain)}/${encodeURIComponent(body.name)}`
    const headers = { 'content-type': 'application/json', 'idempotency-key': letter.id }
    const answer = await this.around.client.request({
      method: 'POST',
      url,
      headers,
      body: JSON.stringify(body.attrs),
      followRedirect: true,
    })
    const status = Number(answer.status_code ?? 0)
    if (status >= 200 && status < 300) return { taken: true }
    // 404 is tried again: a pico that is just moving is at neither engine for a moment.
    return status === 403 || status === 422 || GIVEN_UP.has(status)
      ? { refused: `http.${status}` }
      : { retry: status === 0 ? String(answer.status_line) : `http.${status}` }
  }

  private movedTo(eci: string): string | undefined {
    const engine = this.around.engine()
    const picoId = engine.lookup(`eci:${eci}`)
    const tombstone = picoId === undefined ? undefined : engine.registered(picoId)?.tombstone
    return typeof tombstone?.movedTo === 'string' ? tombstone.movedTo : undefined
  }

  private async http(body: Extract<Letter['body'], { kind: 'http' }>): Promise<Delivery> {
    return { taken: true, answer: await this.around.client.request(body.request) }
  }

  /** A peer's query: the committed state answers, and the answer is a command on its thread. */
  private async query(
    letter: Letter,
    body: Extract<Letter['body'], { kind: 'query' }>,
    picoId: PicoId,
  ): Promise<Delivery> {
    const engine = this.around.engine()
    try {
      const answer = await engine.query(picoId, {
        outside: false,
        rid: body.rid,
        name: body.name,
        args: body.args,
        depth: 0,
      })
      const told: JsonObject =
        'error' in answer
          ? { error: { code: answer.error.code, message: answer.error.message } }
          : { value: answer.value }
      await engine.submit(
        picoId,
        { kind: 'command', id: letter.id, name: 'pico-answer', args: { threadId: body.threadId, answer: told } },
        'applied',
      )
      return { taken: true }
    } catch (thrown) {
      const { code } = asPicoError(thrown)
      return errorRow(code).retry ? { retry: code } : { refused: code }
    }
  }

  private async remoteQuery(effect: Extract<Effect, { kind: 'query' }>): Promise<Answer> {
    const host = effect.host ?? this.movedTo(effect.eci)
    if (host === undefined) return { error: { code: 'channel.unknown', message: 'there is no such channel here' } }
    const url = `${host.replace(/\/+$/, '')}/c/${encodeURIComponent(effect.eci)}/query/${encodeURIComponent(effect.rid)}/${encodeURIComponent(effect.name)}`
    const response = await this.around.client.request({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(effect.args),
      followRedirect: true,
    })
    const content = parse(String(response.content ?? ''))
    if (response.status_code === 200) return { value: content }
    const told =
      content !== null && typeof content === 'object' && !Array.isArray(content)
        ? (content.error as { code?: string; message?: string } | undefined)
        : undefined
    return {
      error: {
        code: told?.code ?? 'query.unreachable',
        message:
          told?.message ??
          `the engine at ${host} answered ${String(response.status_code)} ${String(response.status_line)}`,
      },
    }
  }
}

function parse(content: string): Json {
  try {
    return JSON.parse(content) as Json
  } catch {
    return content
  }
}

const GIVEN_UP = new Set([400, 413, 415])

function verdict(status: number, reason?: string): Delivery {
  if (status >= 200 && status < 300) return { taken: true }
  return GIVEN_UP.has(status)
    ? { refused: `http.${status}` }
    : { retry: status === 0 ? (reason ?? 'transport.failed') : `http.${status}` }
}

// ---- packing -------------------------------------------------------------------------------------------------------

type Keyring = Parameters<typeof packV1>[1]

const LINE: Address = { uri: '', routingKeys: [] }

function packLetterV1(view: View, keyring: Keyring, body: DidcommBody, direct: boolean): Packed | Fault {
  const own = ownDid(view, body.from)
  if (own === undefined) return fault('envelope.sender_key', 'the sender is no DID of ours')
  const target = targetV1(view, body, direct)
  if (isFault(target)) return target
  const keys = publicKeys(target.recipientKeys)
  const routing = publicKeys(target.routingKeys)
  // Without one of its routing keys a letter would go another way than its peer asked for.
  if (isFault(keys)) return keys
  if (isFault(routing)) return routing
  const envelope = packV1(cryptoNode, keyring, {
    plaintext: utf8(JSON.stringify(body.plaintext)),
    recipients: keys,
    sender: own.verkey,
  })
  if (isFault(envelope)) return envelope
  const wrapped =
    routing.length === 0
      ? envelope
      : packForwardV1(cryptoNode, keyring, { envelope, to: keys[0] as Uint8Array, routingKeys: routing })
  if (isFault(wrapped)) return wrapped
  const names = routing.length === 0 ? keys.map(base58) : []
  return { envelope: wrapped, contentType: MEDIA.v1, uri: target.uri, names }
}

/** Keys in base58 or as did:key. Fault `connection.address` for anything else. */
function publicKeys(names: readonly string[]): Uint8Array[] | Fault {
  const keys: Uint8Array[] = []
  for (const name of names) {
    const key = fromBase58(name) ?? keyBytesOf(name)?.publicKey
    if (key === undefined) return fault('connection.address', `${name} is no key that a message can be packed for`)
    keys.push(key)
  }
  return keys
}

function targetV1(
  view: View,
  body: DidcommBody,
  direct: boolean,
): (Address & { recipientKeys: readonly string[] }) | Fault {
  if (typeof body.to !== 'string') {
    const { serviceEndpoint, routingKeys, recipientKeys } = body.to
    return { ...(direct ? LINE : { uri: serviceEndpoint, routingKeys }), recipientKeys }
  }
  const connection = body.connectionId === undefined ? undefined : readConnection(view, body.connectionId)
  const address = direct ? LINE : connection?.addresses[0]
  if (connection && address && connection.recipientKeys.length > 0 && connection.theirDid === shortForm(body.to))
    return { ...address, recipientKeys: connection.recipientKeys }
  const document = resolverOf(view).resolve(body.to)
  if (isFault(document)) return fault('did.unresolvable', document.message)
  const service = serviceOf(document, 'v1')
  if (service === undefined) return fault('connection.address', 'the peer has no address')
  return direct ? { ...service, ...LINE } : service
}

function packLetterV2(view: View, keyring: Keyring, body: DidcommBody, direct: boolean): Packed | Fault {
  const own = ownDid(view, body.from)
  if (own === undefined || own.agreement === null) return fault('envelope.sender_key', 'the sender is no DID of ours')
  if (typeof body.to !== 'string') return fault('envelope.recipient_key', 'a v2 message goes to a DID')
  const resolve: Resolve = did => resolverOf(view).resolve(did)
  const recipients = recipientKeys(resolve, body.to)
  if (isFault(recipients)) return recipients
  const envelope = packV2(cryptoNode, keyring, {
    plaintext: utf8(JSON.stringify(body.plaintext)),
    recipients,
    sender: own.agreement,
  })
  if (isFault(envelope)) return envelope
  const address = direct ? LINE : addressV2(view, resolve, body, body.to)
  if (isFault(address)) return address
  const wrapped =
    address.routingKeys.length === 0
      ? envelope
      : packForwardV2(cryptoNode, keyring, resolve, { envelope, next: body.to, routingKeys: address.routingKeys })
  if (isFault(wrapped)) return wrapped
  const names = address.routingKeys.length === 0 ? recipients.map(({ kid }) => kid) : []
  return { envelope: wrapped, contentType: MEDIA.v2, uri: address.uri, names }
}

function addressV2(view: View, resolve: Resolve, body: DidcommBody, to: string): Address | Fault {
  const connection = body.connectionId === undefined ? undefined : readConnection(view, body.connectionId)
  const known = connection?.theirDid === shortForm(to) ? connection.addresses[0] : undefined
  const document = known === undefined ? resolve(to) : undefined
  if (document !== undefined && isFault(document)) return fault('did.unresolvable', document.message)
  const address = known ?? (document && serviceOf(document, 'v2'))
  if (address === undefined) return fault('connection.address', 'the peer has no address')
  if (!address.uri.startsWith('did:')) return address
  // A DID as endpoint is the mediator's: its own keys come first on the way; it may not name a DID again.
  const mediator = resolve(didPart(address.uri))
  if (isFault(mediator)) return fault('did.unresolvable', mediator.message)
  const outer = serviceOf(mediator, 'v2')
  if (outer === undefined || outer.uri.startsWith('did:'))
    return fault('connection.address', 'the mediator of the peer has no address')
  return { uri: outer.uri, routingKeys: [...outer.routingKeys, address.uri, ...address.routingKeys] }
}
