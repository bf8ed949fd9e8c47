/** What has a bound of its own says so when it is full: 503 with Retry-After, and never 500. */
import { afterEach, expect, test } from 'vitest'
import { postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

let gateway: TestGateway

afterEach(() => gateway.close())

test('more logins than can wait, from as many addresses: those that are served, and those that are told to wait', async () => {
  gateway = await startGateway(`listeners:
  public:
    {{public}}
    trustedProxies: [127.0.0.1/32]
  admin: { address: 127.0.0.1:0 }
routes:${SERVICE_ROUTES}`)
  const answers = await Promise.all(
    Array.from({ length: 150 }, async (_, index) => {
      const credentials = { email: `nobody-${index}@example.com`, password: 'correct horse battery staple' }
      const answer = await postJson(`${gateway.url}/auth/login`, credentials, { 'x-forwarded-for': `192.0.2.${index}` })
      const { error } = (await answer.json()) as { error: string }
      return `${answer.status} ${error} ${answer.headers.get('retry-after')}`
    }),
  )
  expect(new Set(answers)).toEqual(new Set(['401 unauthorized null', '503 overloaded 1']))
  expect(answers.filter((answer) => answer.startsWith('401')).length).toBeGreaterThanOrEqual(65)
  expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
  expect(gateway.lines().filter((line) => line['status'] === 500 || line['cause'] !== undefined)).toEqual([])
})
