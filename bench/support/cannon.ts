/** Runs autocannon as standard input says, and prints the result as JSON. */
import autocannon from 'autocannon'
import { readFileSync } from 'node:fs'
import type { Load } from './measure.ts'

const load = JSON.parse(readFileSync(0, 'utf8')) as Load
const startedMs = performance.now()
const before = process.cpuUsage()
const result = await autocannon({
  url: load.url,
  ...(load.requests === undefined ? { duration: load.seconds } : { amount: load.requests }),
  connections: load.connections,
  ...(load.bodyBytes === undefined ? {} : { method: 'POST', body: Buffer.alloc(load.bodyBytes, 'x') }),
  ...(load.tokens.length === 0
    ? {}
    : { requests: load.tokens.map((token) => ({ headers: { authorization: `Bearer ${token}` } })) }),
})
const { user, system } = process.cpuUsage(before)
process.stdout.write(
  JSON.stringify({
    requests: result['2xx'],
    requestsPerSecond: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    errors: result.errors + result.timeouts + result.non2xx,
    // Of one core, by the load itself.
    ownShare: (user + system) / 1000 / (performance.now() - startedMs),
  }),
)
