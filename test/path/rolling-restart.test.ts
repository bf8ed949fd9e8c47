/** Two servers are replaced one after the other, as a deployment does it, while requests go on: none of them fails. */
import { expect, test } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { startServer } from '../support/servers.ts'

const CLIENTS = 8
const ROUNDS = 4

test.each([
  ['leave', 'with a farewell'],
  ['kill', 'without a farewell'],
] as const)('servers that %s %s', async (way, _how) => {
  const servers = [await startServer('a'), await startServer('b')]
  const gateway = await startGateway(`listeners:
  public:
    {{public}}
    overload: { enabled: false } # Clients, servers and the gateway share this process.
  admin: { address: 127.0.0.1:0 }
upstreams:
  app:
    targets: [${servers.map(({ url }) => `"${url}"`).join(', ')}]
    retries: { attempts: 2, budget: 100% }
    health: { path: /healthz, interval: 50ms }
    outliers: { consecutiveFailures: 3, ejectFor: 100ms }
routes: [{ name: app, match: { path: /* }, auth: public, upstream: app }]
`)
  const over = new AbortController()
  const statuses = new Map<number | string, number>()
  const ask = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const outcome = await fetch(`${gateway.url}/x`).then(
        async (answer) => {
          const text = await answer.text()
          return text.length === 1 ? answer.status : `${answer.status} ${text}`
        },
        (error: unknown) => String(error),
      )
      statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1)
    }
  }
  const asking = Array.from({ length: CLIENTS }, ask)
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const server of servers) {
      if (way === 'kill') await server.kill()
      else await server.stop()
      await new Promise((resolve) => setTimeout(resolve, 100))
      await server.start()
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }
  over.abort()
  await Promise.all(asking)
  await gateway.close()
  await Promise.all(servers.map((server) => server.kill()))
  expect([...statuses.keys()]).toEqual([200])
  expect(statuses.get(200)).toBeGreaterThan(60)
  for (const server of servers) expect(server.paths.length).toBeGreaterThan(10)
})
