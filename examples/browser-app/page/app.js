/**
 * Logs in with cookies that no script can read: this page never sees a token, so nothing that runs in it can take one away.
 * The browser sends the cookies along with each request to the gateway, and the gateway puts the user in their place.
 */
const at = (id) => document.getElementById(id)

at('login').addEventListener('submit', async (event) => {
  event.preventDefault()
  const { email, password } = Object.fromEntries(new FormData(event.target))
  if (event.submitter.value === 'register') {
    const registered = await send('POST', '/auth/register', { email, password })
    if (!registered.ok) return say(registered)
  }
  const answer = await send('POST', '/auth/login', { email, password, cookie: true })
  event.target.elements.password.value = ''
  if (!answer.ok) return say(answer)
  await show()
})

at('logout').addEventListener('click', async () => {
  await send('POST', '/auth/logout')
  await show()
})

at('order').addEventListener('submit', async (event) => {
  event.preventDefault()
  const answer = await call('POST', '/orders', Object.fromEntries(new FormData(event.target)))
  if (!answer.ok) return say(answer)
  event.target.reset()
  await list()
})

/** Shows who is logged in, or the form. */
async function show() {
  const me = await call('GET', '/auth/me')
  at('login').hidden = me.ok
  at('inside').hidden = !me.ok
  at('message').textContent = ''
  if (!me.ok) return
  at('who').textContent = me.body.email
  await list()
}

async function list() {
  const { ok, body } = await call('GET', '/orders')
  const items = (ok ? body.orders : []).map(({ item }) => Object.assign(document.createElement('li'), { textContent: item }))
  at('orders').replaceChildren(...items)
}

/** A call of a user. When the access cookie is over it is renewed, once, and the call is made again. */
async function call(method, path, body) {
  const answer = await send(method, path, body)
  if (answer.status !== 401) return answer
  const renewed = await renew()
  return renewed ? send(method, path, body) : answer
}

let renewing

/** One refresh for all calls that wait for it, in every tab: the lock is the browser's. */
function renew() {
  renewing ??= navigator.locks
    .request('renew', () => send('POST', '/sessions/refresh'))
    .then(({ ok }) => ok)
    .finally(() => {
      renewing = undefined
    })
  return renewing
}

async function send(method, path, body) {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
  const text = await response.text()
  return { ok: response.ok, status: response.status, body: text.startsWith('{') ? JSON.parse(text) : {} }
}

function say({ status, body }) {
  at('message').textContent = body.error_description ?? `The server answered ${status}.`
}

await show()
