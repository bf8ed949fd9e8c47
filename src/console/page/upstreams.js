import { badge, h, heading, setText, table } from './dom.js'
import { count, duration, milliseconds } from './format.js'
import { takersOf, wellOf } from './troubles.js'

const STATES = {
  in: ['Takes requests', 'ok'],
  unhealthy: ['Unhealthy', 'bad'],
  ejected: ['Left out', 'bad'],
  drained: ['Drained', 'plain'],
}
const BALANCES = { roundRobin: 'round robin', leastRequests: 'fewest requests', ewma: 'least latency', hash: 'by hash' }
const BREAKERS = { closed: ['Breaker closed', 'ok'], 'half-open': ['Breaker half open', 'warn'], open: ['Breaker open', 'bad'] }

/** Upstreams and their targets, as they are at present. */
export function upstreamsView() {
  const list = h('div', { class: 'stack' })
  const none = h('p', { class: 'empty card', hidden: true }, 'No upstreams: built-in services answer everything.')
  const cards = new Map()
  const element = h('div', {}, heading('Upstreams', 'Where requests go, and how the servers there are.'), list, none)
  return { element, update }

  function update({ overview, config }) {
    const upstreams = overview?.upstreams ?? []
    none.hidden = upstreams.length > 0
    for (const [name, card] of cards) {
      if (upstreams.some((one) => one.upstream === name)) continue
      card.element.remove()
      cards.delete(name)
    }
    for (const one of upstreams) {
      const card = cards.get(one.upstream) ?? made(one.upstream)
      card.update(one, config?.upstreams?.[one.upstream])
    }
  }

  function made(name) {
    const card = upstreamCard(name)
    cards.set(name, card)
    list.append(card.element)
    return card
  }
}

function upstreamCard(name) {
  const badges = h('p', { class: 'badges' })
  const facts = h('p', { class: 'about' })
  const none = h('p', { class: 'bad' })
  let seen
  const targets = table({
    caption: `Targets of ${name}`,
    key: (one) => `${one.target} ${one.address ?? ''}`,
    empty: 'No target.',
    columns: [
      { label: 'Target', of: (one) => `${one.url} ${one.address}`, show: addressOf },
      { label: 'State', of: (one) => `${one.state} ${sayingOf(one)}`, show: stateOf },
      { label: 'In this state', class: 'number', text: (one) => duration(one.state_seconds) },
      { label: 'Weight', class: 'number', text: (one) => one.weight },
      { label: 'In flight', class: 'number', text: (one) => count(one.in_flight) },
      { label: 'Latency', class: 'number', text: (one) => (one.latency_ms === 0 ? '–' : milliseconds(one.latency_ms)) },
      { label: 'Failures in a row', class: 'number', text: (one) => count(one.failures_in_a_row) },
      { label: 'Times left out', class: 'number', text: (one) => count(one.ejections) },
    ],
  })
  const element = h(
    'section',
    { class: 'card' },
    h('div', { class: 'cardhead' }, h('h2', {}, name), badges),
    facts,
    none,
    targets.element,
  )
  return {
    element,
    update(one, configured) {
      const well = wellOf(one)
      const wanted = takersOf(one)
      const state = JSON.stringify([well, wanted, one.breaker])
      if (seen !== state) {
        seen = state
        const tone = well === wanted ? 'ok' : well === 0 ? 'bad' : 'warn'
        const breaker = BREAKERS[one.breaker]
        badges.replaceChildren(
          ...[badge(`${well} of ${wanted} take requests`, tone), breaker && badge(...breaker)].filter(Boolean),
        )
      }
      setText(
        facts,
        `Balanced ${BALANCES[one.balance] ?? one.balance} · ${count(one.in_flight)} in flight · ${count(one.pending)} waiting for a connection`,
      )
      setText(none, well === 0 && wanted > 0 ? 'No server is well. All of them are tried all the same.' : '')
      const isUnwatched = configured !== undefined && configured.health === undefined && configured.outliers === undefined
      targets.update(isUnwatched ? one.targets.map((target) => ({ ...target, isUnwatched })) : one.targets)
    },
  }
}

/** Why a target is out, or why nothing is known of it. */
function sayingOf({ state, why = '', isUnwatched = false }) {
  return state === 'in' && isUnwatched ? 'not checked: no health, no outliers' : why
}

function stateOf(one) {
  const saying = sayingOf(one)
  return [badge(...(STATES[one.state] ?? [one.state])), saying === '' ? '' : h('span', { class: 'detail' }, saying)]
}

function addressOf({ url, address }) {
  const found = address === undefined ? [] : [h('span', { class: 'detail' }, `at ${address}`)]
  return [h('code', {}, url.replace(/\/$/, '')), ...found]
}
