// Times as KRL rulesets write them: ISO 8601 in calendar, ordinal and week form, extended and basic (ISO 8601-1:2019
// 5.2 to 5.4), arithmetic on calendar units, and strftime patterns (POSIX). A time without zone is UTC, and so is
// every time written.

import { toNumber } from './convert.ts'
import type { KrlMap } from './types.ts'
import { own } from './values.ts'

const DAY = 86_400_000

const DATES: readonly [RegExp, (...parts: number[]) => number | null][] = [
  [/^([+-]\d{6}|\d{4})-(\d\d)-(\d\d)$/, (y, m, d) => calendar(y, m, d)],
  [/^(\d{4})(\d\d)(\d\d)$/, (y, m, d) => calendar(y, m, d)],
  [/^([+-]\d{6}|\d{4})-(\d\d\d)$/, (y, d) => ordinal(y, d)],
  [/^(\d{4})(\d\d\d)$/, (y, d) => ordinal(y, d)],
  [/^(\d{4})-W(\d\d)-(\d)$/, (y, w, d) => week(y, w, d)],
  [/^(\d{4})W(\d\d)(\d)$/, (y, w, d) => week(y, w, d)],
  [/^(\d{4})-?W(\d\d)$/, (y, w) => week(y, w, 1)],
  [/^([+-]\d{6}|\d{4})-(\d\d)$/, (y, m) => calendar(y, m, 1)],
  [/^(\d{4})(\d\d)$/, (y, m) => calendar(y, m, 1)],
  [/^([+-]\d{6}|\d{4})$/, y => calendar(y, 1, 1)],
]

const calendar = (year = 0, month = 1, day = 1): number | null => {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : null
}

const ordinal = (year = 0, day = 1): number | null => {
  const first = calendar(year, 1, 1)
  const date = first === null ? null : first + (day - 1) * DAY
  return date !== null && day >= 1 && new Date(date).getUTCFullYear() === year ? date : null
}

/** Week 1 holds January 4th; days run from Monday = 1. */
const week = (year = 0, number = 1, day = 1): number | null => {
  const fourth = calendar(year, 1, 4)
  if (fourth === null || number < 1 || number > 53 || day < 1 || day > 7) return null
  const monday = fourth - ((new Date(fourth).getUTCDay() + 6) % 7) * DAY
  return monday + ((number - 1) * 7 + day - 1) * DAY
}

const CLOCK = /^(\d\d)(?:(:?)(\d\d)(?:\2(\d\d)(?:[.,](\d+))?)?)?$/

const clock = (text: string): number | null => {
  const match = CLOCK.exec(text)
  if (match === null) return null
  const [hour, minute, second] = [Number(match[1]), Number(match[3] ?? 0), Number(match[4] ?? 0)]
  const millisecond = Math.floor(Number(`0.${match[5] ?? 0}`) * 1000)
  const isMidnight = hour === 24 && minute + second + millisecond === 0
  if ((hour > 23 && !isMidnight) || minute > 59 || second > 59) return null
  return ((hour * 60 + minute) * 60 + second) * 1000 + millisecond
}

const zone = (text: string): number => {
  if (text === '' || text.trim() === 'Z') return 0
  const digits = text.slice(1).replace(':', '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2) || 0)
  return (text[0] === '-' ? -minutes : minutes) * 60_000
}

const WHOLE = /^\s*([+-]?[\dW-]+?)(?:[T ]([\d:.,]+)([+-]\d\d(?::?\d\d)?|\s*Z)?)?\s*$/

const instant = (text: string): number | null => {
  const match = WHOLE.exec(text)
  if (match === null) return null
  for (const [form, build] of DATES) {
    const parts = form.exec(match[1] ?? '')
    const date = parts === null ? null : build(...parts.slice(1).map(Number))
    const time = match[2] === undefined ? 0 : clock(match[2])
    if (date !== null && time !== null) return date + time - zone(match[3] ?? '')
  }
  return null
}

/** Milliseconds since 1970 of an ISO 8601 text; a time alone is of the day of `now`. Null when it is no such text. */
export const parseTime = (text: string, now: number): number | null => {
  if (text.length > 64) return null
  const at = instant(text) ?? instant(`${new Date(now).toISOString().slice(0, 10)}T${text}`)
  return at === null || Number.isNaN(new Date(at).getTime()) ? null : at
}

/** `2020-01-31T12:00:00.000Z`, or null past the years that can be written. */
export const formatTime = (time: number): string | null => {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}

const MONTHS: Readonly<Record<string, number>> = { year: 12, quarter: 3, month: 1 }
const DAYS: Readonly<Record<string, number>> = { week: 7, day: 1 }
const MILLISECONDS: Readonly<Record<string, number>> = { hour: 3_600_000, minute: 60_000, second: 1000, millisecond: 1 }

/**
 * `time` plus `{years, quarters, months, weeks, days, hours, minutes, seconds, milliseconds}` (plural or singular,
 * negative allowed). Months first, kept inside the month (January 31 + 1 month is the last of February). Units that are
 * unknown or no numbers count as 0.
 */
export const addTime = (time: number, spec: KrlMap): number => {
  const date = new Date(time)
  const day = date.getUTCDate()
  date.setUTCMonth(date.getUTCMonth() + nearest(total(spec, MONTHS)))
  if (date.getUTCDate() !== day) date.setUTCDate(0)
  return date.getTime() + nearest(total(spec, DAYS)) * DAY + total(spec, MILLISECONDS)
}

/** The nearest whole number, halves away from 0. */
const nearest = (number: number): number => Math.sign(number) * Math.round(Math.abs(number))

const total = (spec: KrlMap, units: Readonly<Record<string, number>>): number =>
  Object.entries(units).reduce((sum, [unit, size]) => {
    const given = own(spec, `${unit}s`) ?? own(spec, unit)
    return sum + (typeof given === 'object' ? 0 : (toNumber(given) ?? 0)) * size
  }, 0)

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTH_NAMES = 'January February March April May June July August September October November December'.split(' ')
const COMPOSED: Readonly<Record<string, string>> = {
  c: '%a %d %b %Y %X %Z',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  R: '%H:%M',
  r: '%I:%M:%S %p',
  T: '%H:%M:%S',
  v: '%e-%b-%Y',
  X: '%r',
  x: '%D',
}

/** The parts a pattern can name: a text as it is, a number with the width and filler it is padded with. */
const part = (date: Date, letter: string): string | [number: number, width: number, filler: string] | undefined => {
  const hour = date.getUTCHours()
  const hour12 = hour % 12 || 12
  const weekday = date.getUTCDay()
  const yearDay = Math.floor((date.getTime() - (calendar(date.getUTCFullYear(), 1, 1) ?? 0)) / DAY)
  const month = date.getUTCMonth()
  const table: Readonly<Record<string, string | [number, number, string]>> = {
    A: WEEKDAYS[weekday] ?? '',
    a: (WEEKDAYS[weekday] ?? '').slice(0, 3),
    B: MONTH_NAMES[month] ?? '',
    b: (MONTH_NAMES[month] ?? '').slice(0, 3),
    h: (MONTH_NAMES[month] ?? '').slice(0, 3),
    C: [Math.floor(date.getUTCFullYear() / 100), 2, '0'],
    d: [date.getUTCDate(), 2, '0'],
    e: [date.getUTCDate(), 2, ' '],
    H: [hour, 2, '0'],
    I: [hour12, 2, '0'],
    j: [yearDay + 1, 3, '0'],
    k: [hour, 2, ' '],
    L: [date.getUTCMilliseconds(), 3, '0'],
    l: [hour12, 2, ' '],
    M: [date.getUTCMinutes(), 2, '0'],
    m: [month + 1, 2, '0'],
    n: '\n',
    o: `${date.getUTCDate()}${ordinalSuffix(date.getUTCDate())}`,
    P: hour < 12 ? 'am' : 'pm',
    p: hour < 12 ? 'AM' : 'PM',
    S: [date.getUTCSeconds(), 2, '0'],
    s: String(Math.floor(date.getTime() / 1000)),
    t: '\t',
    U: [Math.floor((yearDay + 7 - weekday) / 7), 2, '0'],
    u: String(weekday || 7),
    W: [Math.floor((yearDay + 7 - ((weekday + 6) % 7)) / 7), 2, '0'],
    w: String(weekday),
    Y: String(date.getUTCFullYear()),
    y: [date.getUTCFullYear() % 100, 2, '0'],
    Z: 'UTC',
    z: '+0000',
    '%': '%',
  }
  return Object.hasOwn(table, letter) ? table[letter] : undefined
}

const ordinalSuffix = (day: number): string =>
  (day >= 11 && day <= 13 ? undefined : ['st', 'nd', 'rd'][(day % 10) - 1]) ?? 'th'

/** A time in a strftime pattern, in English and UTC; `-`, `_`, `0` after `%` choose the filler. Unknown letters stay as written. */
export const strftime = (time: number, pattern: string): string =>
  pattern.replace(/%([-_0:]*)([A-Za-z%])/g, (written, flags: string, letter: string) => {
    const composed = Object.hasOwn(COMPOSED, letter) ? COMPOSED[letter] : undefined
    if (composed !== undefined) return strftime(time, composed)
    const found = part(new Date(time), letter)
    if (found === undefined) return written
    if (typeof found === 'string') return flags.includes(':') && letter === 'z' ? '+00:00' : found
    const [number, width, filler] = found
    const chosen = { '-': '', _: ' ', '0': '0' }[flags.at(-1) ?? '']
    return chosen === '' ? String(number) : String(number).padStart(width, chosen ?? filler)
  })
