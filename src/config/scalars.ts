import { z } from 'zod'
import { didYouMean, orList } from './suggest.ts'

/** What a value was read as, or what is wrong with it. A fault never repeats the value: it may be a secret by mistake. */
export type Reading<T> = { readonly value: T } | { readonly fault: string }

/** What an editor is told of a value: keywords of JSON Schema. */
export type Shape = Readonly<Record<string, unknown>>

/** Editors see a file before the environment is put into it. */
const REFERENCE = '\\$\\{'

/** A value that `read` turns into a `T`. */
export function scalar<T>(shape: Shape, read: (value: unknown) => Reading<T>) {
  return z
    .unknown()
    .transform((value, context): T => {
      const reading = value === null ? { fault: EMPTY } : read(value)
      if ('value' in reading) return reading.value
      context.addIssue({ code: 'custom', message: reading.fault })
      return z.NEVER
    })
    .meta({ ...shape })
}

export const EMPTY = 'is empty: write a value, or remove the key'

/** A string. `pattern` is for editors; `read` decides, and answers `undefined` for "what `must` says". */
export function text<T>(must: string, pattern: string, read: (value: string) => T | Reading<T> | undefined) {
  return scalar<T>({ type: 'string', pattern: `(?:${pattern})|${REFERENCE}` }, (value) => {
    if (typeof value !== 'string') return { fault: must }
    const reading = read(value)
    if (reading === undefined) return { fault: must }
    return isReading(reading) ? reading : { value: reading }
  })
}

/** A string that is taken as it is: not empty, without control characters, at most 1024 characters. */
export function plainText(what: string) {
  return scalar<string>({ type: 'string', minLength: 1, maxLength: 1024 }, (value) => {
    if (typeof value === 'number' || typeof value === 'boolean') return { fault: `must be ${what}: put quotes around it` }
    if (typeof value !== 'string') return { fault: `must be ${what}` }
    if (value === '') return { fault: `must be ${what}, and is empty` }
    if (value.length > 1024) return { fault: `must be ${what} of at most 1024 characters` }
    if (/\p{Cc}/u.test(value)) return { fault: `must be ${what} without control characters` }
    return { value }
  })
}

/** A whole number. A string of digits is one too, since that is what the environment holds. */
export function integer(least: number, most: number) {
  const shape = {
    anyOf: [
      { type: 'integer', minimum: least, maximum: most },
      { type: 'string', pattern: REFERENCE },
    ],
  }
  return scalar<number>(shape, (value) => {
    const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
    if (typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most) return { value: number }
    return { fault: `must be a whole number from ${least} to ${most}` }
  })
}

export function flag() {
  const shape = { anyOf: [{ type: 'boolean' }, { type: 'string', pattern: REFERENCE }] }
  return scalar<boolean>(shape, (value) => {
    if (value === true || value === 'true') return { value: true }
    if (value === false || value === 'false') return { value: false }
    return { fault: 'must be true or false' }
  })
}

/** One of `words`. */
export function choice<const W extends string>(words: readonly W[]) {
  const must = `must be ${orList(words)}`
  const shape = {
    anyOf: [
      { type: 'string', enum: words },
      { type: 'string', pattern: REFERENCE },
    ],
  }
  return scalar<W>(shape, (value) => {
    const word = words.find((candidate) => candidate === value)
    if (word !== undefined) return { value: word }
    if (typeof value !== 'string') return { fault: must }
    return { fault: words.length > 4 ? `${must}${didYouMean(value, words)}` : must }
  })
}

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `15m` as milliseconds. The bounds are durations too. */
export function duration(least: string, most: string) {
  return text<number>(
    'must be a duration: write a number and ms, s, m, h or d, such as 15m',
    '^[0-9]{1,9}(ms|s|m|h|d)$',
    (value) => {
      const ms = parseDuration(value)
      if (ms === undefined) return undefined
      if (ms >= (parseDuration(least) ?? 0) && ms <= (parseDuration(most) ?? 0)) return { value: ms }
      return { fault: `must be between ${least} and ${most}` }
    },
  )
}

/** `15m` as seconds; `1500ms` is refused. */
export function seconds(least: string, most: string) {
  return text<number>('must be a duration: write a number and s, m, h or d, such as 15m', '^[0-9]{1,9}(ms|s|m|h|d)$', (value) => {
    const ms = parseDuration(value)
    if (ms === undefined) return undefined
    if (ms % 1000 !== 0) return { fault: 'must be whole seconds' }
    if (ms >= (parseDuration(least) ?? 0) && ms <= (parseDuration(most) ?? 0)) return { value: ms / 1000 }
    return { fault: `must be between ${least} and ${most}` }
  })
}

function parseDuration(value: string): number | undefined {
  const [, digits, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value) ?? []
  return unit === 'ms' || unit === 's' || unit === 'm' || unit === 'h' || unit === 'd' ? Number(digits) * MS[unit] : undefined
}

const BYTES: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
])

/** `10MiB` as bytes. The bounds are sizes too. */
export function size(least: string, most: string) {
  return text<number>(
    'must be a size: write a number and B, KiB, MiB or GiB, such as 10MiB',
    '^[0-9]{1,9}(B|KiB|MiB|GiB)$',
    (value) => {
      const bytes = parseSize(value)
      if (bytes === undefined) return undefined
      if (bytes >= (parseSize(least) ?? 0) && bytes <= (parseSize(most) ?? 0)) return { value: bytes }
      return { fault: `must be between ${least} and ${most}` }
    },
  )
}

function parseSize(value: string): number | undefined {
  const [, digits, unit] = /^(\d{1,9})([A-Za-z]{1,3})$/.exec(value) ?? []
  const factor = BYTES.get(unit ?? '')
  return factor === undefined ? undefined : Number(digits) * factor
}

/** `50%` as 0.5. */
export function percentage(most = 100) {
  const must = `must be a percentage from 0% to ${most}%, such as ${most / 2}%`
  return text<number>(must, '^(100|[0-9]{1,2}(\\.[0-9]{1,6})?)%$', (value) => {
    const [, digits] = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(value) ?? []
    return digits !== undefined && Number(digits) <= most ? Number(digits) / 100 : undefined
  })
}

const PER_MINUTE: ReadonlyMap<string, number> = new Map([
  ['s', 60],
  ['m', 1],
  ['h', 1 / 60],
])

/** `20/m` as a number per minute. */
export function rate() {
  return text<number>('must be a rate: write a number and /s, /m or /h, such as 20/m', '^[1-9][0-9]{0,5}/[smh]$', (value) => {
    const [, digits, unit] = /^([1-9]\d{0,5})\/([smh])$/.exec(value) ?? []
    const factor = PER_MINUTE.get(unit ?? '')
    return factor === undefined ? undefined : Number(digits) * factor
  })
}

/** A username as the rules take it. */
export function username() {
  const shape = '[a-zA-Z0-9_-]{3,30}'
  return text<string>('must be a username: 3 to 30 letters, digits, _ and -', `^${shape}$`, (value) =>
    new RegExp(`^${shape}$`).test(value) ? value : undefined,
  )
}

function isReading<T>(value: T | Reading<T>): value is Reading<T> {
  return typeof value === 'object' && value !== null && ('value' in value || 'fault' in value)
}
