import { chart, sparkline } from './chart.js'
import { h, heading, setText, table, tile } from './dom.js'
import { count, milliseconds, rate, share } from './format.js'

const ALL = ''
const SPAN_MS = 15 * 60 * 1000
/** Of a trend. */
const STEPS = 30

/** Requests, errors and times, of all routes or of one. */
export function trafficView(app) {
  let route = ALL
  const rowOf = (point) => (route === ALL ? point.all : (point.routes[route] ?? [0, 0, 0, null, null]))
  const perSecond = (index) => (point) => rowOf(point)[index] / point.seconds
  const tiles = {
    rate: tile('Requests / s', 'Over the last minute'),
    failed: tile('Server errors', 'Answers 5xx, over the last minute'),
    refused: tile('Client errors', 'Answers 4xx, of the gateway and of services, over the last minute'),
    p50: tile('Median time', 'Over the last minute'),
    p99: tile('99th percentile', 'Over the last minute'),
    flight: tile('In flight', 'Requests that are under way, and connections of clients'),
  }
  const requests = chart({
    title: 'Requests per second',
    format: rate,
    series: [
      { name: 'all', tone: 'accent', of: perSecond(0), isArea: true },
      { name: '4xx', tone: 'warn', of: perSecond(1) },
      { name: '5xx', tone: 'bad', of: perSecond(2) },
    ],
  })
  const times = chart({
    title: 'Time to answer',
    format: milliseconds,
    series: [
      { name: 'p50', tone: 'accent', of: (point) => rowOf(point)[3] },
      { name: 'p99', tone: 'second', of: (point) => rowOf(point)[4] },
    ],
  })
  const chosen = h('p', { class: 'chosen', 'aria-live': 'polite' })
  const clear = h('button', { class: 'quiet', type: 'button', hidden: true, click: () => choose(ALL) }, 'Show all routes')
  const routes = table({
    name: 'compact',
    caption: 'Traffic by route',
    key: (row) => row.name,
    empty: 'No requests in the last 15 minutes.',
    columns: [
      {
        label: 'Route',
        of: (row) => `${row.name} ${row.name === route}`,
        show: (row) =>
          h(
            'button',
            { class: 'link', type: 'button', 'aria-pressed': String(row.name === route), click: () => choose(row.name) },
            row.name === 'none' ? 'no route' : row.name,
          ),
      },
      { label: 'Requests, trend', class: 'trend', of: (row) => row.trend.join(), show: (row) => sparkline(row.trend) },
      { label: 'per second', class: 'number', text: (row) => rate(row.rate) },
      { label: '15 min', class: 'number', text: (row) => count(row.total) },
      { label: '4xx', class: 'number', text: (row) => count(row.refused) },
      {
        label: '5xx',
        class: 'number',
        of: (row) => row.failed,
        show: (row) => h('span', { class: row.failed > 0 ? 'bad' : '' }, count(row.failed)),
      },
      { label: 'p50', class: 'number', text: (row) => milliseconds(row.minute?.[3]) },
      { label: 'p99', class: 'number', text: (row) => milliseconds(row.minute?.[4]) },
      { label: 'p99, trend', class: 'trend', of: (row) => row.slow.join(), show: (row) => sparkline(row.slow, 'second') },
    ],
  })
  const element = h(
    'div',
    {},
    heading('Traffic', 'The last 15 minutes, five seconds a point.'),
    h(
      'dl',
      { class: 'tiles' },
      Object.values(tiles).map((one) => one.element),
    ),
    h('div', { class: 'selection' }, chosen, clear),
    h('div', { class: 'charts' }, requests.element, times.element),
    h(
      'section',
      { class: 'card' },
      h('h2', {}, 'By route'),
      h(
        'p',
        { class: 'about' },
        'Numbers per second, p50 and p99 are of the last minute, trends of the last 15. Choose a route to see it alone above.',
      ),
      routes.element,
    ),
  )
  return { element, update }

  function choose(name) {
    route = name === route ? ALL : name
    clear.hidden = route === ALL
    setText(chosen, route === ALL ? '' : `Route ${route} alone`)
    update(app.state)
  }

  function update({ points, minute, figures, now }) {
    const whole = points.filter(({ at, seconds }) => seconds >= 0.5 && at > now - SPAN_MS)
    requests.update(whole, now)
    times.update(whole, now)
    routes.update(rowsOf(whole, minute, now))
    const row = route === ALL ? minute?.all : minute?.routes[route]
    const [all = 0, refused = 0, failed = 0, p50 = null, p99 = null] = row ?? []
    tiles.rate.set(rate(all / (minute?.seconds || 1)))
    tiles.failed.set(share(all === 0 ? 0 : failed / all), {
      tone: failed > 0 ? 'bad' : '',
      below: `${count(failed)} in a minute`,
    })
    tiles.refused.set(share(all === 0 ? 0 : refused / all), { below: `${count(refused)} in a minute` })
    tiles.p50.set(milliseconds(p50))
    tiles.p99.set(milliseconds(p99))
    tiles.flight.set(count(figures?.in_flight), { below: `${count(figures?.connections)} connections` })
  }
}

/** `slow`: the longest p99 of each step, null where there was no request. */
function emptyRow(name) {
  const steps = (value) => Array.from({ length: STEPS }, () => value)
  return { name, total: 0, refused: 0, failed: 0, trend: steps(0), slow: steps(null) }
}

/** A row for each route that had traffic, busiest first. */
function rowsOf(points, minute, now) {
  const rows = new Map()
  for (const point of points) {
    // The present is at the right, whatever there is of the past.
    const step = STEPS - 1 - Math.min(Math.max(Math.floor(((now - point.at) / SPAN_MS) * STEPS), 0), STEPS - 1)
    for (const [name, [all, refused, failed, , p99]] of Object.entries(point.routes)) {
      const row = rows.get(name) ?? emptyRow(name)
      row.total += all
      row.refused += refused
      row.failed += failed
      row.trend[step] += all
      if (p99 !== null) row.slow[step] = Math.max(row.slow[step] ?? 0, p99)
      rows.set(name, row)
    }
  }
  return [...rows.values()]
    .map((row) => ({
      ...row,
      minute: minute?.routes[row.name],
      rate: (minute?.routes[row.name]?.[0] ?? 0) / (minute?.seconds || 1),
    }))
    .toSorted((one, other) => other.total - one.total || one.name.localeCompare(other.name))
}
