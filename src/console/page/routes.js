import { post } from './api.js'
import { badge, field, h, heading, setText, table } from './dom.js'
import { duration } from './format.js'
import { isFaulty } from './troubles.js'

const STALE =
  'The configuration file has a fault since it was changed. What was in force before still is. Read the file again to see every fault.'

/** Every route as it is enforced, who may use it, and where it leads. */
export function routesView(app) {
  const search = h('input', { id: 'route-search', type: 'search', placeholder: 'Path, name, upstream …', input: show })
  const openOnly = h('input', { id: 'route-open', type: 'checkbox', change: show })
  const number = h('p', { class: 'about' })
  const list = table({
    caption: 'Routes',
    key: (route) => route.name,
    empty: 'No route matches.',
    columns: [
      { label: 'Matches', of: (route) => JSON.stringify(route.match), show: matchOf },
      { label: 'Who may', of: (route) => `${route.auth} ${route.caller}`, show: whoOf },
      { label: 'Leads to', of: (route) => JSON.stringify(route.target) + JSON.stringify(route.split ?? ''), show: targetOf },
      {
        label: 'Policy',
        of: (route) => rulesOf(route).join(),
        show: (route) => rulesOf(route).map((rule) => h('span', { class: 'chip' }, rule)),
      },
      { label: 'Name', of: (route) => JSON.stringify(route), show: detailsOf },
    ],
  })
  const only = h('div', { class: 'check' }, openOnly, h('label', { for: 'route-open' }, 'Public only'))
  const again = h('button', { type: 'button', click: readAgain }, 'Read the file again')
  const stale = h('p', { class: 'warning', hidden: true }, STALE)
  const fault = h('p', { class: 'fault', role: 'alert' })
  const element = h(
    'div',
    {},
    heading('Routes', 'As they are enforced. What is public is open to everyone.'),
    stale,
    fault,
    h('div', { class: 'filters' }, field('Search', search), only, again),
    h('section', { class: 'card' }, number, list.element),
  )
  return { element, update: show }

  async function readAgain() {
    fault.textContent = ''
    again.disabled = true
    try {
      const { version } = await post('/reload', {})
      app.notify(`The file was read again. Configuration ${version.slice(0, 8)} is in force.`)
    } catch (error) {
      app.failed(error, fault)
      if (error.reasons?.length > 0) fault.replaceChildren(...error.reasons.map((reason) => h('span', { class: 'each' }, reason)))
    }
    again.disabled = false
  }

  function show() {
    const { routes = [], overview } = app.state
    stale.hidden = !isFaulty(overview)
    const text = search.value.trim().toLowerCase()
    const found = routes.filter(
      (route) => (!openOnly.checked || isPublic(route)) && JSON.stringify(route).toLowerCase().includes(text),
    )
    const open = routes.filter(isPublic).length
    setText(number, `${found.length} of ${routes.length} routes; ${open} public`)
    list.update(found)
  }
}

/** Of some endpoints the caller proves itself to the service. */
function isPublic({ auth, caller }) {
  return auth === 'public' && caller === undefined
}

function matchOf({ match }) {
  const methods = match.methods.length === 0 ? 'any' : match.methods.join(' ')
  const headers = Object.entries(match.headers).map(([name, value]) => `${name}: ${value}`)
  const also = [...match.hosts, ...headers].join(', ')
  return [
    h('span', { class: 'methods' }, methods),
    ' ',
    h('code', {}, match.path),
    also === '' ? '' : h('span', { class: 'detail' }, also),
  ]
}

function whoOf(route) {
  if (isPublic(route)) return badge('Public', 'warn')
  if (route.caller !== undefined)
    return badge(
      route.caller.replace(/^./, (letter) => letter.toUpperCase()),
      'info',
    )
  return route.auth === 'optional' ? badge('Token optional', 'info') : badge('Token required', 'ok')
}

function targetOf({ target, split }) {
  if (split !== undefined) return split.map((part) => h('span', { class: 'chip' }, `${part.upstream} ${part.weight}`))
  if (target.kind === 'service') return `service ${target.service}`
  return `upstream ${target.upstream}`
}

/** What is asked for besides a token, in short. */
function rulesOf(route) {
  const rules = []
  if (route.scopes?.length > 0) rules.push(`scopes ${route.scopes.join(' ')}`)
  if (route.tenants !== undefined) rules.push(`tenants ${[route.tenants].flat().join(' ')}`)
  if (route.issuers !== undefined) rules.push(`issuers ${[route.issuers].flat().join(' ')}`)
  for (const [claim, values] of Object.entries(route.claims ?? {})) rules.push(`${claim} is ${[values].flat().join(' or ')}`)
  if (route.maxAuthAgeSeconds !== undefined) rules.push(`login within ${duration(route.maxAuthAgeSeconds)}`)
  if (route.rateLimit !== undefined) rules.push('rate limit')
  if (route.ip !== undefined || route.networks !== undefined) rules.push('addresses')
  if (route.replay !== undefined && route.replay !== 'many') rules.push('token used once')
  if (route.certificate !== undefined) rules.push('client certificate')
  if (route.cors !== undefined) rules.push('CORS')
  if (route.websocket === true) rules.push('WebSocket')
  const { whenStale } = route.revocation
  if (whenStale !== 'deny') rules.push(`stale: ${whenStale}`)
  return rules
}

function detailsOf(route) {
  return h('details', {}, h('summary', {}, route.name), h('pre', { tabindex: '0' }, JSON.stringify(route, null, 2)))
}
