import { get, pathOf, post } from './api.js'
import { confirm } from './dialog.js'
import { badge, field, h, heading, setText, table } from './dom.js'
import { ago, country, moment } from './format.js'

const REFRESH_MS = 5000

/** The live sessions of a user, and their end. */
export function sessionsView(app, asked) {
  let found
  let seenAt = 0
  const tenant = h('select', { id: 'session-tenant' })
  const user = h('input', {
    id: 'session-user',
    required: true,
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: 'usr_… or ada@example.com',
  })
  const find = h('button', { class: 'primary', type: 'submit' }, 'Find')
  const form = h(
    'form',
    { class: 'filters', submit: search },
    field('Tenant', tenant),
    field('User', user, 'Id, e-mail address or username.'),
    find,
  )
  const fault = h('p', { class: 'fault', role: 'alert' })
  const who = h('h2', {})
  const account = h('p', { class: 'about' })
  const number = h('p', { class: 'about', role: 'status' })
  const standing = h('span', {})
  const disable = h('button', { class: 'danger', type: 'button', click: () => askStatus('disable') }, 'Disable user')
  const enable = h('button', { type: 'button', click: () => askStatus('enable') }, 'Enable user')
  const all = h('button', { class: 'danger', type: 'button', click: askAll }, 'Revoke all')
  const list = table({
    caption: 'Live sessions',
    key: (session) => session.id,
    empty: 'No live session.',
    columns: [
      { label: 'Device', class: 'device', of: (session) => session.id, show: deviceOf },
      { label: 'Address', class: 'address', of: (session) => session.ip, show: (session) => h('code', {}, session.ip) },
      {
        label: 'Country',
        of: (session) => session.country,
        show: (session) =>
          session.country === undefined ? '–' : h('span', { title: session.country }, country(session.country)),
      },
      { label: 'Made by', text: (session) => session.client_id },
      {
        label: 'Begun',
        class: 'number',
        of: (session) => ago(session.created_at),
        show: (session) => timeOf(session.created_at),
      },
      {
        label: 'Last used',
        class: 'number',
        of: (session) => ago(session.last_used_at),
        show: (session) => timeOf(session.last_used_at),
      },
      { label: 'Ends', class: 'number', of: (session) => ago(endOf(session)), show: (session) => timeOf(endOf(session)) },
      { label: 'Action', class: 'action', of: (session) => session.id, show: buttonOf },
    ],
  })
  const result = h(
    'section',
    { class: 'card', hidden: true },
    h(
      'div',
      { class: 'cardhead' },
      h('div', { class: 'named' }, who, standing),
      h('div', { class: 'buttons' }, enable, disable, all),
    ),
    account,
    number,
    list.element,
  )
  const element = h('div', {}, heading('Sessions', 'Find a user, see where they are logged in, and end it.'), form, fault, result)
  void begin()
  return { element, update }

  function update() {
    if (found === undefined) return
    // Times go on.
    list.update(found.sessions)
    const isDue = performance.now() - seenAt > REFRESH_MS
    if (isDue && !document.hidden && document.querySelector('dialog') === null) void refresh()
  }

  /** What is shown stays where nobody answers: the next time may do. */
  async function refresh() {
    const before = found
    seenAt = performance.now()
    try {
      const next = await get(`${pathOf('tenants', before.tenant, 'users', before.user)}/sessions`)
      if (found !== before) return
      found = next
      show()
    } catch {
      // The stream of events tells of a gateway that is away.
    }
  }

  async function begin() {
    await offerTenants()
    if (asked === undefined) return
    tenant.value = asked.tenant
    user.value = asked.user
    await load(asked.tenant, asked.user)
  }

  async function offerTenants() {
    try {
      const { tenants } = await get('/tenants')
      const chosen = tenant.value
      tenant.replaceChildren(...tenants.map(({ id }) => h('option', { value: id }, id)))
      if (chosen !== '') tenant.value = chosen
    } catch (error) {
      app.failed(error, fault)
    }
  }

  async function search(event) {
    event.preventDefault()
    await load(tenant.value, user.value.trim())
  }

  async function load(ofTenant, ofUser) {
    fault.textContent = ''
    try {
      found = await get(`${pathOf('tenants', ofTenant, 'users', ofUser)}/sessions`)
      show()
    } catch (error) {
      result.hidden = true
      app.failed(error, fault)
    }
  }

  function show() {
    const { sessions, account: known } = found
    seenAt = performance.now()
    result.hidden = false
    setText(who, known?.email ?? found.user)
    const facts = [found.user, known?.username, `tenant ${found.tenant}`, known === undefined ? 'no account here' : undefined]
    setText(account, facts.filter((fact) => fact !== undefined).join(' · '))
    const isDisabled = known?.status === 'disabled'
    if (standing.textContent !== standingOf(known)) {
      standing.replaceChildren(known === undefined ? '' : badge(standingOf(known), isDisabled ? 'bad' : 'ok'))
    }
    // Whoever logs in elsewhere is to be kept out there.
    disable.hidden = known === undefined || isDisabled
    enable.hidden = !isDisabled
    setText(number, `${sessions.length} live ${sessions.length === 1 ? 'session' : 'sessions'}`)
    list.update(sessions)
  }

  function askAll() {
    const { tenant: ofTenant, user: ofUser, sessions } = found
    return confirm({
      title: `Revoke all sessions of ${ofUser}?`,
      text: `${sessions.length} live ${sessions.length === 1 ? 'session ends' : 'sessions end'}, and every token of this user that was issued up to now is refused. The user has to log in again.`,
      action: 'Revoke all',
      async run(reason) {
        const done = await post(`${pathOf('tenants', ofTenant, 'users', ofUser)}/sessions/revoke`, { reason })
        app.notify(`${done.revoked_count} ${done.revoked_count === 1 ? 'session' : 'sessions'} of ${ofUser} revoked.`)
        await load(ofTenant, ofUser)
      },
    })
  }

  async function askStatus(verb) {
    const { tenant: ofTenant, user: ofUser, account: known } = found
    const isOut = verb === 'disable'
    await confirm({
      title: `${isOut ? 'Disable' : 'Enable'} ${known.email}?`,
      text: isOut
        ? 'Every session of this user ends, every token is refused, and the user cannot log in until enabled again.'
        : 'The user can log in again. Sessions that ended stay ended.',
      action: isOut ? 'Disable user' : 'Enable user',
      tone: isOut ? 'danger' : 'primary',
      async run(reason) {
        await post(`${pathOf('tenants', ofTenant, 'users', ofUser)}/${verb}`, { reason })
        app.notify(`${known.email} is ${isOut ? 'disabled' : 'enabled'}.`)
        await load(ofTenant, ofUser)
      },
    })
    // The button that was focused is hidden now.
    if (document.activeElement === document.body) (isOut ? enable : disable).focus()
  }

  function buttonOf(session) {
    const label = `Revoke session ${session.id}`
    return h('button', { class: 'danger', type: 'button', 'aria-label': label, click: () => askOne(session) }, 'Revoke')
  }

  async function askOne(session) {
    const { tenant: ofTenant, user: ofUser } = found
    await confirm({
      title: 'Revoke this session?',
      text: `${session.device_name === 'unknown' ? session.device || 'A device' : session.device_name} at ${session.ip}, last used ${ago(session.last_used_at)}. Its tokens are refused from now on.`,
      action: 'Revoke session',
      async run(reason) {
        await post(`${pathOf('tenants', ofTenant, 'users', ofUser, 'sessions', session.id)}/revoke`, { reason })
        app.notify(`Session ${session.id.slice(0, 8)} revoked.`)
        await load(ofTenant, ofUser)
      },
    })
    // What was focused is gone with its row.
    if (!document.contains(document.activeElement) || document.activeElement === document.body) user.focus()
  }
}

function standingOf(account) {
  if (account === undefined) return ''
  return account.status === 'disabled' ? 'Disabled' : 'Active'
}

/** What it says it is stands below what we make of it, where we make something of it: it may say anything. */
function deviceOf({ device, device_name: name, id }) {
  const sid = h('code', { class: 'detail' }, id)
  if (name === 'unknown') return [h('span', {}, device || name), sid]
  return [h('span', {}, name), device === name ? '' : h('span', { class: 'detail agent' }, device), sid]
}

/** When it ends unless it is used. */
function endOf({ expires_at: end, idle_expires_at: unused }) {
  return Math.min(end, unused)
}

function timeOf(seconds) {
  return h('time', { datetime: new Date(seconds * 1000).toISOString(), title: moment(seconds) }, ago(seconds))
}
