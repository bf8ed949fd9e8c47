/**
 * The console: joins the stream of events to the view that is open.
 *
 * @module
 */
import { follow, get, signIn, signOut } from './api.js'
import { h, setText } from './dom.js'
import { explainView } from './explain.js'
import { duration } from './format.js'
import { loginView } from './login.js'
import { refusalsView } from './refusals.js'
import { revocationView } from './revocation.js'
import { routesView } from './routes.js'
import { sessionsView } from './sessions.js'
import { tenantsView } from './tenants.js'
import { trafficView } from './traffic.js'
import { troubles } from './troubles.js'
import { upstreamsView } from './upstreams.js'

const VIEWS = [
  { id: 'traffic', title: 'Traffic', make: trafficView },
  { id: 'routes', title: 'Routes', make: routesView },
  { id: 'upstreams', title: 'Upstreams', make: upstreamsView },
  { id: 'revocation', title: 'Revocation', make: revocationView },
  { id: 'tenants', title: 'Tenants & keys', make: tenantsView },
  { id: 'sessions', title: 'Sessions', make: sessionsView },
  { id: 'refusals', title: 'Refusals', make: refusalsView },
  { id: 'explain', title: 'Explain', make: explainView },
]
const STANDINGS = {
  ready: ['Ready', 'ok'],
  degraded: ['Degraded', 'warn'],
  starting: ['Starting', 'warn'],
  draining: ['Draining', 'warn'],
}
const POINTS = 180
const REFUSALS = 200
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 8000
const NOTICE_MS = 8000

const at = (id) => document.getElementById(id)
const main = at('main')
const app = { state: { points: [], refusals: [], now: Date.now() }, notify, failed, go }
let current
/** What one view asks the next to show. */
let asked
let version
let following

at('views').append(
  ...VIEWS.map(({ id, title }) => {
    const link = h('a', { href: `#${id}`, id: `view-${id}`, 'aria-describedby': `mark-${id}` }, title)
    return h('li', {}, link, h('span', { class: 'mark', id: `mark-${id}`, hidden: true }))
  }),
)
at('sign-out').addEventListener('click', leave)
addEventListener('hashchange', () => open(true))
open(false)
void run()

/** Follows the stream for as long as the page is there, and again when it breaks off. */
async function run() {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    following = new AbortController()
    try {
      await follow((name, data) => {
        waitMs = FIRST_WAIT_MS
        hear(name, data)
      }, following.signal)
    } catch (error) {
      if (error.status === 401) {
        signOut()
        return ask()
      }
      if (following.signal.aborted) return
    }
    stand('No connection, trying again', 'bad')
    await new Promise((resolve) => {
      setTimeout(resolve, waitMs)
    })
  }
}

function hear(name, { points, refusals, ...rest }) {
  const { state } = app
  if (name === 'all') Object.assign(state, rest, { points, refusals })
  else {
    const first = points[0]?.at ?? Number.POSITIVE_INFINITY
    const known = state.points.filter(({ at: began }) => began < first)
    Object.assign(state, rest, {
      points: [...known, ...points].slice(-POINTS),
      refusals: [...state.refusals, ...refusals].slice(-REFUSALS),
    })
  }
  const readiness = state.overview?.readiness
  stand(...(STANDINGS[readiness?.status] ?? ['Not answering', 'bad']))
  setText(at('facts'), readiness === undefined ? '' : factsOf(readiness))
  for (const [id, trouble] of Object.entries(troubles(state))) mark(id, trouble)
  if (readiness !== undefined && readiness.config_version !== version) void reconfigure(readiness.config_version)
  current?.view.update(state)
}

function factsOf({ uptime_seconds: uptime, config_version: config, workers }) {
  const facts = [`up ${duration(uptime)}`, `configuration ${String(config).slice(0, 8)}`]
  if (workers !== undefined) facts.unshift(`${workers.ready} of ${workers.wanted} workers`)
  return facts.join(' · ')
}

/** Says beside the link of a view that something there asks for a look. */
function mark(id, trouble) {
  const badge = at(`mark-${id}`)
  const isNew = badge.hidden !== (trouble === undefined)
  badge.hidden = trouble === undefined
  setText(badge, trouble?.text ?? '')
  badge.className = `mark ${trouble?.tone ?? ''}`
  // On small screens it moves the links after it.
  if (isNew) reveal(document.querySelector('.views [aria-current]'))
}

/** The links are in a row on small screens, of which one may be off the end. */
function reveal(link) {
  link?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
}

/** What one view asks of another: `asked` is for that view to read. */
function go(view, given) {
  asked = given
  location.hash = view
}

/** What changes with the configuration alone. */
async function reconfigure(next) {
  version = next
  try {
    const [routes, config] = await Promise.all([get('/routes'), get('/config')])
    Object.assign(app.state, { routes, config })
    current?.view.update(app.state)
    current?.view.changed?.()
  } catch {
    // The next event tries again.
    version = undefined
  }
}

/** Shows what the address names. */
function open(isMove) {
  const named = location.hash.slice(1)
  if (named === 'main') return main.focus()
  const { id: name, title, make } = VIEWS.find(({ id }) => id === named) ?? VIEWS[0]
  for (const { id } of VIEWS) {
    const link = at(`view-${id}`)
    if (id !== name) link.removeAttribute('aria-current')
    else {
      link.setAttribute('aria-current', 'page')
      reveal(link)
    }
  }
  document.title = `${title} · Gatehouse`
  if (current?.name === 'login') return
  current = { name, view: make(app, asked) }
  asked = undefined
  main.replaceChildren(current.view.element)
  current.view.update(app.state)
  if (!isMove) return
  main.focus({ preventScroll: true })
  scrollTo(0, 0)
  current.view.focus?.()
}

/** Asks for the token; nothing else can be seen before. */
function ask() {
  stand('Signed out', 'plain')
  setText(at('facts'), '')
  for (const { id } of VIEWS) mark(id, undefined)
  at('sign-out').hidden = true
  app.state = { points: [], refusals: [], now: Date.now() }
  version = undefined
  const view = loginView(async (token) => {
    signIn(token)
    try {
      await get('/routes')
    } catch (error) {
      signOut()
      throw error
    }
    at('sign-out').hidden = false
    current = undefined
    open(true)
    void run()
  })
  current = { name: 'login', view: { ...view, update: () => undefined } }
  main.replaceChildren(view.element)
  view.focus()
}

function leave() {
  signOut()
  following.abort()
  ask()
}

/** A call was refused. Without a token there is nothing more to see. */
function failed(error, place) {
  if (error.status === 401) {
    following.abort()
    signOut()
    return ask()
  }
  place.textContent = error.message
}

function stand(text, tone) {
  setText(at('standing-text'), text)
  at('standing').className = `standing ${tone}`
}

function notify(text) {
  const notice = h('p', {}, text)
  at('notices').append(notice)
  setTimeout(() => notice.remove(), NOTICE_MS)
}
