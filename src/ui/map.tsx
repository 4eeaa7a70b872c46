// The map of the picos: parent lines solid, connections dotted, peers elsewhere as half-boxes. Boxes can be dragged, the
// map moved and zoomed; a click or Enter opens a pico.

import { memo, type PointerEvent, useEffect, useMemo, useRef, useState } from 'react'
import { useConsole } from './console.ts'
import { arrange, BOX, type Edge, type Graph, graphOf, type Node, type Point } from './graph.ts'
import { known, picos } from './state.ts'
import type { Connection } from './types.ts'

interface Camera {
  readonly x: number
  readonly y: number
  /** Pixels on the screen for one of the map. */
  readonly scale: number
}

const SCALES = { least: 0.1, most: 2.5 } as const
/** A press that moves less than this is a click, pixels. */
const STILL = 4

export function PicoMap() {
  const { state, dispatch } = useConsole()
  const graph = useGraph()
  const [places, move] = usePlaces(graph)
  const box = useRef<SVGSVGElement>(null)
  const { camera, turn, showAll } = useCamera(box, places, graph.nodes.length, state.selected)
  useWheel(box, turn)
  const pan = useDrag((dx, dy) => turn(at => ({ ...at, x: at.x + dx, y: at.y + dy })))
  const zoom = (factor: number) => turn(at => zoomed(at, factor, middle(box.current)))
  const wanted = state.search.trim().toLowerCase()
  const [open] = useState(() => (picoId: string) => dispatch({ do: 'open', picoId }))
  return (
    <section className="map" aria-label="Map of the picos">
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset cannot stand for a drawing */}
      <svg ref={box} {...pan} aria-label="Picos and their connections" role="group">
        <g transform={`translate(${camera.x} ${camera.y}) scale(${camera.scale})`}>
          {graph.edges.map(edge => (
            <Line key={edge.id} edge={edge} from={places.get(edge.from)} to={places.get(edge.to)} />
          ))}
          {graph.nodes.map(node => (
            <Box
              key={node.id}
              node={node}
              place={places.get(node.id)}
              scale={camera.scale}
              selected={node.kind === 'pico' && node.id === state.selected}
              faint={wanted !== '' && !node.label.toLowerCase().includes(wanted)}
              onOpen={open}
              onMove={move}
            />
          ))}
        </g>
      </svg>
      <div className="zoom">
        <button type="button" aria-label="Zoom in" onClick={() => zoom(1.25)}>
          +
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => zoom(0.8)}>
          −
        </button>
        <button type="button" onClick={showAll}>
          Fit
        </button>
      </div>
      <p className="legend" aria-hidden="true">
        <span className="parent-key" /> parent and child <span className="connection-key" /> connection
      </p>
    </section>
  )
}

type Turn = (change: (at: Camera) => Camera) => void
type Drawing = { readonly current: SVGSVGElement | null }

/** Shows everything, whatever the map's size and however many boxes, until the owner turns the camera; then it only
 *  brings the box that was chosen into sight. */
function useCamera(box: Drawing, places: ReadonlyMap<string, Point>, size: number, chosen: string | null) {
  const [camera, setCamera] = useState<Camera>({ x: 0, y: 0, scale: 1 })
  const own = useRef(false)
  const latest = useRef(places)
  latest.current = places
  const [{ turn, showAll }] = useState(() => ({
    turn: (change: (at: Camera) => Camera) => {
      own.current = true
      setCamera(change)
    },
    showAll: () => {
      own.current = false
      if (box.current !== null) setCamera(fitting(latest.current, box.current.getBoundingClientRect()))
    },
  }))
  useEffect(() => {
    if (size > 0 && !own.current) showAll()
  }, [size, showAll])
  useEffect(() => {
    const observer = new ResizeObserver(() => own.current || showAll())
    if (box.current !== null) observer.observe(box.current)
    return () => observer.disconnect()
  }, [box, showAll])
  useEffect(() => {
    const place = latest.current.get(chosen ?? '')
    const room = box.current?.getBoundingClientRect()
    if (place !== undefined && room !== undefined && own.current) setCamera(at => inSight(at, place, room))
  }, [box, chosen])
  return { camera, turn, showAll }
}

function inSight(at: Camera, place: Point, room: { width: number; height: number }): Camera {
  const [x, y] = [at.x + place.x * at.scale, at.y + place.y * at.scale]
  const [marginX, marginY] = [(BOX.width / 2 + 8) * at.scale, (BOX.height / 2 + 8) * at.scale]
  const dx = Math.max(marginX - x, 0) + Math.min(room.width - marginX - x, 0)
  const dy = Math.max(marginY - y, 0) + Math.min(room.height - marginY - y, 0)
  return dx === 0 && dy === 0 ? at : { ...at, x: at.x + dx, y: at.y + dy }
}

/** The graph changes only with what it is made of. */
function useGraph(): Graph {
  const { state } = useConsole()
  const all = picos(state)
  const lists = all.map(pico => known<readonly Connection[]>(state, 'connections', pico.picoId))
  // biome-ignore lint/correctness/useExhaustiveDependencies: each list is compared by itself
  return useMemo(
    () => graphOf(all, Object.fromEntries(all.map((pico, n) => [pico.picoId, lists[n] ?? []]))),
    // A list as long as the picos would change the number of dependencies: they are told apart by identity.
    [all, useSame(lists)],
  )
}

/** The list given before, while every member is the same. */
function useSame<T>(list: readonly T[]): readonly T[] {
  const before = useRef(list)
  const { current } = before
  if (current.length !== list.length || current.some((member, n) => member !== list[n])) before.current = list
  return before.current
}

type Move = (id: string, dx: number, dy: number) => void

/** Where the boxes stand: arranged when the graph changes, and wherever they were dragged to. */
function usePlaces(graph: Graph): [ReadonlyMap<string, Point>, Move] {
  const places = useRef<ReadonlyMap<string, Point>>(new Map())
  const dragged = useRef(new Set<string>())
  const [, redraw] = useState(0)
  useMemo(() => {
    places.current = arrange(graph, places.current, dragged.current)
  }, [graph])
  const [move] = useState<Move>(() => (id: string, dx: number, dy: number) => {
    const place = places.current.get(id)
    if (place === undefined) return
    dragged.current.add(id)
    places.current = new Map(places.current).set(id, { x: place.x + dx, y: place.y + dy })
    redraw(n => n + 1)
  })
  return [places.current, move]
}

/** Pointer handlers that give the way since the last call; a press without a way is left to click. */
function useDrag(onDrag: (dx: number, dy: number) => void, onStill?: () => void) {
  const last = useRef<Point | undefined>(undefined)
  const way = useRef(0)
  return {
    onPointerDown(event: PointerEvent<SVGElement>) {
      if (event.button !== 0) return
      event.stopPropagation()
      event.currentTarget.setPointerCapture(event.pointerId)
      last.current = { x: event.clientX, y: event.clientY }
      way.current = 0
    },
    onPointerMove(event: PointerEvent<SVGElement>) {
      if (last.current === undefined) return
      const [dx, dy] = [event.clientX - last.current.x, event.clientY - last.current.y]
      way.current += Math.hypot(dx, dy)
      last.current = { x: event.clientX, y: event.clientY }
      if (way.current >= STILL) onDrag(dx, dy)
    },
    onPointerUp() {
      if (last.current !== undefined && way.current < STILL) onStill?.()
      last.current = undefined
    },
    onPointerCancel() {
      last.current = undefined
    },
  }
}

function useWheel(box: Drawing, turn: Turn): void {
  useEffect(() => {
    const { current } = box
    const onWheel = (event: WheelEvent) => {
      event.preventDefault()
      const { left, top } = (event.currentTarget as Element).getBoundingClientRect()
      const about = { x: event.clientX - left, y: event.clientY - top }
      turn(at => zoomed(at, Math.exp(-event.deltaY / 500), about))
    }
    current?.addEventListener('wheel', onWheel, { passive: false })
    return () => current?.removeEventListener('wheel', onWheel)
  }, [box, turn])
}

function zoomed(at: Camera, factor: number, about: Point): Camera {
  const scale = Math.min(SCALES.most, Math.max(SCALES.least, at.scale * factor))
  const ratio = scale / at.scale
  return { scale, x: about.x - (about.x - at.x) * ratio, y: about.y - (about.y - at.y) * ratio }
}

function middle(box: Element | null): Point {
  const { width = 0, height = 0 } = box?.getBoundingClientRect() ?? {}
  return { x: width / 2, y: height / 2 }
}

function fitting(places: ReadonlyMap<string, Point>, { width, height }: { width: number; height: number }): Camera {
  const all = [...places.values()]
  if (all.length === 0) return { x: 0, y: 0, scale: 1 }
  const [left, right] = [Math.min(...all.map(p => p.x)) - BOX.width, Math.max(...all.map(p => p.x)) + BOX.width]
  const [top, bottom] = [
    Math.min(...all.map(p => p.y)) - 2 * BOX.height,
    Math.max(...all.map(p => p.y)) + 2 * BOX.height,
  ]
  const scale = Math.min(1.2, Math.max(SCALES.least, Math.min(width / (right - left), height / (bottom - top))))
  return { scale, x: (width - scale * (left + right)) / 2, y: (height - scale * (top + bottom)) / 2 }
}

const Line = memo(function Line({ edge, from, to }: { edge: Edge; from: Point | undefined; to: Point | undefined }) {
  if (from === undefined || to === undefined) return null
  return <line className={`${edge.kind} ${edge.state ?? ''}`} x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
})

interface BoxProps {
  readonly node: Node
  readonly place: Point | undefined
  readonly scale: number
  readonly selected: boolean
  readonly faint: boolean
  readonly onOpen: (picoId: string) => void
  readonly onMove: Move
}

const { width: W, height: H } = BOX
/** Letters of a label that fit; a dot stands before a peer's. */
const LETTERS = { pico: 15, peer: 12 } as const
/** A peer's box is open where the rest of it is: elsewhere. */
const HALF = `M${W / 2 - 12} ${-H / 2}H${-W / 2 + 4}q-4 0 -4 4V${H / 2 - 4}q0 4 4 4H${W / 2 - 12}`

const Box = memo(function Box({ node, place, scale, selected, faint, onOpen, onMove }: BoxProps) {
  const open = () => onOpen(node.picoId)
  const drag = useDrag((dx, dy) => onMove(node.id, dx / scale, dy / scale), open)
  if (place === undefined) return null
  const peer = node.kind === 'peer'
  const label = peer ? `Peer ${node.label}, ${node.state}` : `Pico ${node.label}`
  return (
    // biome-ignore lint/a11y/useSemanticElements: SVG has no button
    <g
      className={`box ${node.kind} ${node.kind === 'pico' ? (node.state ?? '') : ''}${selected ? ' selected' : ''}${faint ? ' faint' : ''}`}
      transform={`translate(${place.x} ${place.y})`}
      role="button"
      tabIndex={0}
      aria-label={label}
      aria-pressed={selected}
      onKeyDown={event => {
        if (event.key !== 'Enter' && event.key !== ' ') return
        event.preventDefault()
        open()
      }}
      {...drag}
    >
      {peer ? (
        <>
          <rect className="ground" x={-W / 2} y={-H / 2} width={W} height={H} />
          <path d={HALF} />
          <circle className={`dot ${node.state}`} cx={-W / 2 + 14} r={4.5} />
        </>
      ) : (
        <rect x={-W / 2} y={-H / 2} width={W} height={H} rx={5} />
      )}
      <text x={peer ? -W / 2 + 24 : 0} dy="0.35em" textAnchor={peer ? 'start' : 'middle'}>
        {node.label.length > LETTERS[node.kind] ? `${node.label.slice(0, LETTERS[node.kind] - 1)}…` : node.label}
      </text>
      <title>{label}</title>
    </g>
  )
})
