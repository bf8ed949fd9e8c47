import { get, pathOf, post } from './api.js'
import { confirm } from './dialog.js'
import { badge, h, heading, setText, table } from './dom.js'
import { ago, duration, moment } from './format.js'

const TONES = { current: 'ok', next: 'info', previous: 'plain', retired: 'plain', revoked: 'bad' }

/** Tenants and their signing keys. */
export function tenantsView(app) {
  const list = h('div', { class: 'stack' })
  const fault = h('p', { class: 'fault', role: 'alert' })
  const element = h('div', {}, heading('Tenants & keys', 'Who logs in here, and the keys that sign their tokens.'), fault, list)
  const cards = new Map()
  void load()
  return { element, update: () => cards.forEach((card) => card.tick()), changed: load }

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
    const card = tenantCard(id, { rotate: () => ask(id), revokeKey: (key) => askKey(id, key), revokeAll: () => askAll(id) })
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

  async function askKey(id, { kid, state }) {
    await confirm({
      title: `Revoke the ${state} key of ${id}?`,
      text: `${LOSSES[state]} For a key that others may have: to replace one in time, rotate it. Sessions go on: clients refresh. Key ${kid}.`,
      action: 'Revoke key',
      async run(reason) {
        const done = await post(`${pathOf('tenants', id, 'keys', kid)}/revoke`, { reason })
        app.notify(`${id}: key ${kid.slice(0, 8)} is revoked. ${done.current.slice(0, 8)} signs.`)
        await load()
      },
    })
    // What was focused is gone with the state of the key.
    if (document.activeElement === document.body) cards.get(id)?.element.querySelector('button')?.focus()
  }

  function askAll(id) {
    return confirm({
      title: `Log out everyone of ${id}?`,
      text: `Every token of tenant ${id} that was issued up to now is refused, whoever issued it, and every session is over. All of its users have to log in again.`,
      action: 'Log out everyone',
      typed: id,
      async run(reason) {
        await post(`${pathOf('tenants', id)}/revoke`, { reason })
        app.notify(`${id}: every token that was issued up to now is refused.`)
      },
    })
  }
}

/** Keys of which tokens may live. */
const LIVE = new Set(['next', 'current', 'previous'])
/** What becomes of them when their key is revoked. */
const LOSSES = {
  current: 'Every access token that it signed is refused at once, and another key signs from now on.',
  previous: 'Every access token that it signed is refused at once.',
  next: 'It has signed nothing yet, and never will.',
}

function tenantCard(id, { rotate, revokeKey, revokeAll }) {
  const name = h('p', { class: 'detail' })
  const title = h('div', {}, h('h2', {}, id), name)
  const facts = h('dl', { class: 'pairs' })
  let shown = []
  const keys = table({
    caption: `Keys of ${id}`,
    key: (key) => key.kid,
    empty: 'No keys.',
    columns: [
      { label: 'Key', class: 'id', of: (key) => key.kid, show: (key) => h('code', {}, key.kid) },
      { label: 'State', of: (key) => `${key.state} ${key.reason}`, show: stateOf },
      { label: 'Algorithm', text: (key) => key.alg },
      { label: 'Made', class: 'number', of: (key) => ago(key.created_at), show: (key) => timeOf(key.created_at) },
      { label: 'In this state', class: 'number', of: (key) => ago(key.since), show: (key) => timeOf(key.since) },
      {
        label: 'Until',
        class: 'number',
        of: (key) => (key.until === undefined ? '–' : ago(key.until)),
        show: (key) => (key.until === undefined ? '–' : timeOf(key.until)),
      },
      { label: 'Action', class: 'action', of: (key) => key.state, show: actionOf },
    ],
  })
  const all = h(
    'button',
    { class: 'danger', type: 'button', click: revokeAll, 'aria-label': `Log out everyone of ${id}` },
    'Log out everyone',
  )
  const button = h('button', { type: 'button', click: rotate, 'aria-label': `Rotate the key of ${id}` }, 'Rotate key')
  const buttons = h('div', { class: 'buttons' }, button, all)
  const element = h('section', { class: 'card' }, h('div', { class: 'cardhead' }, title, buttons), facts, keys.element)
  return {
    element,
    update(tenant) {
      setText(name, tenant.name === id ? '' : tenant.name)
      const pairs = [
        ['Issuer', tenant.issuer],
        ['Hosts', tenant.hosts.length === 0 ? '–' : tenant.hosts.join(', ')],
        ['Registration', tenant.registration],
        ['Access token', duration(tenant.access_token_seconds)],
        ['Session', duration(tenant.refresh_token_seconds)],
        ['Rotation', `every ${duration(tenant.rotate_every_seconds)}`],
        ['Signs with', tenant.signing],
        ['Since', moment(tenant.created_at)],
        ['Changed', moment(tenant.updated_at)],
      ]
      facts.replaceChildren(...pairs.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))))
      shown = tenant.keys
      keys.update(shown)
    },
    /** Times go on. */
    tick: () => keys.update(shown),
  }

  function actionOf(key) {
    if (!LIVE.has(key.state)) return ''
    const label = `Revoke key ${key.kid}`
    return h('button', { class: 'danger', type: 'button', 'aria-label': label, click: () => revokeKey(key) }, 'Revoke')
  }
}

function stateOf({ state, reason }) {
  return [badge(state, TONES[state]), state === 'revoked' && reason !== undefined ? h('span', { class: 'detail' }, reason) : '']
}

function timeOf(seconds) {
  return h('time', { datetime: new Date(seconds * 1000).toISOString(), title: moment(seconds) }, ago(seconds))
}
