import { post } from './api.js'
import { badge, field, h, heading } from './dom.js'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** What would become of a request, and why. Nothing is sent and nothing is spent. */
export function explainView(app, asked) {
  const method = h(
    'select',
    { id: 'explain-method' },
    METHODS.map((name) => h('option', {}, name)),
  )
  const url = h('input', {
    id: 'explain-url',
    required: true,
    spellcheck: 'false',
    autocomplete: 'off',
    placeholder: '/api/orders or https://api.example.com/orders',
  })
  const token = h('textarea', { id: 'explain-token', rows: 3, spellcheck: 'false', autocomplete: 'off' })
  const headers = h('textarea', { id: 'explain-headers', rows: 3, spellcheck: 'false', placeholder: 'x-beta: 1' })
  const ip = h('input', { id: 'explain-ip', spellcheck: 'false', autocomplete: 'off', placeholder: '127.0.0.1' })
  const go = h('button', { class: 'primary', type: 'submit' }, 'Explain')
  const form = h(
    'form',
    { class: 'card explain', submit: ask },
    h('div', { class: 'line' }, field('Method', method), field('URL or path', url)),
    field(
      'Token',
      token,
      asked === undefined
        ? 'It is not repeated in the answer.'
        : 'Tokens of refused requests are not kept: paste it, or explain without.',
    ),
    h('div', { class: 'line' }, field('Headers', headers, 'One a line.'), field('Client address', ip)),
    h('div', { class: 'buttons' }, go),
  )
  const fault = h('p', { class: 'fault', role: 'alert' })
  const result = h('section', { class: 'card', hidden: true, 'aria-live': 'polite', tabindex: '-1' })
  const element = h(
    'div',
    {},
    heading('Explain', 'What would become of a request, step by step. Nothing is sent, nothing is spent.'),
    form,
    fault,
    result,
  )
  if (asked !== undefined) {
    // A method that is not offered is one that somebody made up.
    if (!METHODS.includes(asked.method)) method.append(h('option', {}, asked.method))
    Object.assign(method, { value: asked.method })
    Object.assign(url, { value: asked.url })
    Object.assign(ip, { value: asked.ip })
  }
  return { element, update: () => undefined, ...(asked !== undefined && { focus: () => token.focus() }) }

  async function ask(event) {
    event.preventDefault()
    fault.textContent = ''
    const asked = { method: method.value, url: url.value.trim(), headers: fieldsOf(headers.value) }
    if (token.value.trim() !== '') asked.token = token.value.trim().replace(/^bearer\s+/i, '')
    if (ip.value.trim() !== '') asked.ip = ip.value.trim()
    try {
      show(await post('/explain', asked))
    } catch (error) {
      result.hidden = true
      app.failed(error, fault)
    }
  }

  function show({ decision, status, error, route, steps }) {
    const isLet = decision === 'allow'
    const verdict = isLet ? badge('Let in', 'ok') : badge(`Refused: ${status} ${error}`, 'bad')
    const rows = steps.map((step) =>
      h(
        'li',
        { class: step.result.startsWith('refused') ? 'bad' : '' },
        h('span', { class: 'room' }, step.room),
        h('span', { class: 'rule' }, step.rule),
        h(
          'span',
          { class: 'result' },
          step.result,
          step.detail === undefined ? undefined : h('span', { class: 'detail' }, step.detail),
        ),
      ),
    )
    result.replaceChildren(
      h('div', { class: 'cardhead' }, h('h2', {}, route === null ? 'No route' : `Route ${route}`), verdict),
      h('ol', { class: 'steps' }, rows),
    )
    result.hidden = false
    result.focus()
  }
}

function fieldsOf(text) {
  const lines = text.split('\n').filter((line) => line.includes(':'))
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).trim(), line.slice(line.indexOf(':') + 1).trim()]),
  )
}
