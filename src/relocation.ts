// pure
// After a move: where the pico lives now is told to its peers (relocate/1.0), to its parent and to its children
// (DESIGN 5). What must hold from the first step on, the activation itself writes (`apart`).

import { allConnections } from './connection-record.ts'
import { askFeatures, speaksRelocate, tellAddress } from './didcomm.ts'
import { type Connection, children, GROUP, type Run, readSelf, writeSelf } from './pico.ts'
import type { Json, JsonObject, RecordChange, View } from './ports.ts'

export interface PeerTold {
  readonly connectionId: string
  /** It acknowledged the newest address. */
  readonly told: boolean
}

const reachable = ({ state }: Connection): boolean => state === 'established' || state === 'responded'

/** The peers of a pico, and how many of them speak relocate/1.0 and have not yet acknowledged where it lives. */
export function peersTold(view: View): { peers: PeerTold[]; waiting: number } {
  const serial = readSelf(view)?.relocateSerial ?? 0
  const found = allConnections(view).filter(reachable)
  const told = (connection: Connection) => serial > 0 && speaksRelocate(connection) && connection.told >= serial
  return {
    peers: found.map(connection => ({ connectionId: connection.connectionId, told: told(connection) })),
    waiting: found.filter(connection => speaksRelocate(connection) && !told(connection)).length,
  }
}

/** Changes that come with the activation at `to`: family that stayed behind at `from` is reached there from now on. */
export function apart(view: View, from: string, to: string): RecordChange[] {
  const changes: RecordChange[] = []
  const self = readSelf(view)
  if (self === undefined) return changes
  const parentUrl = self.parentId === null ? null : elsewhere(self.parentUrl ?? from, to)
  if (parentUrl !== self.parentUrl)
    changes.push({ group: GROUP.pico, leaf: 'self', value: { ...self, parentUrl } as unknown as Json })
  for (const child of children(view)) {
    const { movedTo, ...rest } = child
    const at = elsewhere(movedTo ?? from, to)
    if (at === (movedTo ?? null)) continue
    changes.push({
      group: GROUP.child,
      leaf: child.picoId,
      value: { ...rest, ...(at === null ? {} : { movedTo: at }) },
    })
  }
  return changes
}

const elsewhere = (url: string, here: string): string | null => (url === here ? null : url)

/** Command `relocate`: tells every peer that speaks it, asks those that never said, and writes to the family. With
 *  `moved`, after a move, also to family on this engine. Answers `{serial, told}`. */
export function relocate(run: Run, moved: boolean): JsonObject {
  const self = readSelf(run.records)
  if (self === undefined) return { serial: 0, told: 0 }
  const peers = allConnections(run.records).filter(reachable)
  if (peers.length > 0) writeSelf(run.records, { ...self, relocateSerial: self.relocateSerial + 1 })
  for (const peer of peers) {
    if (speaksRelocate(peer)) tellAddress(run, peer)
    else if (peer.disclosed === null && peer.state === 'established') askFeatures(run, peer)
  }
  tellFamily(run, moved)
  return { serial: readSelf(run.records)?.relocateSerial ?? 0, told: peers.filter(speaksRelocate).length }
}

function tellFamily(run: Run, moved: boolean): void {
  const self = readSelf(run.records)
  if (self === undefined) return
  const url = run.given.engine.baseUrl
  const tell = (eci: string, host: string | null, name: string) => {
    if (host === null && !moved) return
    const body = { kind: 'event', eci, domain: 'engine', name, attrs: { id: self.picoId, url } } as const
    run.letter(host === null ? body : { ...body, host }, `eci:${eci}`)
  }
  if (self.parentEci !== null) tell(self.parentEci, self.parentUrl, 'child_moved')
  for (const child of children(run.records)) tell(child.eci, child.movedTo ?? null, 'parent_moved')
}
