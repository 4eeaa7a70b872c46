// What must hold when all is quiet: each side knows the other once and alike, nothing acknowledged is lost or doubled or
// out of order, nothing waits, and nobody is a dead letter.

import type { Machine } from './machine.ts'
import type { Party, Talk, Tally } from './talk.ts'
import type { Time } from './time.ts'

const QUEUES = ['inbox', 'held', 'outbox']
const QUIET_MS = 2 * 3_600_000

/** Waits until all queues are empty, then looks at everything. */
export async function check(
  talk: Talk,
  time: Time,
  machines: readonly Machine[],
  moved: boolean,
  fail: (what: string) => void,
): Promise<void> {
  const end = time.now + QUIET_MS
  // Twice: mail may change place between two looks of one round.
  for (let quiet = 0; quiet < 2; ) {
    const waiting = (await Promise.all(talk.parties.map(party => pending(talk, party, machines)))).flat()
    quiet = waiting.length === 0 ? quiet + 1 : 0
    if (time.now > end) return fail(`not quiet: ${waiting.join(', ')}`)
    await time.sleep(1_000)
  }
  const tallies = new Map<Party, Tally>()
  for (const party of talk.parties) tallies.set(party, await talk.look(party))
  for (const party of talk.parties) {
    await bonds(talk, party, fail)
    events(party, tallies, moved, fail)
    await dead(talk, party, fail)
  }
  await copies(talk, machines, fail)
}

/** Records that still wait, by group; at an engine that the pico left, mail to be passed on. */
async function pending(talk: Talk, party: Party, machines: readonly Machine[]): Promise<string[]> {
  const counts = await talk.on(party, node =>
    Promise.all(QUEUES.map(group => node.engine.read(party.picoId, view => view.list(group).length))),
  )
  const found = QUEUES.map((group, i) => [`${party.name} ${group}`, counts[i] as number] as const)
  for (const machine of machines.filter(({ gone }) => !gone)) {
    const left = await talk.on({ machine }, async ({ engine }) =>
      engine.registered(party.picoId)?.status === 'retired' ? (await engine.custody.held(party.picoId)).length : 0,
    )
    found.push([`${party.name} held on ${machine.name}`, left])
  }
  return found.flatMap(([what, count]) => (count === 0 ? [] : [`${what} ${count}`]))
}

/** Established on both sides under mirrored DIDs, each once, under the ids and DIDs they began with. */
async function bonds(talk: Talk, party: Party, fail: (what: string) => void): Promise<void> {
  const records = await talk.connections(party)
  if (records.length !== party.bonds.length)
    fail(`${party.name} has ${records.length} connections, not ${party.bonds.length}`)
  for (const bond of party.bonds) {
    const record = records.find(one => one.connectionId === bond.connectionId)
    if (record?.state !== 'established')
      fail(`${party.name}: connection ${bond.connectionId} is ${String(record?.state)}`)
    if (record?.myDid !== bond.myDid) fail(`${party.name}: another DID of its own on ${bond.connectionId}`)
    if (record?.theirDid !== bond.other?.myDid) fail(`${party.name}: not the DID of its peer on ${bond.connectionId}`)
  }
}

/** What was acknowledged is there once at each of three places: sent here, got there, back here; and in the order it was
 *  sent, unless a pico moved: then what its old engine passes on may come after what its new one takes. */
function events(party: Party, tallies: ReadonlyMap<Party, Tally>, moved: boolean, fail: (what: string) => void): void {
  const order = (list: readonly string[]) => (moved ? [...list].sort() : list)
  const own = tallies.get(party) as Tally
  same(`${party.name} sent`, [...own.sent].sort(), [...party.acknowledged].sort(), fail)
  for (const [i, bond] of party.bonds.entries()) {
    const mine = (n: string) => n.startsWith(`${party.name}${i}-`)
    const sent = own.sent.filter(mine)
    same(
      `${bond.peer.name} got from ${party.name}`,
      order((tallies.get(bond.peer) as Tally).got.filter(mine)),
      order(sent),
      fail,
    )
    same(`${party.name} got back`, order(own.back.filter(mine)), order(sent), fail)
  }
}

function same(what: string, found: readonly string[], wanted: readonly string[], fail: (what: string) => void): void {
  if (found.join() === wanted.join()) return
  const lost = wanted.filter(n => !found.includes(n))
  const doubled = found.filter((n, i) => found.indexOf(n) !== i)
  const strange = found.filter(n => !wanted.includes(n))
  fail(
    `${what}: lost [${lost.join()}] doubled [${doubled.join()}] strange [${strange.join()}] of [${wanted.join()}], found [${found.join()}]`,
  )
}

async function dead(talk: Talk, party: Party, fail: (what: string) => void): Promise<void> {
  const letters = await talk.on(party, node => node.owner.verb('dead.ls', { pico: party.picoId }))
  if (Array.isArray(letters) && letters.length > 0) fail(`${party.name} has dead letters: ${JSON.stringify(letters)}`)
}

/** Each pico is live on one machine, the one that its people know. */
async function copies(talk: Talk, machines: readonly Machine[], fail: (what: string) => void): Promise<void> {
  for (const party of talk.parties) {
    const live: string[] = []
    for (const machine of machines.filter(({ gone }) => !gone)) {
      const registered = await talk.on({ machine }, async node => node.engine.registered(party.picoId))
      if (registered?.status === 'live') live.push(machine.name)
    }
    if (live.join() !== party.machine.name)
      fail(`${party.name} is live on [${live.join()}], not on ${party.machine.name}`)
  }
}
