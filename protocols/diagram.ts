// The tables read as data: every row, for tests that take them all, and state diagrams (Mermaid) for people.

import type { Protocol, Row, Trigger } from './turn.ts'

/** The rows of the table, in order, for diagrams and exhaustive tests. */
export function rows(
  protocol: Protocol,
): readonly { role: string; state: string; trigger: Trigger; index: number; row: Row }[] {
  return Object.entries(protocol.roles).flatMap(([role, states]) =>
    Object.entries(states).flatMap(([state, triggers]) =>
      Object.entries(triggers).flatMap(([trigger, row]) =>
        [row].flat().map((one, index) => ({ role, state, trigger: trigger as Trigger, index, row: one })),
      ),
    ),
  )
}

/** A Mermaid state diagram, one composite state per role. */
export function diagram(protocol: Protocol): string {
  const name = (role: string, state: string) => `${role}_${state}`.replace(/[^A-Za-z0-9_]/g, '_')
  const roles = Object.entries(protocol.roles).map(([role, states]) => {
    const inner = Object.keys(states).map(state => `    ${name(role, state)} : ${state}`)
    const arrows = rows(protocol)
      .filter(row => row.role === role)
      .map(({ state, trigger, row }) => `    ${name(role, state)} --> ${name(role, row.to)} : ${arrow(trigger, row)}`)
    const first = `    [*] --> ${name(role, Object.keys(states)[0]!)}`
    return [`  state ${name('role', role)} {`, first, ...inner, ...new Set(arrows), '  }'].join('\n')
  })
  return ['stateDiagram-v2', ...roles].join('\n')
}

function arrow(trigger: string, row: Row): string {
  const sent = Object.keys(row.send ?? {})
  return sent.length > 0 ? `${trigger} / send ${sent.join(', ')}` : trigger
}
