// What one repetition with Credo checks, whoever invites: established on both sides under the same DIDs (RFC 0023),
// ping both ways (RFC 0048), a basic message both ways with its text (RFC 0095), each of them exactly once.

import { until } from '../peer.mjs'

/** Throws with both values unless they are equal as JSON. */
export const equal = (actual, expected, what) => {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== e) throw new Error(`${what}: expected ${e}, got ${a}`)
}

/** A did:peer:4 in its short form, any other DID as it is: either side may show the long form for a while. */
export const shortDid = did => (did?.startsWith('did:peer:4z') ? did.split(':').slice(0, 3).join(':') : did)

/** A text with what breaks naive stacks: quotes, a line break, characters outside Latin-1 and outside the BMP. */
export const text = label => `${label} "quoted" \\ línea\nδύο 🐦`

/** The one message with that text, exactly once. */
const once = (messages, member, content) => {
  equal(messages.filter(message => message[member] === content).length, 1, `copies of ${JSON.stringify(content)}`)
}

// ---- Credo with Credo ------------------------------------------------------------------------------------

export const connectPeers = async (inviter, invitee) => {
  const { outOfBandId, url } = await inviter.ask('invite')
  const { connectionId } = await invitee.ask('receive', { url })
  const b = await invitee.ask('wait-connected', { connectionId })
  const a = await inviter.ask('wait-connected', { outOfBandId })
  equal([shortDid(a.did), shortDid(a.theirDid)], [shortDid(b.theirDid), shortDid(b.did)], 'DIDs of the two sides')
  return { a, b }
}

export const talkPeers = async (inviter, invitee, { a, b }) => {
  await inviter.ask('ping', { connectionId: a.connectionId })
  await invitee.ask('ping', { connectionId: b.connectionId })
  for (const [from, to, sender, receiver] of [
    [inviter, invitee, a, b],
    [invitee, inviter, b, a],
  ]) {
    const content = text(from.facts.label)
    await from.ask('message', { connectionId: sender.connectionId, content })
    await to.event(event => event.event === 'message' && event.content === content, 'the message did not arrive')
    once(await to.ask('messages', { connectionId: receiver.connectionId }), 'content', content)
  }
}

// ---- Picomesh with Credo ---------------------------------------------------------------------------------

/** The pico's connection with this DID on the other side, once it is established. */
export const establishedWith = (engine, pico, did) =>
  until(async () => {
    const found = (await engine.cli('connection', 'ls', pico)).find(one => shortDid(one.theirDid) === shortDid(did))
    if (found?.state === 'failed') throw new Error(`Picomesh's connection failed: ${JSON.stringify(found)}`)
    return found?.state === 'established' ? found : undefined
  }, 'Picomesh has no established connection with the DID of Credo')

/** Both records tell of the same relation. */
export const agree = (ours, theirs) => {
  equal(theirs.state, 'completed', "Credo's state")
  equal(ours.state, 'established', "Picomesh's state")
  equal(shortDid(ours.myDid), shortDid(theirs.theirDid), "Picomesh's DID as Credo knows it")
  equal(shortDid(ours.theirDid), shortDid(theirs.did), "Credo's DID as Picomesh knows it")
  equal(ours.version, 'v1', 'version of the connection')
}

/** Ping and message both ways over an established connection. */
export const talk = async (engine, pico, ours, peer, theirs, label) => {
  const { connectionId } = theirs
  const pong = await engine.cli('ping', pico, ours.connectionId)
  equal(pong.ok, true, 'ping of Picomesh')
  await peer.ask('ping', { connectionId })

  const out = text(`${label} from Picomesh`)
  await engine.cli('msg', 'send', pico, ours.connectionId, out)
  await peer.event(event => event.event === 'message' && event.content === out, 'the message did not reach Credo')
  once(await peer.ask('messages', { connectionId }), 'content', out)

  const back = text(`${label} from Credo`)
  await peer.ask('message', { connectionId, content: back })
  const list = () => engine.cli('msg', 'ls', pico, ours.connectionId)
  const incoming = async () => (await list()).filter(one => one.direction === 'in')
  await until(async () => (await incoming()).find(one => one.text === back), 'the message did not reach Picomesh')
  once(await incoming(), 'text', back)
}
