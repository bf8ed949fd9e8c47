import { get, pathOf, post } from './api.js'
import { confirm } from './dialog.js'
import { badge, h, heading, table } from './dom.js'
import { ago, duration, moment } from './format.js'

const TONES = { current: 'ok', next: 'info', previous: 'plain', retired: 'plain', revoked: 'bad' }

/** Tenants and their signing keys. */
export function tenantsView(app) {
  const list = h('div', { class: 'stack' })
  const fault = h('p', { class: 'fault', role: 'alert' })
  const element = h('div', {}, heading('Tenants & keys', 'Who logs in here, and the keys that sign their tokens.'), fault, list)
  const cards = new Map()
  void load()
  return { element, update: () => undefined, changed: load }

  async function load() {
    try {
      const { tenants } = await get('/tenants')
      fault.textContent = ''
      for (const tenant of tenants) {
        const card = cards.get(tenant.id) ?? made(tenant.id)
        card.update(tenant)
      }
    } catch (error) {
      app.failed(error, fault)
    }
  }

  function made(id) {
    const card = tenantCard(id, () => ask(id))
    cards.set(id, card)
    list.append(card.element)
    return card
  }

  function ask(id) {
    return confirm({
      title: `Rotate the key of ${id}?`,
      text: 'The next key signs from now on. Tokens of the key before stay good until they expire. Where there is no next key, one is published first and signs by itself later.',
      action: 'Rotate key',
      tone: 'primary',
      async run(reason) {
        const done = await post(`${pathOf('tenants', id)}/keys/rotate`, { reason })
        const text = done.outcome === 'rotated' ? 'signs now' : `is published and signs ${ago(done.current_at)}`
        app.notify(`${id}: key ${done.kid.slice(0, 8)} ${text}.`)
        await load()
      },
    })
  }
}

function tenantCard(id, rotate) {
  const facts = h('dl', { class: 'pairs' })
  const keys = table({
    caption: `Keys of ${id}`,
    key: (key) => key.kid,
    empty: 'No keys.',
    columns: [
      { label: 'Key', class: 'id', of: (key) => key.kid, show: (key) => h('code', {}, key.kid) },
      { label: 'State', of: (key) => key.state, show: (key) => badge(key.state, TONES[key.state]) },
      { label: 'Algorithm', text: (key) => key.alg },
      { label: 'Made', class: 'number', of: (key) => ago(key.created_at), show: (key) => timeOf(key.created_at) },
      { label: 'In this state', class: 'number', of: (key) => ago(key.since), show: (key) => timeOf(key.since) },
      {
        label: 'Until',
        class: 'number',
        of: (key) => (key.until === undefined ? '–' : ago(key.until)),
        show: (key) => (key.until === undefined ? '–' : timeOf(key.until)),
      },
    ],
  })
  const button = h('button', { type: 'button', click: rotate, 'aria-label': `Rotate the key of ${id}` }, 'Rotate key')
  const element = h('section', { class: 'card' }, h('div', { class: 'cardhead' }, h('h2', {}, id), button), facts, keys.element)
  return {
    element,
    update(tenant) {
      const pairs = [
        ['Issuer', tenant.issuer],
        ['Hosts', tenant.hosts.length === 0 ? '–' : tenant.hosts.join(', ')],
        ['Registration', tenant.registration],
        ['Access token', duration(tenant.access_token_seconds)],
        ['Session', duration(tenant.refresh_token_seconds)],
        ['Rotation', `every ${duration(tenant.rotate_every_seconds)}`],
      ]
      facts.replaceChildren(...pairs.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))))
      keys.update(tenant.keys)
    },
  }
}

function timeOf(seconds) {
  return h('time', { datetime: new Date(seconds * 1000).toISOString(), title: moment(seconds) }, ago(seconds))
}
