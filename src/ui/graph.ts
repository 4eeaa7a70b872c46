// pure
// What the map draws, out of picos and connections: boxes, half-boxes for peers that live elsewhere, lines; and where
// they stand. Boxes that have a place keep it, so that the picture stays calm while things come and go.

import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY } from 'd3-force'
import type { Connection, Pico } from './types.ts'

export interface Node {
  /** The picoId, or `peer/` and the connectionId. */
  readonly id: string
  readonly kind: 'pico' | 'peer'
  readonly label: string
  /** Of a peer's connection; `moved` for a pico that went to another engine. */
  readonly state?: string
  /** Whose peer this is: a click opens that pico. */
  readonly picoId: string
  readonly depth: number
}

export interface Edge {
  readonly id: string
  readonly kind: 'parent' | 'connection'
  readonly from: string
  readonly to: string
  readonly state?: string
}

export interface Graph {
  readonly nodes: readonly Node[]
  readonly edges: readonly Edge[]
}

export interface Point {
  readonly x: number
  readonly y: number
}

export const BOX = { width: 132, height: 36 } as const

/** An invitation nobody answered and a connection that ended are no lines. */
const DRAWN = new Set(['requested', 'responded', 'established'])

/** Two picos of this engine that are connected share one line: the DID of one is the other's peer. */
export function graphOf(picos: readonly Pico[], connections: Readonly<Record<string, readonly Connection[]>>): Graph {
  const depth = depths(picos)
  const nodes: Node[] = picos.map(({ picoId, name, movedTo }) => ({
    id: picoId,
    kind: 'pico',
    label: name,
    picoId,
    depth: depth(picoId),
    ...(movedTo === undefined ? {} : { state: 'moved' }),
  }))
  const here = new Set(picos.map(pico => pico.picoId))
  const edges: Edge[] = picos.flatMap(({ picoId, parentId }) =>
    parentId !== null && here.has(parentId)
      ? [{ id: `child/${picoId}`, kind: 'parent' as const, from: parentId, to: picoId }]
      : [],
  )
  const all = picos.flatMap(({ picoId }) => (connections[picoId] ?? []).map(connection => ({ picoId, connection })))
  const owners = new Map(all.flatMap(({ picoId, connection: { myDid } }) => (myDid === null ? [] : [[myDid, picoId]])))
  for (const { picoId, connection } of all) {
    const { connectionId, state, theirDid, myDid, label } = connection
    if (!DRAWN.has(state)) continue
    const peer = theirDid === null ? undefined : owners.get(theirDid)
    if (peer === undefined) {
      const id = `peer/${connectionId}`
      nodes.push({ id, kind: 'peer', label: label || 'unnamed peer', state, picoId, depth: depth(picoId) + 1 })
      edges.push({ id: `line/${id}`, kind: 'connection', from: picoId, to: id, state })
    } else if (String(myDid) < String(theirDid) || !owners.has(String(myDid)))
      edges.push({ id: `line/${connectionId}`, kind: 'connection', from: picoId, to: peer, state })
  }
  return { nodes, edges }
}

function depths(picos: readonly Pico[]): (picoId: string) => number {
  const parents = new Map(picos.map(pico => [pico.picoId, pico.parentId]))
  const found = new Map<string, number>()
  const depth = (picoId: string): number => {
    const cached = found.get(picoId)
    if (cached !== undefined) return cached
    found.set(picoId, 0)
    const parent = parents.get(picoId)
    const value = parent === null || parent === undefined || !parents.has(parent) ? 0 : depth(parent) + 1
    found.set(picoId, value)
    return value
  }
  return depth
}

/** Boxes are wider than high: the forces work on circles in a plane stretched by this. */
const STRETCH = 1.7
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5))

interface Body {
  readonly id: string
  readonly depth: number
  x: number
  y: number
  fx?: number
  fy?: number
}

/** More new boxes than this at once are given room by all. */
const FEW = 4

/** Places for all nodes. What is `placed` stays there as long as the new ones find room beside it; else all but the
 *  `pinned` make room, from where they stand. Same input, same picture. */
export function arrange(
  graph: Graph,
  placed: ReadonlyMap<string, Point>,
  pinned: ReadonlySet<string> = new Set(),
): Map<string, Point> {
  const fresh = graph.nodes.filter(node => !placed.has(node.id))
  if (fresh.length > 0 && (placed.size === 0 || fresh.length > FEW)) return settle(graph, placed, pinned)
  const calm = settle(graph, placed, new Set(placed.keys()))
  return fresh.some(node => isCrowded(node.id, calm)) ? settle(graph, placed, pinned) : calm
}

function isCrowded(id: string, places: ReadonlyMap<string, Point>): boolean {
  const { x, y } = places.get(id)!
  return [...places].some(
    ([other, place]) => other !== id && Math.abs(place.x - x) < BOX.width && Math.abs(place.y - y) < BOX.height,
  )
}

function settle(graph: Graph, placed: ReadonlyMap<string, Point>, fixed: ReadonlySet<string>): Map<string, Point> {
  const bodies = startingPlaces(graph, placed, fixed)
  if (bodies.some(body => body.fx === undefined)) move(graph, bodies)
  return new Map(bodies.map(({ id, x, y }) => [id, { x: Math.round(x), y: Math.round(y / STRETCH) }]))
}

/** New boxes begin around the one they hang on. */
function startingPlaces(graph: Graph, placed: ReadonlyMap<string, Point>, fixed: ReadonlySet<string>): Body[] {
  const bodies = new Map<string, Body>()
  const origin = new Map(graph.edges.map(edge => [edge.to, edge.from]))
  for (const [n, { id, depth }] of graph.nodes.entries()) {
    const known = placed.get(id)
    const near = bodies.get(origin.get(id) ?? '') ?? { x: 0, y: 0 }
    const away = 100 + 4 * Math.sqrt(n)
    const x = known?.x ?? near.x + away * Math.cos(n * GOLDEN_ANGLE)
    const y = known === undefined ? near.y + 60 + away * Math.sin(n * GOLDEN_ANGLE) : known.y * STRETCH
    bodies.set(id, { id, depth, x, y, ...(known !== undefined && fixed.has(id) ? { fx: x, fy: y } : {}) })
  }
  return [...bodies.values()]
}

function move(graph: Graph, bodies: Body[]): void {
  const links = graph.edges.map(({ from, to, kind }) => ({ source: from, target: to, kind }))
  const ticks = Math.round(Math.min(300, Math.max(50, 20_000 / bodies.length)))
  forceSimulation(bodies)
    .stop()
    .force(
      'link',
      forceLink<Body, (typeof links)[number]>(links)
        .id(body => body.id)
        .distance(150)
        .strength(link => (link.kind === 'parent' ? 0.5 : 0.15)),
    )
    .force('charge', forceManyBody<Body>().strength(-700).distanceMax(700))
    .force('collide', forceCollide<Body>(BOX.width * 0.58).iterations(2))
    .force('x', forceX<Body>(0).strength(0.04))
    .force('y', forceY<Body>(body => body.depth * 190).strength(0.22))
    .alphaDecay(1 - 0.001 ** (1 / ticks))
    .tick(ticks)
}
