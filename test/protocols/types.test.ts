// What must not compile: each line under `@ts-expect-error` is a mistake in a table. `tsc` fails if one is accepted; the
// test runs the compiler over this very file, so that the check does not depend on who calls `npm run check`.

import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import ts from 'typescript'
import { protocol } from '../../protocols/machine.ts'

const base = {
  name: 'sample',
  speaks: [{ uri: 'https://example.org/sample/1.0', version: 'v1' }],
  messages: { hello: {} },
} as const

const right = protocol({
  ...base,
  roles: { sender: { start: { 'command greet': { to: 'done', send: { hello: () => ({}) } } }, done: {} } },
})

const wrong = [
  // @ts-expect-error: no such state
  protocol({ ...base, roles: { sender: { start: { 'receive hello': { to: 'nowhere' } } } } }),
  // @ts-expect-error: no such message to receive
  protocol({ ...base, roles: { sender: { start: { 'receive ho': { to: 'start' } } } } }),
  // @ts-expect-error: no such message to send
  protocol({ ...base, roles: { sender: { start: { 'command greet': { to: 'start', send: { ho: () => ({}) } } } } } }),
  // @ts-expect-error: no such trigger
  protocol({ ...base, roles: { sender: { start: { 'when greeted': { to: 'start' } } } } }),
  // @ts-expect-error: no such state in a list of rows
  protocol({ ...base, roles: { sender: { start: { timeout: [{ to: 'start' }, { to: 'nowhere' }] } } } }),
  // @ts-expect-error: a state of another role
  protocol({ ...base, roles: { sender: { start: { timeout: { to: 'other' } } }, receiver: { other: {} } } }),
]

describe('the tables are checked by the compiler', () => {
  test('every mistake above is refused, the right table is not', () => {
    const file = fileURLToPath(import.meta.url)
    const config = ts.readConfigFile(ts.findConfigFile(file, ts.sys.fileExists)!, ts.sys.readFile)
    const { options } = ts.convertCompilerOptionsFromJson(config.config.compilerOptions, '.')
    const program = ts.createProgram([file], { ...options, noEmit: true })
    const errors = ts.getPreEmitDiagnostics(program, program.getSourceFile(file))
    expect(errors.map(error => ts.flattenDiagnosticMessageText(error.messageText, '\n'))).toStrictEqual([])
    const source = program.getSourceFile(file)!.text.split('\n')
    expect(source.filter(line => line.trim().startsWith('// @ts-expect-error:'))).toHaveLength(wrong.length)
    expect(right.roles.sender).toHaveProperty('start')
  })
})
