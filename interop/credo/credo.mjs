// Picomesh and Credo 0.6.3 in both roles: out-of-band 1.1 and didexchange 1.1, then ping and basic message both ways,
// many times over, through Picomesh's command line; one invitation is read off the terminal of `npm start` as a QR.
//
//   node interop/credo/credo.mjs [--short] [--move] [--self] [--record DIR] [--json]

import { fileURLToPath } from 'node:url'
import { PeerUnavailable, startPeer } from '../peer.mjs'
import { npmStart, startEngine } from '../picomesh.mjs'
import { readTerminalQr } from '../qr.mjs'
import { main } from '../report.mjs'
import { agree, equal, establishedWith, talk } from './checks.mjs'
import { installCredo } from './install.mjs'
import { moveSuite } from './move.mjs'
import { selfTest } from './self.mjs'

const REPETITIONS = 20
const SHORT = 3

export const flags = {
  short: `${SHORT} repetitions of each role instead of ${REPETITIONS}`,
  move: 'only the move under traffic',
  self: 'only Credo with Credo',
}

/** Credo takes what the pico gave out, then both sides are checked and talk. */
const takeAndTalk = async (engine, pico, peer, invitation, label) => {
  const { connectionId } = await peer.ask('receive', invitation)
  const theirs = await peer.ask('wait-connected', { connectionId })
  const ours = await establishedWith(engine, pico, theirs.did)
  agree(ours, theirs)
  await talk(engine, pico, ours, peer, theirs, label)
  return ours
}

/** Every third invitation is multi-use: Credo then answers with a fresh key, else with the invitation's own. */
const isMulti = n => n % 3 === 0

/** The forms in which an invitation can reach a wallet, taken in turn. */
const form = (n, { url, shortUrl, invitation }) =>
  [
    { how: 'URL', invitation: { url } },
    { how: 'short URL', invitation: { url: shortUrl } },
    { how: 'JSON', invitation: { invitation } },
  ][(n % 4) % 3]

const picomeshInvites = async (engine, pico, peer, n) => {
  const multi = isMulti(n)
  const made = await engine.cli('invite', pico, '--label', `repetition ${n}`, ...(multi ? ['--multi'] : []))
  const { how, invitation } = form(n, made)
  const ours = await takeAndTalk(engine, pico, peer, invitation, `inviting ${n}`)
  equal(ours.invitationId, made.invitationId, 'invitation of the connection')
  return multi ? `${how}, multi-use` : how
}

const picomeshAccepts = async (engine, pico, peer, n) => {
  const multi = isMulti(n)
  const made = await peer.ask('invite', { label: `Credo ${n}`, multi })
  const given = n % 2 === 0 ? made.url : JSON.stringify(made.invitation)
  const accepted = await engine.cli('accept', pico, given)
  const theirs = await peer.ask('wait-connected', { outOfBandId: made.outOfBandId })
  agree(accepted, theirs)
  await talk(engine, pico, accepted, peer, theirs, `accepting ${n}`)
  return `${n % 2 === 0 ? 'URL' : 'JSON'}${multi ? ', multi-use' : ''}`
}

/** The main job's own invitation: printed by `npm start`, seen as a picture, fetched as JSON by Credo, as a page by others. */
const invitedByQr = async peer => {
  const engine = await npmStart()
  try {
    const url = readTerminalQr(engine.output)
    if (!url) throw new Error(`no QR code can be read in the output of npm start:\n${engine.output}`)
    const page = await fetch(url, { headers: { accept: 'text/html' } })
    equal([page.status, page.headers.get('content-type')?.split(';')[0]], [200, 'text/html'], 'page for a browser')
    const { picoId } = await engine.root()
    await takeAndTalk(engine, picoId, peer, { url }, 'by QR')
    return `QR of npm start: ${url}`
  } finally {
    await engine.stop()
  }
}

/** One role: n repetitions against one engine and one Credo process. */
const role = async (name, agent, repetitions, one, say) => {
  const row = { name, passed: 0, failed: 0 }
  const peer = await startPeer(agent, ['--label', 'Credo'])
  let engine
  try {
    engine = await startEngine()
    const { picoId } = await engine.root()
    for (let n = 1; n <= repetitions; n++) {
      const start = performance.now()
      const time = () => `${Math.round(performance.now() - start)} ms`
      try {
        const how = await one(engine, picoId, peer, n)
        row.passed++
        say(`ok   ${name} ${n}/${repetitions}  ${time()}  ${how}`)
      } catch (error) {
        row.failed++
        say(`FAIL ${name} ${n}/${repetitions}  ${time()}  ${error.message}`)
        const last = peer.log.trim().split('\n').slice(-3).join(' | ')
        if (last) say(`     ${last}`)
      }
    }
  } catch (error) {
    row.failed += repetitions - row.passed - row.failed
    say(`FAIL ${name}: ${error.message}`)
  } finally {
    await Promise.all([engine?.stop(), peer.stop()])
  }
  return row
}

/**
 * The whole suite.
 * @param {{short?: boolean, move?: boolean, self?: boolean, record?: string, say: (line: string) => void}} options
 * @returns {Promise<{name: string, passed: number, failed: number}[]>}
 * @throws {PeerUnavailable} when Credo cannot be had or does not work with itself
 */
export const suite = async ({ short, move, self, record, say }) => {
  const agent = await installCredo(say)
  const proof = await selfTest(agent, { record, say })
  if (proof.some(row => row.failed > 0)) throw new PeerUnavailable('credo: the peer does not work even with itself')
  if (self) return proof
  if (move) return moveSuite(agent, say)
  const repetitions = short ? SHORT : REPETITIONS
  const inviting = (engine, pico, peer, n) => (n === 1 ? invitedByQr(peer) : picomeshInvites(engine, pico, peer, n))
  return [
    await role('credo: Picomesh invites', agent, repetitions, inviting, say),
    await role('credo: Picomesh accepts', agent, repetitions, picomeshAccepts, say),
    ...(await moveSuite(agent, say)),
  ]
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await main([{ name: 'credo', suite, flags }], process.argv.slice(2))
