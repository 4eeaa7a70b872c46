// https://picomesh.dev/relocate/1.0: "I live here now" (DESIGN 5). Authcrypt by the pairwise DID is its signature. Only a
// higher serial changes the address book; any serial is acknowledged, so a repeated one does no harm.

import { protocol } from './machine.ts'
import { isObject, type Json, type JsonObject, type Problem, problem, text, texts } from './message.ts'
import { PICOMESH } from './pico.ts'
import type { Turn } from './turn.ts'

export const RELOCATE = `${PICOMESH}relocate/1.0` as const

export const relocate = protocol({
  name: 'relocate',
  speaks: [
    { uri: RELOCATE, version: 'v1' },
    { uri: RELOCATE, version: 'v2' },
  ],
  messages: {
    relocate: { check: body => badAddresses(body, 'message.malformed') },
    ack: {
      check: body =>
        isSerial(body.serial) ? undefined : problem('message.malformed', 'serial is not a number', 'serial'),
    },
  },
  roles: {
    mover: {
      start: {
        'command relocate': {
          to: 'told',
          // As long as its letter may be on its way, and a day for the ack.
          within: 8 * 86_400,
          check: t => badAddresses(t.args, 'command.malformed'),
          keep: t => ({ serial: t.args.serial }),
          send: { relocate: t => ({ body: { serial: t.args.serial!, addresses: t.args.addresses! } }) },
        },
      },
      told: {
        'receive ack': {
          to: 'done',
          check: t =>
            t.message!.body.serial === t.data.serial
              ? undefined
              : problem('message.malformed', 'another serial was acknowledged', 'serial'),
        },
      },
      done: {},
    },
    peer: {
      start: {
        'receive relocate': [
          {
            when: isNewer,
            to: 'done',
            connect: t => ({
              connectionId: t.connection!.connectionId,
              serial: t.message!.body.serial as number,
              addresses: addressesOf(t.message!.body),
            }),
            send: { ack: t => ({ body: { serial: t.message!.body.serial! } }) },
            raise: 'connection:endpoint_changed',
          },
          { to: 'done', send: { ack: t => ({ body: { serial: t.message!.body.serial! } }) } },
        ],
      },
      done: {},
    },
  },
})

function isNewer(turn: Turn): boolean {
  return (turn.message!.body.serial as number) > (turn.connection?.serial ?? 0)
}

function isSerial(value: Json | undefined): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0
}

function badAddresses(body: JsonObject, code: 'message.malformed' | 'command.malformed'): Problem | undefined {
  if (!isSerial(body.serial)) return problem(code, 'serial is not a whole number above 0', 'serial')
  const { addresses } = body
  if (!Array.isArray(addresses) || addresses.length < 1 || addresses.length > 8 || !addresses.every(isAddress)) {
    return problem(code, 'addresses is not a list of 1 to 8 {uri, routingKeys}', 'addresses')
  }
  return undefined
}

function isAddress(value: Json): boolean {
  return (
    isObject(value) &&
    /^(https?|wss?):\/\/\S{1,2000}$/.test(text(value, 'uri') ?? '') &&
    (value.routingKeys === undefined || texts(value, 'routingKeys') !== undefined)
  )
}

function addressesOf(body: JsonObject) {
  return (body.addresses as JsonObject[]).map(address => ({
    uri: text(address, 'uri')!,
    routingKeys: texts(address, 'routingKeys') ?? [],
  }))
}
