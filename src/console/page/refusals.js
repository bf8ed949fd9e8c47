import { badge, field, h, heading, setText, table } from './dom.js'
import { clock } from './format.js'

/** The last requests that the gateway refused, and why. */
export function refusalsView(app) {
  let held
  const search = h('input', { id: 'refusal-search', type: 'search', placeholder: 'Route, tenant, request id …', input: show })
  const kind = h('select', { id: 'refusal-kind', change: show }, h('option', { value: '' }, 'All reasons'))
  const pause = h('button', { type: 'button', 'aria-pressed': 'false', click: toggle }, 'Pause')
  const number = h('p', { class: 'about' })
  const list = table({
    caption: 'Refused requests, newest first',
    key: (one) => one.id,
    empty: 'No request was refused.',
    columns: [
      { label: 'Time', class: 'time', text: (one) => clock(one.at) },
      { label: 'Reason', of: (one) => one.problem, show: reasonOf },
      { label: 'Request', of: (one) => one.path, show: requestOf },
      { label: 'Tenant', of: (one) => `${one.tenant} ${one.user}`, show: whoOf },
      { label: 'Client', class: 'address', of: (one) => one.client, show: (one) => h('code', {}, one.client) },
      { label: 'Request id', class: 'id', of: (one) => one.request_id, show: (one) => h('code', {}, one.request_id) },
    ],
  })
  const element = h(
    'div',
    {},
    heading('Refusals', 'The last 200, as they come. Tokens and queries are not kept.'),
    h('div', { class: 'filters' }, field('Search', search), field('Reason', kind), pause),
    h('section', { class: 'card' }, number, list.element),
  )
  return { element, update: show }

  function toggle() {
    held = held === undefined ? app.state.refusals : undefined
    pause.setAttribute('aria-pressed', String(held !== undefined))
    setText(pause, held === undefined ? 'Pause' : 'Go on')
    show()
  }

  function show() {
    const all = held ?? app.state.refusals
    offerKinds(all)
    const text = search.value.trim().toLowerCase()
    const found = all.filter((one) => (kind.value === '' || one.problem === kind.value) && textOf(one).includes(text))
    setText(number, `${found.length} of ${all.length}${held === undefined ? '' : ', paused'}`)
    list.update(found.toReversed())
  }

  function offerKinds(all) {
    const known = new Set([...kind.options].map(({ value }) => value))
    for (const { problem } of all) {
      if (known.has(problem)) continue
      known.add(problem)
      kind.append(h('option', { value: problem }, problem))
    }
  }
}

function reasonOf(one) {
  const detail = one.detail === undefined ? undefined : h('span', { class: 'detail' }, one.detail)
  return [
    badge(String(one.status), one.status >= 500 ? 'bad' : 'warn'),
    ' ',
    h('span', { class: 'reason' }, one.problem),
    detail,
  ].filter(Boolean)
}

function requestOf({ method, path, route }) {
  return [h('code', {}, `${method} ${path}`), h('span', { class: 'detail' }, route === 'none' ? 'no route' : `route ${route}`)]
}

function whoOf({ tenant, user }) {
  if (tenant === undefined) return '–'
  return user === undefined ? tenant : [h('span', {}, tenant), h('span', { class: 'detail' }, user)]
}

function textOf({ path, route, tenant = '', user = '', client, request_id: id, problem, detail = '' }) {
  return [path, route, tenant, user, client, id, problem, detail].join(' ').toLowerCase()
}
