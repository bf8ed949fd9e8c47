/**
 * The calls of the admin listener. The token is kept in this module and nowhere else: not in a store that ends up on a disk, not
 * in a cookie that goes along by itself, not in an address.
 *
 * @module
 */

let token

/** A refusal, in the words of the gateway. */
export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    const wait = retryAfter === null ? '' : ` Try again in ${retryAfter} s.`
    super((problem.error_description ?? `The admin listener answered ${status}.`) + wait)
    this.status = status
    /** Every fault of a configuration that was not taken. */
    this.reasons = problem.reasons ?? []
  }
}

export function signIn(text) {
  token = text
}

export function signOut() {
  token = undefined
}

export async function get(path) {
  return answerOf(await ask(path, {}))
}

export async function post(path, body) {
  const headers = { 'content-type': 'application/json' }
  return answerOf(await ask(path, { method: 'POST', headers, body: JSON.stringify(body) }))
}

/** A path of texts that may hold anything. */
export function pathOf(...segments) {
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('')
}

/**
 * Reads the stream of events until it ends. EventSource could not send the token.
 *
 * @throws Refused where it is not opened
 */
export async function follow(heard, signal) {
  const response = await ask('/events', { signal })
  if (!response.ok) await answerOf(response)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const events = (rest + value).split('\n\n')
    rest = events.pop()
    for (const event of events) {
      const name = /^event: (.*)$/m.exec(event)?.[1]
      const data = /^data: (.*)$/m.exec(event)?.[1]
      if (name !== undefined && data !== undefined) heard(name, JSON.parse(data))
    }
  }
}

function ask(path, { headers = {}, ...rest }) {
  const proof = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return fetch(path, {
    ...rest,
    credentials: 'omit',
    redirect: 'error',
    headers: { ...headers, ...proof, 'x-gatehouse-admin': '1' },
  })
}

async function answerOf(response) {
  if (response.ok) return response.json()
  const problem = await response.json().catch(() => ({}))
  throw new Refused(response.status, problem, response.headers.get('retry-after'))
}
