import { h, s, setText } from './dom.js'
import { clock } from './format.js'

const WIDTH_MS = 15 * 60 * 1000
const HEIGHT = 200
const LEFT = 52
const RIGHT = 12
const TOP = 10
const BOTTOM = 24
/** Further apart than this, nobody looked in between. */
const GAP_MS = 15_000

/**
 * A plot of the last 15 minutes.
 *
 * @param options `{ title, series: [{ name, tone, of(point), isArea? }], format(value) }`; `of` may give null
 */
export function chart({ title, series, format }) {
  const readout = h('p', { class: 'readout' })
  const drawing = s('g')
  const cross = s('line', { class: 'cross', y1: TOP, y2: HEIGHT - BOTTOM, visibility: 'hidden' })
  const plot = s(
    'svg',
    {
      class: 'plot',
      role: 'img',
      tabindex: '0',
      height: HEIGHT,
      pointermove: point,
      pointerleave: release,
      blur: release,
      keydown: step,
    },
    drawing,
    cross,
  )
  const spoken = h('p', { class: 'unseen', 'aria-live': 'polite' })
  const legend = h(
    'ul',
    { class: 'legend' },
    series.map(({ name, tone }) => h('li', { class: tone }, name)),
  )
  const element = h('figure', { class: 'card chart' }, h('figcaption', {}, h('h2', {}, title), legend, readout), plot, spoken)
  let points = []
  let nowMs = Date.now()
  let width = 600
  let chosen
  new ResizeObserver(([entry]) => {
    width = Math.max(Math.round(entry.contentRect.width), 240)
    draw()
  }).observe(plot)
  return { element, update }

  function update(next, at) {
    points = next
    nowMs = at
    draw()
  }

  function draw() {
    const highest = Math.max(...points.flatMap((one) => series.map(({ of }) => of(one) ?? 0)), 0)
    const top = niceTop(highest)
    plot.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`)
    const lines = series.flatMap((one) => shapesOf(one, top))
    drawing.replaceChildren(...yAxis(top), ...xAxis(), ...lines)
    read()
  }

  function x(ms) {
    return LEFT + (1 - (nowMs - ms) / WIDTH_MS) * (width - LEFT - RIGHT)
  }

  function y(value, top) {
    return TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM)
  }

  function shapesOf({ of, tone, isArea }, top) {
    return runsOf(points, of).flatMap((run) => {
      const spots = run.map((one) => `${x(one.at).toFixed(1)} ${y(of(one), top).toFixed(1)}`)
      const path = `M${spots.join('L')}`
      const line = s('path', { class: `line ${tone}`, d: run.length === 1 ? `${path}h.01` : path })
      if (!isArea) return [line]
      const floor = HEIGHT - BOTTOM
      return [
        s('path', {
          class: `area ${tone}`,
          d: `${path}L${x(run.at(-1).at).toFixed(1)} ${floor}L${x(run[0].at).toFixed(1)} ${floor}Z`,
        }),
        line,
      ]
    })
  }

  function yAxis(top) {
    return [0, 0.5, 1].flatMap((part) => {
      const at = y(top * part, top)
      return [
        s('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
        s('text', { class: 'tick', x: LEFT - 8, y: at + 4, 'text-anchor': 'end' }, format(top * part)),
      ]
    })
  }

  function xAxis() {
    const steps = width < 420 ? [15, 5, 0] : [15, 10, 5, 0]
    return steps.map((minutes) => {
      const anchor = minutes === 15 ? 'start' : minutes === 0 ? 'end' : 'middle'
      const text = minutes === 0 ? 'now' : `−${minutes} min`
      return s('text', { class: 'tick', x: x(nowMs - minutes * 60_000), y: HEIGHT - 6, 'text-anchor': anchor }, text)
    })
  }

  function point(event) {
    const box = plot.getBoundingClientRect()
    const at = nowMs - (1 - (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * WIDTH_MS
    choose(points.reduce((best, one) => (Math.abs(one.at - at) < Math.abs((best?.at ?? 0) - at) ? one : best), undefined))
  }

  function step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 }[event.key]
    if (by === undefined || points.length === 0) return
    event.preventDefault()
    const from = chosen === undefined ? points.length - 1 : points.findIndex(({ at }) => at === chosen)
    choose(points[Math.min(Math.max(from + by, 0), points.length - 1)])
    setText(spoken, readout.textContent)
  }

  function choose(one) {
    chosen = one?.at
    read()
  }

  function release() {
    chosen = undefined
    read()
  }

  /** What is under the pointer, else the present. */
  function read() {
    const one = points.find(({ at }) => at === chosen)
    const shown = one ?? points.at(-1)
    cross.setAttribute('visibility', one === undefined ? 'hidden' : 'visible')
    if (one !== undefined) {
      cross.setAttribute('x1', x(one.at))
      cross.setAttribute('x2', x(one.at))
    }
    const values = series.map(({ name, of }) => `${name} ${shown === undefined ? '–' : said(of(shown))}`)
    const text = `${one === undefined ? 'now' : clock(one.at)} · ${values.join(' · ')}`
    setText(readout, text)
    plot.setAttribute('aria-label', `${title}, the last 15 minutes. ${text}. Arrow keys read other times.`)
  }

  function said(value) {
    return value === null ? '–' : format(value)
  }
}

/** A line without axes, for a row of a table; `values` of the last 15 minutes, oldest first, null where there is none. */
export function sparkline(values, tone = 'accent') {
  const top = Math.max(...values.map((value) => value ?? 0), 1e-9)
  let path = ''
  let isDrawn = false
  values.forEach((value, index) => {
    if (value !== null) {
      const x = ((index / Math.max(values.length - 1, 1)) * 96 + 2).toFixed(1)
      // One that stands alone is a dot.
      path += `${isDrawn ? 'L' : 'M'}${x} ${(22 - (value / top) * 20).toFixed(1)}${isDrawn ? '' : 'h.01'}`
    }
    isDrawn = value !== null
  })
  return s(
    'svg',
    { class: 'spark', viewBox: '0 0 100 24', 'aria-hidden': 'true' },
    s('path', { class: `line ${tone}`, d: path === '' ? 'M0 0' : path }),
  )
}

/** Points that follow one another and have a value. */
function runsOf(points, of) {
  const runs = []
  let before
  for (const one of points) {
    const isNext = before !== undefined && one.at - before.at <= GAP_MS
    if (of(one) === null) before = undefined
    else {
      if (isNext) runs.at(-1).push(one)
      else runs.push([one])
      before = one
    }
  }
  return runs
}

/** A round number with room above the value, whose half is round too; 1 at least. */
function niceTop(value) {
  if (value <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 1.5, 2, 3, 4, 6, 8, 10, 15].map((step) => step * power).find((step) => step >= value * 1.02)
}
