// Regular expressions that cannot stop a pico (DESIGN law L8). V8's backtracking matcher hands over to its linear one when
// it backtracks too much (flag `--enable-experimental-regexp-engine-on-excessive-backtracks`, which the engine sets), but
// only for patterns without flag `i`, look-around and long repetitions. So `i` and long repetitions are written out, and
// what still cannot be handed over must have few ways to match; all else is refused.

import { foldClass, foldLiteral } from './regexp-fold.ts'

export type Pattern = { readonly pattern: RegExp } | { readonly problem: string }

/** The most copies that V8's linear matcher makes of a repeated part, nested repetitions multiplied. */
const MAX_COPIES = 16
/** A pattern written out may be this long. */
const MAX_LENGTH = 20_000
const MAX_NESTING = 50
/** How far `x?` goes towards an open repetition such as `x*`. */
const OPTION = 0.25

/** The pattern for KRL source and flags `gim`, or what is wrong with it (a clause to follow "regular expression"). */
export const linearPattern = (source: string, flags: string): Pattern => {
  if (!/^[gim]*$/.test(flags)) return { problem: `has flags other than g, i and m: ${flags}` }
  try {
    new RegExp(source)
  } catch {
    return { problem: `re#${source.slice(0, 100)}# is malformed` }
  }
  const made = new PatternReader(source, flags.includes('i')).read(flags.includes('m'))
  return 'problem' in made ? made : { pattern: new RegExp(made.text, flags.replace('i', '')) }
}

class Refused extends Error {}

/** A part of a pattern: its text written out, and what the matcher has to do for it. */
interface Part {
  readonly text: string
  /** Copies of its repeated parts that the linear matcher makes. */
  readonly copies: number
  /** It has captures or looks ahead, and cannot be copied. */
  readonly fixed: boolean
  /** It matches in one way only at each place: no choice, no open repetition. */
  readonly plain: boolean
  /** It repeats something that is not plain. */
  readonly tangled: boolean
  /** Open repetitions that multiply each other. */
  readonly open: number
  /** The linear matcher takes it. */
  readonly linear: boolean
  /** It begins with `^`. */
  readonly anchored: boolean
  readonly looks: boolean
}

const EMPTY: Part = {
  text: '',
  copies: 1,
  fixed: false,
  plain: true,
  tangled: false,
  open: 0,
  linear: true,
  anchored: false,
  looks: false,
}

/** What holds for parts together, their order apart. */
const together = (parts: readonly Part[], separator: string): Part => ({
  ...EMPTY,
  text: bounded(parts.map(part => part.text).join(separator)),
  copies: Math.max(1, ...parts.map(part => part.copies)),
  fixed: parts.some(part => part.fixed),
  plain: parts.every(part => part.plain),
  tangled: parts.some(part => part.tangled),
  linear: parts.every(part => part.linear),
})

const bounded = (text: string): string => {
  if (text.length > MAX_LENGTH) throw new Refused('is too long when its repetitions are written out')
  return text
}

class PatternReader {
  private readonly source: string
  private readonly fold: boolean
  private at = 0
  private nesting = 0

  constructor(source: string, fold: boolean) {
    this.source = source
    this.fold = fold
  }

  read(multiline: boolean): { readonly text: string } | { readonly problem: string } {
    try {
      const { text, linear, tangled, open, anchored } = this.choice()
      const few = !tangled && (open < 1 || (open < 2 && anchored && !multiline))
      if (!linear && !few) throw new Refused('can match in too many ways to run in linear time')
      return { text }
    } catch (refused) {
      if (!(refused instanceof Refused)) throw refused
      return { problem: refused.message }
    }
  }

  private choice(): Part {
    this.nesting += 1
    if (this.nesting > MAX_NESTING) throw new Refused(`nests more than ${MAX_NESTING} deep`)
    const first = this.sequence()
    const parts = [first]
    while (this.source[this.at] === '|') {
      this.at += 1
      parts.push(this.sequence())
    }
    this.nesting -= 1
    if (parts.length === 1) return first
    const open = Math.max(...parts.map(part => part.open))
    return { ...together(parts, '|'), plain: false, open, anchored: parts.every(part => part.anchored) }
  }

  private sequence(): Part {
    const parts: Part[] = []
    let open = 0
    while (this.at < this.source.length && this.source[this.at] !== '|' && this.source[this.at] !== ')') {
      const part = this.repeated()
      // A look-ahead at a settled place costs its own time, after an open repetition that of each place.
      if (!part.looks || open > 0) open += part.open
      parts.push(part)
    }
    return { ...together(parts, ''), open, anchored: parts[0]?.anchored === true }
  }

  private repeated(): Part {
    const part = this.atom()
    const found = this.scan(/(?:[*+?]|\{\d+(?:,\d*)?\})\??/y)
    if (found === undefined) return part
    const [, least = '', comma, most = ''] = /^\{(\d+)(,(\d*))?\}/.exec(found) ?? []
    const lazy = found.length > 1 && found.endsWith('?') ? '?' : ''
    if (least === '')
      return this.times(part, found[0] === '+' ? 1 : 0, found[0] === '?' ? 1 : Number.POSITIVE_INFINITY, lazy)
    const max = comma === undefined ? Number(least) : most === '' ? Number.POSITIVE_INFINITY : Number(most)
    return this.times(part, Number(least), max, lazy)
  }

  private times(part: Part, min: number, max: number, lazy: string): Part {
    const copies = part.copies * Math.max(1, max === Number.POSITIVE_INFINITY ? min + 1 : max)
    const spread = copies > MAX_COPIES && part.copies <= MAX_COPIES && !part.fixed
    const room = Math.floor(MAX_COPIES / part.copies)
    return {
      ...part,
      text: bounded(spread ? spelt(part.text, min, max, room, lazy) : `${part.text}${braces(min, max)}${lazy}`),
      copies: spread ? part.copies * room : copies,
      plain: part.plain && min === max,
      tangled: part.tangled || (!part.plain && max > 1),
      open: part.open + (min === max ? 0 : max === 1 ? OPTION : 1),
      linear: part.linear && (spread || copies <= MAX_COPIES),
      anchored: part.anchored && min > 0,
    }
  }

  private atom(): Part {
    const c = this.source[this.at] as string
    if (c === '(') return this.group()
    if (c === '\\') return this.escape()
    if (c === '[') {
      const text = this.scan(/\[(?:[^\]\\]|\\[\s\S])*\]/y) as string
      return { ...EMPTY, text: this.fold ? foldClass(text) : text }
    }
    this.at += 1
    if (c === '^') return { ...EMPTY, text: c, anchored: true }
    return { ...EMPTY, text: this.fold && c !== '.' ? foldLiteral(c) : c }
  }

  private group(): Part {
    const open = this.scan(/\((?:\?(?::|=|!|<[=!]|<[^>]+>))?/y) as string
    if (open === '(?<=' || open === '(?<!') throw new Refused('looks behind, which cannot run in linear time')
    const inner = this.choice()
    this.at += 1
    const part = { ...inner, text: `${open}${inner.text})` }
    if (open === '(?:') return part
    if (open !== '(?=' && open !== '(?!') return { ...part, fixed: true }
    if (inner.open >= 2) throw new Refused('looks ahead for what can match in too many ways')
    return { ...part, fixed: true, linear: false, looks: true, anchored: false }
  }

  private escape(): Part {
    const text = this.scan(/\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|c[A-Za-z]|k<|[1-9]|0[0-7]{0,2}|[\s\S])/y) as string
    if (/^\\(?:[1-9]|k<)/.test(text)) throw new Refused('has a back-reference, which cannot run in linear time')
    return { ...EMPTY, text: this.fold && !/^\\[bB]$/.test(text) ? foldClass(text) : text }
  }

  private scan(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.source)?.[0]
    this.at += found?.length ?? 0
    return found
  }
}

const braces = (min: number, max: number): string => {
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`
  return min === max ? `{${min}}` : `{${min},${max}}`
}

/** A long repetition as several of at most `room` copies. */
const spelt = (text: string, min: number, max: number, room: number, lazy: string): string => {
  const least = chunks(text, min, room, count => `{${count}}`)
  if (max === Number.POSITIVE_INFINITY) return `(?:${least}${text}*${lazy})`
  return `(?:${least}${chunks(text, max - min, room, count => `{0,${count}}${lazy}`)})`
}

const chunks = (text: string, count: number, room: number, quantifier: (count: number) => string): string => {
  if ((count / room) * text.length > MAX_LENGTH) throw new Refused('is too long when its repetitions are written out')
  const whole = `${text}${quantifier(room)}`.repeat(Math.floor(count / room))
  return count % room === 0 ? whole : `${whole}${text}${quantifier(count % room)}`
}
