import { badge, h, heading, table, tile } from './dom.js'
import { count, duration, milliseconds } from './format.js'
import { isStale } from './troubles.js'

const STATES = [
  ['Closed', 'ok'],
  ['Half open', 'warn'],
  ['Open', 'bad'],
]
const NAMES = {
  revocation_store: 'Look-ups in the revocation store',
  redis: 'Commands to Redis',
  rate_limits: 'Common counts of rate limits',
  usernames_redis: 'Usernames: Redis',
  usernames_database: 'Usernames: database',
}

/** How true revocation is at present, and what it stands on. */
export function revocationView() {
  const tiles = {
    staleness: tile('Age of the local copy', 'Staleness: what was revoked before is known here'),
    entries: tile('Live revocations', 'Sessions, tokens, users, keys and tenants'),
    lag: tile('Lag, median', 'From the notice of a revocation to its enforcement'),
    lag99: tile('Lag, 99th percentile', 'From the notice of a revocation to its enforcement'),
  }
  const stores = table({
    caption: 'Stores',
    key: ({ name }) => name,
    empty: '',
    columns: [
      { label: 'Store', text: ({ name }) => name },
      { label: 'State', of: ({ state }) => state, show: ({ state, tone }) => badge(state, tone) },
    ],
  })
  const breakers = table({
    caption: 'Circuit breakers',
    key: ({ name }) => name,
    empty: 'No circuit breaker.',
    columns: [
      { label: 'Breaker', text: ({ name }) => NAMES[name] ?? name.replace(/^upstream:/, 'Upstream ') },
      { label: 'State', of: ({ value }) => value, show: ({ value }) => badge(...(STATES[value] ?? ['Unknown'])) },
    ],
  })
  const issuers = table({
    caption: 'Keys of issuers',
    key: ({ name }) => name,
    empty: 'No token of another issuer is taken.',
    columns: [
      { label: 'Issuer', text: ({ name }) => name },
      { label: 'Age of its keys', class: 'number', text: ({ value }) => duration(value) },
    ],
  })
  const element = h(
    'div',
    {},
    heading('Revocation', 'A token that was revoked is refused within the age of the local copy.'),
    h(
      'dl',
      { class: 'tiles' },
      Object.values(tiles).map((one) => one.element),
    ),
    h(
      'div',
      { class: 'columns' },
      h('section', { class: 'card' }, h('h2', {}, 'Stores'), stores.element),
      h('section', { class: 'card' }, h('h2', {}, 'Circuit breakers'), breakers.element),
      h('section', { class: 'card' }, h('h2', {}, 'Keys of issuers'), issuers.element),
    ),
  )
  return { element, update }

  function update({ figures, config }) {
    if (figures === undefined) return
    const { staleness_seconds: age, entries, lag } = figures.revocation
    const bound = config?.revocation?.maxStalenessMs
    tiles.staleness.set(age === null ? 'not loaded' : milliseconds(age * 1000), {
      tone: isStale(figures.revocation, config) ? 'bad' : 'ok',
      below: bound === undefined ? '' : `bound ${milliseconds(bound)}`,
    })
    tiles.entries.set(count(entries))
    tiles.lag.set(milliseconds(lag.p50_ms), { below: `${count(lag.count)} since the start` })
    tiles.lag99.set(milliseconds(lag.p99_ms))
    stores.update([
      storeOf('Sessions and revocations', figures.redis_up, 'Redis'),
      storeOf('Accounts', figures.database_up, 'Database'),
    ])
    breakers.update(figures.breakers.filter(({ name }) => figures.redis_up !== null || name !== 'usernames_redis'))
    issuers.update(figures.issuers)
  }
}

/** @param up null: it is embedded */
function storeOf(name, up, what) {
  if (up === null) return { name, state: 'Embedded', tone: 'ok' }
  return up === 1 ? { name, state: `${what} answers`, tone: 'ok' } : { name, state: `${what} is away`, tone: 'bad' }
}
