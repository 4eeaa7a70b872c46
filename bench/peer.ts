// A DIDComm v1 peer made of nothing but the wallet: accepts an invitation by DID Exchange 1.1 (RFC 0023) over
// return-route (RFC 0092), then packs messages. So what is measured is the engine alone, and what it is sent is ready.

import {
  base58,
  base64url,
  type Crypto,
  cryptoNode,
  didKey,
  encodeMultikey,
  isFault,
  type Keyring,
  keyBytesOf,
  makeKeyring,
  makePeer4,
  makeResolver,
  openV1,
  packV1,
  peek,
  text,
  utf8,
} from '../wallet/index.ts'

type Json = { readonly [member: string]: unknown }

export interface Peer {
  /** An envelope for the connection, authcrypt. */
  pack(message: Json): Uint8Array
}

const crypto: Crypto = cryptoNode
const AIP = 'https://didcomm.org'

interface Mine {
  readonly did: string
  readonly verkey: string
  readonly keyring: Keyring
}

/** Connects over `post`, which gives the envelope that came back, or none. `endpoint`: where letters to us may go. */
export async function connect(
  invitation: Json,
  endpoint: string,
  post: (envelope: Uint8Array) => Promise<Uint8Array | undefined>,
): Promise<Peer> {
  const mine = newIdentity(endpoint)
  const [service] = invitation.services as { recipientKeys: string[] }[]
  const theirs = keyBytesOf(service?.recipientKeys[0] as string)?.publicKey as Uint8Array
  const id = crypto.randomBytes(16)
  const thread = { thid: base64url(id), pthid: invitation['@id'] }
  const request = {
    '@type': `${AIP}/didexchange/1.1/request`,
    '@id': thread.thid,
    '~thread': thread,
    '~transport': { return_route: 'all' },
    label: 'bench',
    did: mine.did,
  }
  const answer = await post(pack(mine, theirs, request))
  if (answer === undefined) throw new Error('no response to the request came back')
  const response = open(mine, answer)
  const document = makeResolver().resolve(String(response.did))
  if (isFault(document)) throw new Error(`${JSON.stringify(response)}: ${document.message}`)
  const their = document.verificationMethod.find(method => method.keyType === 'Ed25519')?.publicKey as Uint8Array
  await post(
    pack(mine, their, {
      '@type': `${AIP}/didexchange/1.1/complete`,
      '@id': base64url(crypto.randomBytes(16)),
      '~thread': thread,
    }),
  )
  return { pack: message => pack(mine, their, message) }
}

function newIdentity(endpoint: string): Mine {
  const seed = crypto.randomBytes(32)
  const { publicKey } = crypto.ed25519KeyPair(seed)
  const agreement = crypto.ed25519ToX25519Public(publicKey) as Uint8Array
  const { long } = makePeer4({
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    verificationMethod: [
      { id: '#key-0', type: 'Multikey', publicKeyMultibase: encodeMultikey('Ed25519', publicKey) },
      { id: '#key-1', type: 'Multikey', publicKeyMultibase: encodeMultikey('X25519', agreement) },
    ],
    authentication: ['#key-0'],
    keyAgreement: ['#key-1'],
    service: [
      {
        id: '#service',
        type: 'did-communication',
        priority: 0,
        recipientKeys: [didKey('Ed25519', publicKey)],
        routingKeys: [],
        serviceEndpoint: endpoint,
      },
    ],
  })
  const verkey = base58(publicKey)
  const stored = { type: 'Ed25519', seed: base64url(seed) } as const
  return { did: long, verkey, keyring: makeKeyring(crypto, kid => (kid === verkey ? stored : undefined)) }
}

function pack(mine: Mine, recipient: Uint8Array, message: Json): Uint8Array {
  const envelope = packV1(crypto, mine.keyring, {
    plaintext: utf8(JSON.stringify(message)),
    recipients: [recipient],
    sender: mine.verkey,
  })
  if (isFault(envelope)) throw new Error(envelope.message)
  return envelope
}

function open(mine: Mine, bytes: Uint8Array): Json {
  const envelope = peek(bytes)
  if (isFault(envelope) || envelope.version !== 'v1') throw new Error('no v1 envelope came back')
  const opened = openV1(crypto, mine.keyring, envelope)
  if (isFault(opened)) throw new Error(opened.message)
  return JSON.parse(text(opened.plaintext)) as Json
}
