/**
 * Plots as SVG, without a library: lines over a linear or logarithmic axis, and bars. Readable on white and on black: colours of
 * middle lightness, no background, text in a colour that follows the reader's preference.
 */

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Axis {
  readonly title: string
  readonly scale?: 'linear' | 'logarithmic'
  /** Values that are written; by default a few round ones. */
  readonly ticks?: readonly (readonly [value: number, label: string])[]
}

export interface LinePlot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
  /** A dashed line across, at a value of y. */
  readonly limits?: readonly (readonly [value: number, label: string])[]
}

export interface BarPlot {
  readonly title: string
  /** With what stands out in another colour. */
  readonly bars: readonly (readonly [label: string, value: number, standsOut?: boolean])[]
  /** How a value is written. */
  readonly write: (value: number) => string
  /** Room for the labels, 130 where it is not set. */
  readonly labelWidth?: number
}

const WIDTH = 760
const HEIGHT = 380
const PLACE = { left: 70, right: 40, top: 62, bottom: 52 } as const
const COLOURS = ['#3b82c4', '#d9782d', '#3f9b57', '#b0569e', '#c04848', '#8a7a2f'] as const
const STYLE = `text{font:13px system-ui,sans-serif;fill:#333}.title{font-size:16px;font-weight:600}.grid{stroke:#8884}.limit{stroke:#888;stroke-dasharray:6 4}
@media (prefers-color-scheme: dark){text{fill:#ddd}}`

interface Scale {
  /** Place on the picture. */
  at(value: number): number
  readonly ticks: readonly (readonly [value: number, label: string])[]
}

/** At least one point has to be there; on a logarithmic axis all are above zero. */
export function plotLines({ title, x, y, series, limits = [] }: LinePlot): string {
  const points = series.flatMap((one) => one.points)
  const across = scaleOf(
    x,
    points.map(([value]) => value),
    [PLACE.left, WIDTH - PLACE.right],
  )
  const heights = [...points.map(([, value]) => value), ...limits.map(([value]) => value)]
  const up = scaleOf(y, y.scale === 'logarithmic' ? heights : [0, ...heights], [HEIGHT - PLACE.bottom, PLACE.top])
  const parts = [
    ...up.ticks.map(([value, label]) => level(up.at(value), label)),
    ...across.ticks.map(([value, label]) =>
      text({ x: across.at(value), y: HEIGHT - PLACE.bottom + 20, anchor: 'middle' }, label),
    ),
    text({ x: (PLACE.left + WIDTH - PLACE.right) / 2, y: HEIGHT - 12, anchor: 'middle' }, x.title),
    text({ x: 14, y: PLACE.top - 10 }, y.title),
    ...limits.map(([value, label]) => limit(up.at(value), label)),
    ...series.map((one, index) => line(one, index, across, up)),
    ...legend(series.map((one) => one.name)),
  ]
  return picture(title, HEIGHT, parts)
}

export function plotBars({ title, bars, write, labelWidth: left = 130 }: BarPlot): string {
  const step = 34
  const room = WIDTH - left - 150
  const most = Math.max(...bars.map(([, value]) => value), Number.MIN_VALUE)
  const parts = bars.flatMap(([label, value, standsOut = false], index) => {
    const y = 50 + index * step
    const width = round((value / most) * room)
    return [
      text({ x: left - 10, y: y + 16, anchor: 'end' }, label),
      `<rect x="${left}" y="${y}" width="${width}" height="22" rx="2" fill="${COLOURS[Number(standsOut)]}"/>`,
      text({ x: left + width + 8, y: y + 16 }, write(value)),
    ]
  })
  return picture(title, 66 + bars.length * step, parts)
}

function picture(title: string, height: number, parts: readonly string[]): string {
  const size = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`
  const head = `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${escaped(title)}">`
  return [head, `<style>${STYLE}</style>`, text({ x: 14, y: 26, kind: 'title' }, title), ...parts, '</svg>', ''].join('\n')
}

function scaleOf(axis: Axis, values: readonly number[], [from, to]: readonly [number, number]): Scale {
  const isLog = axis.scale === 'logarithmic'
  const ticks = axis.ticks ?? (isLog ? powersIn(values) : roundIn(values))
  const all = [...values, ...ticks.map(([value]) => value)]
  const map = isLog ? Math.log10 : (value: number) => value
  const [low, high] = [map(Math.min(...all)), map(Math.max(...all))]
  const span = high === low ? 1 : high - low
  return { at: (value) => round(from + ((map(value) - low) / span) * (to - from)), ticks }
}

/** 1, 2 and 5 times powers of ten. */
function powersIn(values: readonly number[]): readonly (readonly [number, string])[] {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const ticks: (readonly [number, string])[] = []
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(most)); power += 1) {
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power
      if (value >= least / 2 && value <= most * 2) ticks.push([value, labelOf(value)])
    }
  }
  return ticks
}

function roundIn(values: readonly number[]): readonly (readonly [number, string])[] {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const raw = Math.max((most - least) / 6, Number.MIN_VALUE)
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = power * (([1, 2, 5, 10] as const).find((digit) => digit * power >= raw) ?? 10)
  const ticks: (readonly [number, string])[] = []
  for (let value = Math.floor(least / step) * step; value < most + step; value += step) ticks.push([value, labelOf(value)])
  return ticks
}

function labelOf(value: number): string {
  return value >= 1000 ? value.toLocaleString('en-US') : String(Number(value.toPrecision(3)))
}

function line({ points }: Series, index: number, across: Scale, up: Scale): string {
  const path = points.map(([x, y]) => `${across.at(x)},${up.at(y)}`).join(' ')
  const colour = colourOf(index)
  const dots =
    points.length > 30
      ? ''
      : points.map(([x, y]) => `<circle cx="${across.at(x)}" cy="${up.at(y)}" r="3.5" fill="${colour}"/>`).join('')
  return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots}`
}

function level(y: number, label: string): string {
  return `<line class="grid" x1="${PLACE.left}" x2="${WIDTH - PLACE.right}" y1="${y}" y2="${y}"/>${text({ x: PLACE.left - 8, y: y + 4, anchor: 'end' }, label)}`
}

function limit(y: number, label: string): string {
  return `<line class="limit" x1="${PLACE.left}" x2="${WIDTH - PLACE.right}" y1="${y}" y2="${y}"/>${text({ x: WIDTH - PLACE.right - 4, y: y - 5, anchor: 'end' }, label)}`
}

function legend(names: readonly string[]): readonly string[] {
  let x = WIDTH - PLACE.right
  return names
    .map((name, index) => ({ name, index }))
    .toReversed()
    .map(({ name, index }) => {
      x -= name.length * 7.5 + 30
      return `<rect x="${x}" y="${PLACE.top - 22}" width="12" height="12" rx="2" fill="${colourOf(index)}"/>${text({ x: x + 17, y: PLACE.top - 11 }, name)}`
    })
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? COLOURS[0]
}

interface Place {
  readonly x: number
  readonly y: number
  readonly anchor?: 'middle' | 'end'
  readonly kind?: 'title'
}

function text({ x, y, anchor, kind }: Place, content: string): string {
  const where = anchor === undefined ? '' : ` text-anchor="${anchor}"`
  const look = kind === undefined ? '' : ` class="${kind}"`
  return `<text x="${round(x)}" y="${round(y)}"${where}${look}>${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
