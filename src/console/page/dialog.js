import { field, h } from './dom.js'

/**
 * Asks before something is changed, and why. Resolves when it is done, or was called off.
 *
 * @param ask `{ title, text, action, tone?, typed?, run(reason) }`; what `run` rejects with is shown, and can be tried again.
 * `typed`: what has to be typed first, where much is lost by one careless press
 */
export function confirm({ title, text, action, tone = 'danger', typed, run }) {
  const { promise, resolve } = Promise.withResolvers()
  const reason = h('input', { id: 'reason', required: true, maxlength: 256, autocomplete: 'off', spellcheck: 'true' })
  const proof = h('input', { id: 'proof', required: true, autocomplete: 'off', spellcheck: 'false', input: check })
  const fault = h('p', { class: 'fault', role: 'alert' })
  const go = h('button', { class: tone, type: 'submit' }, action)
  const stop = h('button', { type: 'button', click: () => dialog.close() }, 'Cancel')
  const form = h(
    'form',
    { method: 'dialog', submit: send },
    h('h2', { id: 'dialog-title' }, title),
    h('p', { id: 'dialog-text' }, text),
    field('Reason', reason, 'Stands in the audit record.'),
    typed === undefined ? undefined : field(`Type ${typed} to confirm`, proof),
    fault,
    h('div', { class: 'buttons' }, stop, go),
  )
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-text', close: closed }, form)
  document.body.append(dialog)
  dialog.showModal()
  reason.focus()
  return promise

  function check() {
    proof.setCustomValidity(proof.value.trim() === typed ? '' : `That is not ${typed}.`)
  }

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
