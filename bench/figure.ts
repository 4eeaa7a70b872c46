// What a benchmark says: a value beside its ceiling, its peer or its goal of the same run. In a short run (CI on a
// shared machine) sizes are small and goals relaxed to half, and the output says so.

/** One measurement. `ratio` is what is compared with `goal`: value to reference. */
export interface Measured {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly reference: { readonly name: string; readonly value: number }
  readonly ratio: number
  readonly goal: number
  /** Times: the ratio may not be above the goal; otherwise not below. */
  readonly atMost?: true
  /** Printed below the table. */
  readonly note?: string
}

/** As printed. */
export interface Figure extends Measured {
  readonly held: boolean
}

export interface Size {
  readonly short: boolean
}

/** One file of this folder. */
export type Bench = (size: Size) => Promise<Measured[]>

const SHORT = 2

/** A value against a fixed goal: its ratio to the goal, which may not be below 1. */
export function atLeast(name: string, value: number, unit: string, goal: number): Measured {
  return {
    name,
    value: Math.round(value),
    unit,
    reference: { name: 'goal', value: goal },
    ratio: value / goal,
    goal: 1,
  }
}

/** A time against a fixed limit: its ratio to the limit, which may not be above 1. */
export function atMost(name: string, value: number, unit: string, limit: number): Measured {
  return {
    name,
    value: Math.round(value),
    unit,
    reference: { name: 'limit', value: limit },
    ratio: value / limit,
    goal: 1,
    atMost: true,
  }
}

/** Judges; a short run needs half of a rate and may take twice a time. */
export function judged(measured: Measured, { short }: Size): Figure {
  const { ratio, atMost: time } = measured
  const goal = short ? (time ? measured.goal * SHORT : measured.goal / SHORT) : measured.goal
  const held = time ? ratio <= goal : ratio >= goal
  return { ...measured, ratio: Number(ratio.toFixed(3)), goal, held }
}

/** The middle of an odd number of values, the upper middle of an even one. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number
}

/** A table for a terminal. */
export function table(figures: readonly Figure[]): string {
  const number = (value: number) => value.toLocaleString('en-US')
  const rows = figures.map(({ name, value, unit, reference, ratio, goal, held, atMost: time }) => [
    held ? '✓' : '✗',
    name,
    `${number(value)} ${unit}`,
    `${reference.name} ${number(reference.value)}`,
    ratio.toFixed(2),
    `${time ? '≤' : '≥'} ${goal}`,
  ])
  const all = [['', 'benchmark', 'value', 'beside', 'ratio', 'goal'], ...rows]
  const widths = (all[0] as string[]).map((_, column) => Math.max(...all.map(row => (row[column] as string).length)))
  const notes = figures.flatMap(({ name, note }) => (note === undefined ? [] : [`${name}: ${note}`]))
  return [
    ...all.map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    ),
    ...notes,
  ].join('\n')
}
