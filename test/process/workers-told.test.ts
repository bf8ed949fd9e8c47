/** What several workers tell as one: exemplars of the requests of all of them, and the feed of revocations. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createValidator } from '../../src/validator/validator.ts'
import { startReceiver, type Receiver } from '../support/otlp.ts'
import type { GatewayProcess } from '../support/process.ts'
import { until } from '../support/until.ts'
import { ask, askEach, bearer, register, SECRET_ROUTES, startCrew } from './crew.ts'

const SECRET = 'a secret of thirty-two characters'
const WORKERS = 2

describe('a gateway of several workers', { timeout: 120_000 }, () => {
  let receiver: Receiver
  let gateway: GatewayProcess
  beforeAll(async () => {
    receiver = await startReceiver()
    process.env['FEED_SECRET'] = SECRET
    gateway = await startCrew(
      WORKERS,
      `telemetry: { traces: { otlp: "${receiver.url}", sample: 100% } }
clients: { orders: { tenant: default, secret: { env: FEED_SECRET }, scopes: [revocations:read] } }
routes:${SECRET_ROUTES}
  - { name: discovery-tenants, match: { path: /t/* }, service: discovery }
  - { name: revocations, match: { path: /revocations }, service: revocations }
`,
    )
  }, 120_000)
  afterAll(async () => {
    delete process.env['FEED_SECRET']
    await gateway.end()
    await receiver.close()
  })

  it('has exemplars of whichever answered last', async () => {
    await askEach(gateway, WORKERS, '/open/first')
    const [one, other] = await askEach(gateway, WORKERS, '/open/second')
    const ids = [one, other].map((answer) => String(answer?.headers['x-request-id']).replaceAll('-', ''))
    await until(async () => {
      const accept = 'application/openmetrics-text;version=1.0.0'
      const scraped = await fetch(`${gateway.adminUrl}/metrics`, { headers: { accept } })
      const text = await scraped.text()
      expect([scraped.headers.get('content-type'), text.endsWith('\n# EOF\n')]).toEqual([
        `${accept.replace(';v', '; v')}; charset=utf-8`,
        true,
      ])
      const found = [
        ...text.matchAll(/^gatehouse_request_duration_seconds_bucket\{.*route="open[^"]*".* # \{trace_id="(.*?)"\}/gm),
      ]
      return found.some(([, id = '']) => ids.includes(id))
    }, 'there is no exemplar of the last requests')
  })

  it('tells a service of what ended, whichever of them is asked', async () => {
    const origin = gateway.url
    let turn = 0
    const gate = createValidator({
      origin,
      tokens: { revocations: { feed: { clientId: 'orders', clientSecret: SECRET } } },
      // Two names have a connection each, and connections go to the workers in turn.
      fetch: (input, init) =>
        fetch(new Request(input).url.replace('localhost', turn++ % 2 === 0 ? '127.0.0.1' : 'localhost'), init),
    })
    try {
      await gate.ready(30_000)
      for (let user = 0; user < WORKERS * 2; user += 1) {
        const { access_token: token } = await register(gateway)
        expect(await gate.verifyToken(token)).toMatchObject({ tenantId: 'default' })
        expect((await ask(gateway, '/auth/logout', { method: 'POST', headers: bearer(token) })).status).toBe(204)
        await until(async () => (await gate.verifyToken(token).catch((error: unknown) => error)) instanceof Error)
        await expect(gate.verifyToken(token)).rejects.toMatchObject({ code: 'token_revoked' })
      }
      expect(gate.state().revocations?.entries).toBe(WORKERS * 2)
    } finally {
      await gate.close()
    }
  })
})
