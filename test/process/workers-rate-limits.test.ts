import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GatewayProcess } from '../support/process.ts'
import { ask, startCrew } from './crew.ts'

/** For each of a day: nothing comes back while a test runs. */
const ROUTES = `
rateLimits: { timeout: 2s }
routes:
  - { name: open, match: { path: /open/* }, auth: public, service: echo, rateLimit: { requests: 25, per: 1d, by: ip } }
  - { name: two, match: { path: /two/* }, auth: public, service: echo, rateLimit: [{ requests: 9, per: 1d, by: ip }, { requests: 30, per: 30d, by: tenant }] }
`

describe('rate limits of a gateway of several workers', () => {
  let gateway: GatewayProcess
  beforeAll(async () => {
    gateway = await startCrew(3, ROUTES)
  }, 60_000)
  afterAll(async () => {
    expect(await gateway.end()).toEqual({ code: 0, signal: null })
    expect(gateway.stderr()).not.toMatch(/Error|Warning/)
  }, 60_000)

  it('are one for all of them: exactly as many are let in as the limit says', async () => {
    const answers = await Promise.all(Array.from({ length: 90 }, () => ask(gateway, '/open/a')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(25)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(65)
    const answer = await ask(gateway, '/open/a')
    expect(answer.headers).toMatchObject({ ratelimit: '"ip";r=0;t=86400', 'retry-after': '3456' })
  })

  it('hold several at once, and take nothing for what one of them refuses', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(gateway, '/two/a')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(9)
    // Each of the 31 that were refused would have taken one of the 30 of the tenant.
    expect((await ask(gateway, '/two/a')).headers['ratelimit']).toMatch(/^"ip";r=0;t=86400, "tenant";r=21;t=\d+$/)
  })

  it('are shown to operators as one count', async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(text).toMatch(/^gatehouse_rate_limited_total\{route="open\.\w+",by="ip"\} 66$/m)
    expect(text).toMatch(/^gatehouse_rate_limit_checks_total\{counted="shared"\} [1-9]/m)
    expect(text).toMatch(/^gatehouse_breaker_state\{dependency="rate_limits"\} 0$/m)
  })
})
