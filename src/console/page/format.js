/** Numbers, times and durations as people read them. */

const WHOLE = new Intl.NumberFormat('en')
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const MOMENT = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })

export function count(value) {
  return value === null || value === undefined ? '–' : WHOLE.format(Math.round(value))
}

/** Three digits at least where there are any. */
export function rate(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  if (value === 0) return '0'
  if (value < 10) return value.toFixed(value < 1 ? 2 : 1)
  return WHOLE.format(Math.round(value))
}

export function share(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  if (value === 0) return '0 %'
  const percent = value * 100
  return `${percent < 0.1 ? '<0.1' : percent.toFixed(percent < 10 ? 1 : 0)} %`
}

export function milliseconds(value) {
  if (value === null || value === undefined) return '–'
  if (value === 0) return '0 ms'
  if (value >= 10_000) return `${(value / 1000).toFixed(0)} s`
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`
}

export function clock(ms) {
  return CLOCK.format(new Date(ms))
}

export function moment(seconds) {
  return MOMENT.format(new Date(seconds * 1000))
}

const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
]

/** `3 d`, `4 h`, `12 s`: the largest unit of which there are two at least. */
export function duration(seconds) {
  const length = Math.max(0, Math.round(seconds))
  const [size, unit] = UNITS.find(([size]) => length >= size * 2) ?? [1, 's']
  return `${Math.round(length / size)} ${unit}`
}

const COUNTRIES = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' })

/** The name of a country of ISO 3166-1; a code that is none is shown as it is. */
export function country(code) {
  try {
    return COUNTRIES.of(code)
  } catch {
    return code
  }
}

/** Relative to now: `3 h ago`, `in 12 d`. */
export function ago(seconds) {
  const past = Date.now() / 1000 - seconds
  if (Math.abs(past) < 2) return 'just now'
  return past > 0 ? `${duration(past)} ago` : `in ${duration(-past)}`
}
