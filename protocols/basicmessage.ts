// basicmessage/1.0 (RFC 0095) and 2.0. v1 carries `sent_time` in the body, v2 the header `created_time`.

import { protocol } from './machine.ts'
import { problem, text } from './message.ts'

export const basicMessage = protocol({
  name: 'basicmessage',
  speaks: [
    { uri: 'https://didcomm.org/basicmessage/1.0', version: 'v1' },
    { uri: 'https://didcomm.org/basicmessage/2.0', version: 'v2' },
  ],
  messages: { message: { texts: ['content'] } },
  roles: {
    sender: {
      start: {
        'command send': {
          to: 'sent',
          check: t =>
            text(t.args, 'content') === undefined
              ? problem('command.malformed', 'a basic message needs text', 'content')
              : undefined,
          send: {
            message: t => {
              const content = text(t.args, 'content')!
              const seconds = Math.floor(t.now / 1000)
              return t.version === 'v1'
                ? { body: { sent_time: new Date(t.now).toISOString(), content } }
                : { body: { content }, createdTime: seconds }
            },
          },
        },
      },
      sent: {},
    },
    receiver: { start: { 'receive message': { to: 'received' } }, received: {} },
  },
})
