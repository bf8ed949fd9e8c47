/** The present as `2026-01-31T12:00:00.000Z`. */
export type Stamp = () => string

/** Makes a Date once a second, not once a line. */
export function createStamp(nowMs: () => number): Stamp {
  let second = Number.NaN
  let millisecond = Number.NaN
  let prefix = ''
  let text = ''
  return function stamp(): string {
    const now = Math.floor(nowMs())
    if (now === millisecond) return text
    millisecond = now
    const current = Math.floor(now / 1000)
    if (current !== second) {
      second = current
      prefix = new Date(current * 1000).toISOString().slice(0, -4)
    }
    text = `${prefix}${THREE_DIGITS[now - current * 1000] ?? '000'}Z`
    return text
  }
}

/** `000` to `999`. */
const THREE_DIGITS: readonly string[] = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, '0'))

/** Milliseconds with three decimals; printing a fraction the ordinary way costs more than the rest of a field. */
export function printMs(durationMs: number): string {
  if (!(durationMs > 0)) return '0.000'
  const micros = Math.round(durationMs * 1000)
  const whole = Math.floor(micros / 1000)
  return `${whole}.${THREE_DIGITS[micros - whole * 1000] ?? '000'}`
}
