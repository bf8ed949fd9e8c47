import { field, h } from './dom.js'

/**
 * Asks before something is changed, and why. Resolves when it is done, or was called off.
 *
 * @param ask `{ title, text, action, tone?, run(reason) }`; what `run` rejects with is shown, and can be tried again
 */
export function confirm({ title, text, action, tone = 'danger', run }) {
  const { promise, resolve } = Promise.withResolvers()
  const reason = h('input', { id: 'reason', required: true, maxlength: 256, autocomplete: 'off', spellcheck: 'true' })
  const fault = h('p', { class: 'fault', role: 'alert' })
  const go = h('button', { class: tone, type: 'submit' }, action)
  const stop = h('button', { type: 'button', click: () => dialog.close() }, 'Cancel')
  const form = h(
    'form',
    { method: 'dialog', submit: send },
    h('h2', { id: 'dialog-title' }, title),
    h('p', { id: 'dialog-text' }, text),
    field('Reason', reason, 'Stands in the audit record.'),
    fault,
    h('div', { class: 'buttons' }, stop, go),
  )
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-text', close: closed }, form)
  document.body.append(dialog)
  dialog.showModal()
  reason.focus()
  return promise

  async function send(event) {
    event.preventDefault()
    fault.textContent = ''
    go.disabled = true
    try {
      await run(reason.value.trim())
      dialog.close()
    } catch (error) {
      fault.textContent = error.message
      go.disabled = false
      reason.focus()
    }
  }

  function closed() {
    dialog.remove()
    resolve()
  }
}
