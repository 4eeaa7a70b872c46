// Problem reports outside a protocol: report-problem/1.0 and notification/1.0/problem-report (RFC 0035, both names are
// in use), report-problem/2.0. A report on a thread of a protocol with its own report message goes there instead (see
// `dispatch` in machine.ts: ACA-Py answers any family's message with a notification). No report answers a report.

import { protocol } from './machine.ts'
import { compact, problem, text } from './message.ts'
import { problemReport, reportedCode, reportedComment } from './problem.ts'

export const reportProblem = protocol({
  name: 'report-problem',
  speaks: [
    { uri: 'https://didcomm.org/notification/1.0', version: 'v1' },
    { uri: 'https://didcomm.org/report-problem/1.0', version: 'v1' },
    { uri: 'https://didcomm.org/report-problem/2.0', version: 'v2' },
  ],
  // Kept under its own id: it may name any protocol's thread, and moves none.
  threadKey: message => message.id,
  messages: { 'problem-report': { problem: true } },
  roles: {
    notifier: {
      start: {
        'command report': {
          to: 'reported',
          check: t =>
            text(t.args, 'about') && text(t.args, 'code')
              ? undefined
              : problem('command.malformed', 'a report needs about and code'),
          send: {
            'problem-report': (t, id) => {
              const { body, thid, pthid } = problemReport(
                t.version,
                text(t.args, 'code')!,
                text(t.args, 'comment') ?? '',
                text(t.args, 'about')!,
              )
              return { body, thid: thid ?? id, ...(pthid !== undefined && { pthid }) }
            },
          },
        },
      },
      reported: {},
    },
    notified: {
      start: {
        'receive problem-report': {
          to: 'notified',
          raise: t => [
            {
              domain: 'didcomm',
              name: 'problem_reported',
              attrs: compact({
                connectionId: t.connection?.connectionId,
                code: reportedCode(t.message!.body),
                comment: reportedComment(t.message!.body),
                thid: t.message!.pthid ?? t.message!.thid,
              }),
            },
          ],
        },
      },
      notified: {},
    },
  },
})
