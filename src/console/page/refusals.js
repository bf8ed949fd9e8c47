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
      { label: 'Request', class: 'request', of: (one) => one.path, show: requestOf },
      { label: 'Tenant', of: (one) => `${one.tenant} ${one.user}`, show: whoOf },
      { label: 'Client', class: 'address', of: (one) => one.client, show: (one) => h('code', {}, one.client) },
      { label: 'Action', class: 'action', of: (one) => one.id, show: explainButton },
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

  function whoOf({ tenant, user }) {
    if (tenant === undefined) return '–'
    if (user === undefined) return tenant
    const show = () => app.go('sessions', { tenant, user })
    return [
      h('span', {}, tenant),
      h('button', { class: 'link detail', type: 'button', title: 'Sessions of this user', click: show }, user),
    ]
  }

  function explainButton(one) {
    const explain = () => app.go('explain', { method: one.method, url: urlOf(one, app.state.config), ip: one.client })
    return h('button', { type: 'button', 'aria-label': `Explain request ${one.request_id}`, click: explain }, 'Explain')
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
  const detail = one.detail === undefined ? '' : h('code', { class: 'detail' }, one.detail)
  return [
    badge(String(one.status), one.status >= 500 ? 'bad' : 'warn'),
    ' ',
    h('span', { class: 'reason' }, one.problem),
    h('span', { class: 'detail' }, one.description),
    detail,
  ]
}

function requestOf({ method, path, route, request_id: id }) {
  return [
    h('code', {}, `${method} ${path}`),
    h('span', { class: 'detail' }, route === 'none' ? 'no route' : `route ${route}`),
    h('code', { class: 'detail', title: 'Request id' }, id),
  ]
}

/** As the client asked for it, but for its query. */
function urlOf({ host, path }, config) {
  if (host === '' || !path.startsWith('/')) return path
  return `${String(config?.listeners?.public?.origin).startsWith('https:') ? 'https' : 'http'}://${host}${path}`
}

function textOf({ path, route, tenant = '', user = '', client, request_id: id, problem, description, detail = '' }) {
  return [path, route, tenant, user, client, id, problem, description, detail].join(' ').toLowerCase()
}
