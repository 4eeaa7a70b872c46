// Invitations as text: out-of-band 1.1 (RFC 0434) with `?oob=`, out-of-band/2.0 with `?_oob=`, and what older agents
// write (`c_i`, `d_m`). We emit unpadded base64url and read every spelling. Labels and goals are the sender's text.

import { decodeBase64, encodeBase64url, neutralJson, parseJson, utf8 } from './attachment.ts'
import {
  type Attachment,
  compact,
  isExpired,
  isObject,
  isProblem,
  type Json,
  type JsonObject,
  type Problem,
  parseMessage,
  problem,
  text,
  texts,
  type Version,
} from './message.ts'
import type { Service, Turn } from './turn.ts'

export interface Invitation {
  readonly id: string
  readonly version: Version
  readonly label: string
  readonly goalCode?: string
  readonly goal?: string
  /** v2: the inviter's DID. */
  readonly from?: string
  /** v1: DIDs and inline services, in order of preference. Keys as found. */
  readonly services: readonly (string | Service)[]
  /** PIURIs. */
  readonly handshakeProtocols: readonly string[]
  readonly requests: readonly Attachment[]
  /** Seconds. */
  readonly expiresTime?: number
  /** As received. */
  readonly json: JsonObject
}

/** Handshake protocols we offer, best first: ACA-Py takes the first it knows. */
const HANDSHAKES = ['https://didcomm.org/didexchange/1.1', 'https://didcomm.org/didexchange/1.0']

/** Our invitation as JSON. A label always stands in it: ACA-Py refuses one without. `key`: did:key (v1); `from`: a DID (v2). */
export function buildInvitation(turn: Turn, id: string): JsonObject {
  const { args, data } = turn
  const goal = { goal_code: text(args, 'goal'), goal: text(args, 'goalText') }
  const expires = typeof data.expiresTime === 'number' ? data.expiresTime : undefined
  const label = text(data, 'label') ?? ''
  if (turn.version === 'v2') {
    const body = compact({ ...goal, label, accept: ['didcomm/v2'] })
    return compact({
      type: 'https://didcomm.org/out-of-band/2.0/invitation',
      id,
      from: text(data, 'did'),
      expires_time: expires,
      body,
    })
  }
  const service = compact({
    id: '#inline',
    type: 'did-communication',
    recipientKeys: [text(data, 'key')!],
    routingKeys: turn.endpoint.routingKeys.length > 0 ? [...turn.endpoint.routingKeys] : undefined,
    serviceEndpoint: turn.endpoint.uri,
  })
  return compact({
    '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
    '@id': id,
    label,
    ...goal,
    accept: ['didcomm/aip2;env=rfc19', 'didcomm/aip1'],
    handshake_protocols: HANDSHAKES,
    services: [service],
    '~timing': expires === undefined ? undefined : { expires_time: new Date(expires * 1000).toISOString() },
  })
}

/** `<base>?oob=…` or `<base>?_oob=…`. */
export function invitationUrl(baseUrl: string, invitation: JsonObject): string {
  const encoded = encodeBase64url(new TextEncoder().encode(neutralJson(invitation)))
  return `${baseUrl}?${Object.hasOwn(invitation, '@type') ? 'oob' : '_oob'}=${encoded}`
}

/** The invitation in a URL, a JSON text or a JSON object. `invitation.short`: a URL to fetch as JSON first. */
export function readInvitation(given: Json | undefined): Invitation | Problem {
  if (isObject(given)) return parseInvitation(given)
  if (typeof given !== 'string') return malformed('an invitation is a URL or a JSON object')
  const source = given.trim()
  if (source.startsWith('{')) return fromText(source)
  const parameter = /[?&#](?:oob|_oob|c_i|d_m)=([^&#\s]*)/.exec(source)
  if (!parameter) {
    return /^https?:\/\/\S+$/.test(source)
      ? problem('invitation.short', 'the URL holds no invitation; fetch it as JSON')
      : malformed('that is neither a URL nor JSON')
  }
  const encoded = parameter[1]!.replace(/%3d/gi, '=').replace(/%2b/gi, '+').replace(/%2f/gi, '/')
  const bytes = decodeBase64(encoded)
  const decoded = bytes && utf8(bytes)
  return decoded === undefined ? malformed('the invitation in the URL is not base64url') : fromText(decoded)
}

function fromText(source: string): Invitation | Problem {
  const json = parseJson(source, 'invitation')
  return isProblem(json) || !isObject(json.value)
    ? malformed('the invitation is not a JSON object')
    : parseInvitation(json.value)
}

function malformed(message: string, place = 'invitation'): Problem {
  return problem('invitation.malformed', message, place)
}

function parseInvitation(json: JsonObject): Invitation | Problem {
  const message = parseMessage(json, Object.hasOwn(json, '@type') ? 'v1' : 'v2')
  if (isProblem(message)) return malformed(message.message, message.place)
  const { body, version, id, type } = message
  const common = {
    id,
    version,
    json,
    ...(message.expiresTime !== undefined && { expiresTime: message.expiresTime }),
    ...(text(body, 'goal_code') !== undefined && { goalCode: text(body, 'goal_code')! }),
    ...(text(body, 'goal') !== undefined && { goal: text(body, 'goal')! }),
    label: (text(body, 'label') ?? '').slice(0, 255),
  }
  if (/\/out-of-band\/2\.\d+\/invitation$/.test(type)) {
    const { from } = message
    if (!from?.startsWith('did:')) return malformed('the invitation names no DID', 'from')
    return { ...common, from, services: [], handshakeProtocols: [], requests: message.attachments }
  }
  if (/\/out-of-band\/1\.\d+\/invitation$/.test(type)) {
    const services = readServices(body.services)
    if (!services) return malformed('the services are not DIDs or inline services', 'services')
    const handshakeProtocols = texts(body, 'handshake_protocols') ?? []
    const requests = message.attachments.filter(item => item.slot === 'requests')
    if (handshakeProtocols.length + requests.length === 0)
      return malformed('the invitation asks for nothing', 'handshake_protocols')
    return { ...common, services, handshakeProtocols, requests }
  }
  if (/\/connections\/1\.\d+\/invitation$/.test(type)) {
    const services = text(body, 'did') ? [text(body, 'did')!] : readServices([body])
    if (!services) return malformed('the invitation has neither a DID nor keys', 'recipientKeys')
    return { ...common, services, handshakeProtocols: ['https://didcomm.org/connections/1.0'], requests: [] }
  }
  return malformed('the type is not that of an invitation', 'type')
}

/** An absent list is an empty one (connectionless requests carry their own service). */
function readServices(value: Json | undefined): (string | Service)[] | undefined {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length > 20) return undefined
  const read = value.map(item => (typeof item === 'string' && item.startsWith('did:') ? item : readService(item)))
  return read.every(item => item !== undefined) ? read : undefined
}

function readService(value: Json): Service | undefined {
  if (!isObject(value)) return undefined
  const recipientKeys = texts(value, 'recipientKeys')
  const serviceEndpoint = text(value, 'serviceEndpoint')
  if (!recipientKeys?.length || !serviceEndpoint) return undefined
  return { recipientKeys, routingKeys: texts(value, 'routingKeys') ?? [], serviceEndpoint }
}

/** The handshake an invitation asks for and we speak, or why there is none. `now` in milliseconds. */
export function handshakeFor(
  invitation: Invitation,
  now: number,
): { name: 'didexchange'; piuri: string } | { name: 'first-contact' } | Problem {
  if (isExpired({ expiresTime: invitation.expiresTime } as Parameters<typeof isExpired>[0], now)) {
    return problem('invitation.expired', 'the invitation has expired')
  }
  if (invitation.version === 'v2') return { name: 'first-contact' }
  if (invitation.services.length === 0) return problem('invitation.unsupported', 'the invitation names no service')
  const offered = invitation.handshakeProtocols.map(uri =>
    uri.replace('did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/', 'https://didcomm.org/'),
  )
  const minors = offered
    .map(uri => /^https:\/\/didcomm\.org\/didexchange\/1\.(\d+|x)$/.exec(uri)?.[1])
    .filter(minor => minor !== undefined)
  if (minors.length === 0)
    return problem(
      'invitation.unsupported',
      `none of these handshakes is spoken here: ${offered.join(', ').slice(0, 200)}`,
    )
  return {
    name: 'didexchange',
    piuri: `https://didcomm.org/didexchange/1.${minors.every(minor => minor === '0') ? 0 : 1}`,
  }
}
