/**
 * What the library costs a service: time for each request, and memory.
 *
 *     node --expose-gc bench/micro/validator.ts
 */
import { createRevocations } from '../../src/validator/revocations.ts'
import { readOptions } from '../../src/validator/settings.ts'
import { createValidator } from '../../src/validator/validator.ts'
import { makeKey, passportClaims, signJwt, startKeyServer } from '../../test/support/passports.ts'
import { monotonicMs, WORLD } from '../../src/world.ts'

const SECONDS = 2
const key = makeKey()
const keys = await startKeyServer([key])

function heapMiB(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

async function perSecond(run: (index: number) => Promise<unknown>): Promise<number> {
  for (let index = 0; index < 200; index += 1) await run(index)
  const started = performance.now()
  let count = 0
  while (performance.now() - started < SECONDS * 1000) await run((count += 1))
  return Math.round(count / ((performance.now() - started) / 1000))
}

const gate = createValidator({ origin: keys.origin, service: 'orders' })
await gate.ready()
const passport = signJwt(key, passportClaims(keys.origin))
const request = { rawHeaders: ['host', 'orders', 'accept', '*/*', 'x-gatehouse-identity', passport] }
console.log(`a passport that was seen before: ${await perSecond(() => gate.authenticate(request))}/s`)
const fresh = Array.from({ length: 60_000 }, (_, index) => signJwt(key, passportClaims(keys.origin, { jti: `p${index}` })))
console.log(`one that is new: ${await perSecond((index) => gate.verifyPassport(fresh[index % fresh.length] ?? ''))}/s`)
const together = 16
const rounds = await perSecond((index) =>
  Promise.all(
    Array.from({ length: together }, (_, lane) => gate.verifyPassport(fresh[(index * together + lane) % fresh.length] ?? '')),
  ),
)
console.log(`new ones, ${together} at a time: ${rounds * together}/s`)
await gate.close()

for (const count of [10_000, 100_000]) {
  const settings = readOptions({ origin: keys.origin, tokens: { revocations: { redis: 'redis://127.0.0.1' } } })
  const { tokens } = settings
  if (tokens === undefined) break
  const before = heapMiB()
  const revocations = createRevocations(
    {
      surroundings: { ...WORLD, monotonicMs },
      openFeed: () => Promise.resolve({ log: feedOf(count), covers: () => true, close: () => undefined }),
    },
    tokens,
    settings,
  )
  await revocations.start()
  const used = heapMiB() - before
  console.log(
    `${revocations.state()?.entries} revocations: ${used.toFixed(1)} MiB, ${Math.round((used * 2 ** 20) / count)} bytes each`,
  )
  await revocations.stop()
}
await keys.close()

/** A feed that has so many revoked tokens, with ids as a gateway makes them. */
function feedOf(count: number) {
  const expiresAt = Math.floor(Date.now() / 1000) + 900
  return {
    async *snapshot() {
      for (let from = 0; from < count; from += 2000) {
        const revocations = Array.from({ length: Math.min(2000, count - from) }, () => ({
          kind: 'token' as const,
          tenant: 'acme',
          id: crypto.randomUUID(),
          expiresAt,
        }))
        yield { position: '1', revocations, complete: false }
      }
      yield { position: '1', revocations: [], complete: true }
    },
    readAfter: (position: string) => Promise.resolve({ position, revocations: [], complete: true }),
    restore: () => Promise.resolve(0),
    onAppend: () => () => undefined,
    isRevoked: () => Promise.resolve(false),
    close: () => undefined,
  }
}
