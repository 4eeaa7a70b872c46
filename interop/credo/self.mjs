// The peer against itself: two Credo processes connect, ping and talk. It proves the peer before Picomesh is blamed,
// and with a folder given it writes what Credo really sends (RFC 0434, 0023, 0048, 0095), for a developer to read.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPeer } from '../peer.mjs'
import { connectPeers, equal, talkPeers } from './checks.mjs'

const lines = file =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))

/**
 * @param {string} agent path of the installed agent
 * @param {{record?: string, say: (line: string) => void}} options `record`: folder for `inviter.json`, `invitee.json`
 * @returns {Promise<{name: string, passed: number, failed: number}[]>}
 */
export const selfTest = async (agent, { record, say }) => {
  const files = {}
  if (record) mkdirSync(record, { recursive: true })
  const start = async role => {
    const args = ['--label', `Credo ${role}`]
    if (record) {
      files[role] = join(record, `${role}.jsonl`)
      rmSync(files[role], { force: true })
      args.push('--record', files[role])
    }
    return startPeer(agent, args)
  }
  const row = { name: 'credo - credo', passed: 0, failed: 0 }
  const [inviter, invitee] = [await start('inviter'), await start('invitee')]
  try {
    const start = performance.now()
    const pair = await connectPeers(inviter, invitee)
    await talkPeers(inviter, invitee, pair)
    equal(inviter.refusals.concat(invitee.refusals), [], 'HTTP refusals')
    say(`ok   credo - credo: connection, ping and message both ways  ${Math.round(performance.now() - start)} ms`)
    row.passed = 1
  } catch (error) {
    row.failed = 1
    say(`FAIL credo - credo: ${error.message}`)
  } finally {
    await Promise.all([inviter.stop(), invitee.stop()])
  }
  for (const [role, file] of Object.entries(files)) {
    if (!existsSync(file)) continue
    writeFileSync(join(record, `${role}.json`), `${JSON.stringify(lines(file), null, 2)}\n`)
    rmSync(file)
  }
  return [row]
}
