import { field, h } from './dom.js'

/** Asks for the admin token. `enter` rejects where it is not the one. */
export function loginView(enter) {
  const token = h('input', {
    id: 'token',
    type: 'password',
    required: true,
    autocomplete: 'current-password',
    spellcheck: 'false',
  })
  // For managers of passwords, which want a name to keep one under.
  const user = h('input', {
    class: 'unseen',
    autocomplete: 'username',
    value: 'admin',
    tabindex: '-1',
    'aria-hidden': 'true',
    readonly: true,
  })
  const fault = h('p', { class: 'fault', role: 'alert' })
  const form = h(
    'form',
    { class: 'card login', submit: send },
    h('h1', {}, 'Sign in'),
    h('p', {}, 'This admin listener asks for its token, the one of listeners.admin.token.'),
    user,
    field('Admin token', token, 'Kept in this page alone, until it is closed or loaded again.'),
    fault,
    h('div', { class: 'buttons' }, h('button', { class: 'primary', type: 'submit' }, 'Sign in')),
  )
  return { element: form, focus: () => token.focus() }

  async function send(event) {
    event.preventDefault()
    fault.textContent = ''
    try {
      await enter(token.value.trim())
    } catch (error) {
      fault.textContent = error.status === 401 ? 'That is not the token.' : error.message
      token.select()
    }
  }
}
