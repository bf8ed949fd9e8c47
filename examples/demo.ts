/**
 * The main job in five steps, against a running gateway: register, log in, call through the gateway, log out, be refused.
 *
 *     npm run demo [-- http://localhost:8080]
 */
const gateway = process.argv[2] ?? 'http://localhost:8080'
const email = `demo-${Date.now()}@example.com`
const password = 'correct horse battery staple'

interface Reply {
  readonly status: number
  readonly body: Record<string, unknown>
}

async function main(): Promise<boolean> {
  const registered = await call('POST', '/auth/register', { body: { email, password } })
  step(1, 'register', `POST /auth/register {"email": "${email}", …}`, registered, 'user')

  const login = await call('POST', '/auth/login', { body: { email, password } })
  step(2, 'log in', 'POST /auth/login', login, 'token_type', 'expires_in', 'session_id')
  const token = String(login.body['access_token'])

  const answered = await call('GET', '/api/hello', { token })
  step(3, 'call with the token', 'GET /api/hello', answered, 'path', 'headers')

  const logout = await call('POST', '/auth/logout', { token })
  step(4, 'log out', 'POST /auth/logout', logout)

  const refused = await call('GET', '/api/hello', { token })
  step(5, 'call again with the same token', 'GET /api/hello', refused, 'error', 'error_description')

  const expected = [registered.status, login.status, answered.status, logout.status, refused.status].join(' ')
  const fine = expected === '201 200 200 204 401' && refused.body['error'] === 'token_revoked'
  console.log(fine ? '\nThe token was refused after logout.' : `\nNot what was expected: ${expected}`)
  return fine
}

async function call(method: string, path: string, { token, body }: { token?: string; body?: unknown }): Promise<Reply> {
  const response = await fetch(gateway + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const value: unknown = text === '' ? {} : JSON.parse(text)
  return { status: response.status, body: isRecord(value) ? value : {} }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function step(number: number, title: string, request: string, reply: Reply, ...show: string[]): void {
  console.log(`\n${number}. ${title}\n   ${request} → ${reply.status}`)
  for (const name of show)
    console.log(`   ${name}: ${mask(JSON.stringify(reply.body[name], null, 1) ?? '').replaceAll('\n', '\n   ')}`)
}

/** The passport that the upstream gets is a token too: it has no business on a screen. */
function mask(text: string): string {
  return text.replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, 'eyJ…')
}

main().then(
  (fine) => {
    process.exitCode = fine ? 0 : 1
  },
  (error: unknown) => {
    const reason =
      error instanceof Error ? (error.cause instanceof Error ? error.cause.message : '') || error.message : String(error)
    console.error(
      `No gateway answers at ${gateway} (${reason}). Start one with: npm start. Of another address: npm run demo -- URL`,
    )
    process.exitCode = 1
  },
)
