// empty/1.0 (DIDComm v2): a message that only carries headers, such as `ack` or `return_route`. Nothing answers it.

import { protocol } from './machine.ts'

export const empty = protocol({
  name: 'empty',
  speaks: [{ uri: 'https://didcomm.org/empty/1.0', version: 'v2' }],
  messages: { empty: {} },
  roles: {
    sender: { start: { 'command send': { to: 'done', send: { empty: () => ({}) } } }, done: {} },
    receiver: { start: { 'receive empty': { to: 'done' } }, done: {} },
  },
})
