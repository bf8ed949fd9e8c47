import { badge, h, heading, setText, table } from './dom.js'
import { count, milliseconds } from './format.js'

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

  function update({ overview }) {
    const upstreams = overview?.upstreams ?? []
    none.hidden = upstreams.length > 0
    for (const [name, card] of cards) {
      if (upstreams.some((one) => one.upstream === name)) continue
      card.element.remove()
      cards.delete(name)
    }
    for (const one of upstreams) {
      const card = cards.get(one.upstream) ?? made(one.upstream)
      card.update(one)
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
  let seen
  const targets = table({
    caption: `Targets of ${name}`,
    key: (one) => `${one.target} ${one.address ?? ''}`,
    empty: 'No target.',
    columns: [
      { label: 'Target', of: (one) => `${one.url} ${one.address}`, show: addressOf },
      { label: 'State', of: (one) => one.state, show: (one) => badge(...(STATES[one.state] ?? [one.state])) },
      { label: 'Weight', class: 'number', text: (one) => one.weight },
      { label: 'In flight', class: 'number', text: (one) => count(one.in_flight) },
      { label: 'Latency', class: 'number', text: (one) => (one.latency_ms === 0 ? '–' : milliseconds(one.latency_ms)) },
      { label: 'Failures in a row', class: 'number', text: (one) => count(one.failures_in_a_row) },
      { label: 'Ejections', class: 'number', text: (one) => count(one.ejections) },
    ],
  })
  const element = h(
    'section',
    { class: 'card' },
    h('div', { class: 'cardhead' }, h('h2', {}, name), badges),
    facts,
    targets.element,
  )
  return {
    element,
    update(one) {
      const well = one.targets.filter(({ state }) => state === 'in').length
      const wanted = one.targets.filter(({ state }) => state !== 'drained').length
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
      targets.update(one.targets)
    },
  }
}

function addressOf({ url, address }) {
  const found = address === undefined ? [] : [h('span', { class: 'detail' }, `at ${address}`)]
  return [h('code', {}, url.replace(/\/$/, '')), ...found]
}
