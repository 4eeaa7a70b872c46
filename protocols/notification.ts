// notification/1.0 (RFC 0015): the general ack. Protocols with an ack of their own (relocate) do not use it. An ack is
// never acknowledged, and it moves no thread of another protocol.

import { protocol } from './machine.ts'
import { text } from './message.ts'

export const notification = protocol({
  name: 'notification',
  speaks: [
    { uri: 'https://didcomm.org/notification/1.0', version: 'v1' },
    { uri: 'https://didcomm.org/notification/1.0', version: 'v2' },
  ],
  // Kept under its own id: it may name any protocol's thread, and moves none.
  threadKey: message => message.id,
  messages: { ack: {} },
  roles: {
    sender: {
      start: {
        'command ack': { to: 'done', send: { ack: t => ({ body: { status: text(t.args, 'status') ?? 'OK' } }) } },
      },
      done: {},
    },
    receiver: { start: { 'receive ack': { to: 'done' } }, done: {} },
  },
})
