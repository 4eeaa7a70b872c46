// A simulated Wovyn sensor: heartbeats in the form of the real one's, posted by HTTP to the channel of a sensor pico.
// Each carries a running number, and goes out with the same Idempotency-Key until it is acknowledged.

import { setTimeout as sleep } from 'node:timers/promises'

const PAUSE_MS = 50

/** Body of one heartbeat. */
export function heartbeat(sequence: number, temperatureF: number) {
  const temperatureC = Math.round((temperatureF - 32) * (500 / 9)) / 100
  return {
    version: 2,
    eventDomain: 'wovyn.emitter',
    eventName: 'sensorHeartbeat',
    emitterGUID: '5CCF7F2BD537',
    sequence: String(sequence),
    genericThing: {
      typeId: '2.1.2',
      typeName: 'generic.simple.temperature',
      healthPercent: 56.89,
      heartbeatSeconds: 20,
      data: {
        temperature: [
          {
            name: 'ambient temperature',
            transducerGUID: '28E3A5680900008D',
            units: 'degrees',
            temperatureF,
            temperatureC,
          },
        ],
      },
    },
  }
}

export interface Emitter {
  /** The engine's URL now; a sensor that moved is found by the 308 of its old engine. */
  url: string
  /** The sensor's heartbeat channel. */
  readonly channel: string
  readonly name: string
}

/** Posts one heartbeat until it is acknowledged; how many attempts that took. Throws after `ms`, or when it is refused for good. */
export async function emit(emitter: Emitter, sequence: number, temperatureF: number, ms = 20_000): Promise<number> {
  return postUntilAcknowledged(
    () => `${emitter.url}/c/${emitter.channel}/event/wovyn/heartbeat`,
    `${emitter.name}-${sequence}`,
    heartbeat(sequence, temperatureF),
    ms,
  )
}

/** Repeats the same request, with the same key, while no answer says that it is stored or never will be. */
export async function postUntilAcknowledged(
  url: () => string,
  key: string,
  body: object,
  ms = 20_000,
): Promise<number> {
  const end = Date.now() + ms
  for (let attempts = 1; ; attempts++) {
    const status = await post(url(), key, body)
    if (status === 200) return attempts
    if (status !== 0 && status !== 429 && status < 500) throw new Error(`refused with ${status}`)
    if (Date.now() > end) throw new Error(`not acknowledged within ${ms} ms, last answer ${status}`)
    await sleep(PAUSE_MS)
  }
}

async function post(url: string, key: string, body: object): Promise<number> {
  try {
    const headers = { 'content-type': 'application/json', 'idempotency-key': key }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    await response.arrayBuffer()
    return response.status
  } catch {
    return 0
  }
}
