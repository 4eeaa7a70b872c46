// A foreign agent as the suites see it: a process that takes commands as JSON lines and answers with results and
// events. Common to all peers, whatever they are made of.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const ANSWER_MS = 30_000
const STOP_MS = 5_000

/** The peer could not be installed or started: nothing was tested, which is neither passed nor failed (exit 3). */
export class PeerUnavailable extends Error {}

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/**
 * Polls until `find` gives a value that is not undefined.
 * @throws {Error} naming `what` after `timeoutMs`
 */
export const until = async (find, what, timeoutMs = 15_000) => {
  const end = Date.now() + timeoutMs
  for (;;) {
    const value = await find()
    if (value !== undefined) return value
    if (Date.now() > end) throw new Error(`${what} (waited ${timeoutMs} ms)`)
    await sleep(20)
  }
}

/** Ends a child that this process started: SIGTERM, after five seconds SIGKILL. Resolves to its exit code or signal. */
export const endProcess = child =>
  new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve(child.exitCode ?? child.signalCode)
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      resolve(code ?? signal)
    })
    child.kill('SIGTERM')
  })

/** A running peer; made by `startPeer`. */
class Peer {
  #child
  #waiting = new Map()
  #sequence = 0
  #log = ''
  /** Every event so far, in order. */
  events = []
  /** What the peer said first: `{endpoint, peer, version, label}`. */
  facts

  constructor(child) {
    this.#child = child
    createInterface({ input: child.stdout }).on('line', line => this.#take(line))
    child.stderr.on('data', chunk => {
      this.#log = (this.#log + chunk).slice(-8_000)
    })
    child.on('exit', (code, signal) => this.#fail(new Error(`the peer ended (${code ?? signal}): ${this.#log}`)))
    child.on('error', error => this.#fail(error))
    child.stdin.on('error', () => {})
  }

  #take(line) {
    const said = JSON.parse(line)
    if (said.event) return this.events.push(said)
    const waiting = this.#waiting.get(said.id)
    this.#waiting.delete(said.id)
    if (said.error) waiting?.reject(new Error(`peer: ${said.error.message}`))
    else waiting?.resolve(said.result)
  }

  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }

  /** What the peer wrote to its standard error lately. */
  get log() {
    return this.#log
  }

  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Sends a command; resolves to its result, rejects with the peer's error or after 30 s. */
  ask(cmd, args = {}) {
    if (!this.running) return Promise.reject(new Error(`the peer is not running: ${this.#log}`))
    const id = ++this.#sequence
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Error(`the peer did not answer ${cmd} in ${ANSWER_MS} ms`))
      }, ANSWER_MS)
      const settle = done => value => {
        clearTimeout(timer)
        done(value)
      }
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.#child.stdin.write(`${JSON.stringify({ id, cmd, ...args })}\n`)
    })
  }

  /** The first event, past or coming, that `accept` takes. */
  event(accept, what, timeoutMs = 15_000) {
    return until(async () => this.events.find(accept), what, timeoutMs)
  }

  /** HTTP refusals that the peer met when it sent: most stacks keep them to themselves. */
  get refusals() {
    return this.events.filter(event => event.event === 'http').map(event => `${event.status} from ${event.url}`)
  }

  stop() {
    return endProcess(this.#child)
  }
}

/**
 * Starts `node file …args` as a peer and waits until it is ready.
 * @throws {PeerUnavailable} when it does not come up
 */
export const startPeer = async (file, args = []) => {
  const peer = new Peer(spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'pipe'] }))
  try {
    peer.facts = await until(async () => {
      if (!peer.running) throw new Error(peer.log || 'it ended at once')
      return peer.events.find(event => event.event === 'ready')
    }, 'it was not ready')
  } catch (error) {
    await peer.stop()
    throw new PeerUnavailable(`the peer did not start: ${error.message}`)
  }
  return peer
}
