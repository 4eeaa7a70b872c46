// Answers for people: aligned tables, records and trees, as wide as their content, no colours. Programs use --json.

import type { Json, JsonObject } from './ports.ts'

/** Rows under their titles; `columns` are members of each row, in order. An empty list says so. */
export function table(rows: readonly Json[], columns: readonly string[]): string {
  if (rows.length === 0) return '(none)'
  const cells = rows.map(row => columns.map(column => cell((row as JsonObject)[column])))
  const widths = columns.map((title, i) => Math.max(title.length, ...cells.map(row => row[i]!.length)))
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => text.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  return [line(columns), ...cells.map(line)].join('\n')
}

/** `name  value` lines; nested values as JSON. */
export function recordLines(record: JsonObject): string {
  const names = Object.keys(record)
  const width = Math.max(0, ...names.map(name => name.length))
  return names.map(name => `${name.padEnd(width)}  ${cell(record[name])}`.trimEnd()).join('\n')
}

/** Nested `{name, picoId, children: […]}` records, one or several roots. */
export function tree(nodes: readonly Json[], indent = ''): string {
  return nodes
    .map((node, i) => {
      const { name, picoId, children } = node as JsonObject
      const last = i === nodes.length - 1
      const [branch, trunk] = indent === '' && nodes.length === 1 ? ['', ''] : last ? ['└─ ', '   '] : ['├─ ', '│  ']
      const below = Array.isArray(children) && children.length > 0 ? `\n${tree(children, `${indent}${trunk} `)}` : ''
      return `${indent}${branch}${cell(name)}  ${cell(picoId)}${below}`
    })
    .join('\n')
}

/** Whatever it is, readable. */
export function anything(value: Json): string {
  if (Array.isArray(value) && value.length > 0 && value.every(isRecord)) return table(value, columnsOf(value))
  if (isRecord(value)) return recordLines(value)
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}

/** `code: message` and where; what a compiler found stands below, a line each, as `check` shows it. */
export function fault({ code, message, ...place }: JsonObject): string {
  const { errors, ...rest } = place
  const found = Array.isArray(errors) ? errors.filter(isRecord) : []
  const where = found.length === 0 && Object.keys(place).length > 0 ? ` ${JSON.stringify(place)}` : ''
  const lines = found.flatMap(one => [
    `${cell(rest.url)}:${cell(one.line)}:${cell(one.column)}: ${cell(one.severity)} ${cell(one.code)}: ${cell(one.message)}`,
    ...(typeof one.hint === 'string' ? [`  ${cell(one.hint)}`] : []),
  ])
  return [`${cell(code)}: ${cell(message)}${where}`, ...lines].join('\n')
}

function isRecord(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function columnsOf(rows: readonly Json[]): string[] {
  return [...new Set(rows.flatMap(row => Object.keys(row as JsonObject)))]
}

/** Control characters from elsewhere must not move the cursor. */
function cell(value: Json | undefined): string {
  if (value === undefined || value === null) return '-'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.replace(/\p{Cc}/gu, character => JSON.stringify(character).slice(1, -1))
}
