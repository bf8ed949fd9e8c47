import { decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'
import { fc } from '../../support/properties.ts'
import type { Tenants } from '../../../src/tenants/tenants.ts'
import { configured, createWorld, memoryStore, tenant } from './world.ts'

const PROCESSES = 3
const LIFETIME = 120
const SKEW = 2

type Step =
  | { readonly kind: 'wait'; readonly seconds: number }
  | { readonly kind: 'read' | 'rotate' | 'sign'; readonly process: number }
  | { readonly kind: 'all' }

const process = fc.nat(PROCESSES - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.constantFrom(1, 30, 60, 100, 200, 230, 500) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('read' as const, 'rotate' as const), process }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sign' as const), process }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'all' as const }) },
)

/**
 * Every process may be away from the store for as long as it likes: what it signs must verify, until it expires, at every
 * process that has read the store within the time that a key is published before it signs.
 */
test('no valid token is refused, however processes that share a store rotate, wait and read', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 200 }), fc.infiniteStream(fc.nat(3)), async (steps, pauses) => {
      const world = createWorld()
      const pause = async (): Promise<void> => {
        for (let left = pauses.next().value ?? 0; left > 0; left--) await Promise.resolve()
      }
      // Rotations are due all the time.
      const keys = { rotateEverySeconds: 1800, publishBeforeSeconds: 600 }
      const config = configured(tenant('acme', 'ES256', { keys, accessToken: { lifetimeSeconds: LIFETIME, jitter: 0 } }))
      const store = memoryStore(undefined, pause)
      const open = Array.from({ length: PROCESSES }, () => world.open(store, config))
      const processes = await Promise.all(open)
      const readAt = processes.map(() => world.clock.now)
      let tokens: { readonly kid: string; readonly until: number }[] = []

      for (const one of steps) {
        await take(one)
        tokens = tokens.filter((token) => token.until > world.clock.now)
        for (const [index, other] of processes.entries()) {
          if (world.clock.now - (readAt[index] ?? 0) >= keys.publishBeforeSeconds) continue
          const known = other.publicKeys('acme').map((key) => key.kid)
          for (const token of tokens) expect(known).toContain(token.kid)
        }
      }

      async function take(one: Step): Promise<void> {
        if (one.kind === 'wait') world.clock.now += one.seconds
        else if (one.kind === 'all') await Promise.all(processes.map((_, index) => read(index)))
        else if (one.kind === 'read') await read(one.process)
        else if (one.kind === 'rotate') {
          await of(one.process)
            .keys.rotate('acme', { actor: 'test', reason: 'test' })
            .catch(() => undefined)
          readAt[one.process] = world.clock.now
        } else await sign(of(one.process))
      }

      async function read(index: number): Promise<void> {
        await of(index).reload()
        readAt[index] = world.clock.now
      }

      async function sign(by: Tenants): Promise<void> {
        // One that has not read for long refuses to.
        const token = await by.sign('acme', {}, 'at+jwt').catch(() => undefined)
        if (token === undefined) return
        tokens.push({ kid: String(decodeProtectedHeader(token).kid), until: world.clock.now + LIFETIME + SKEW })
      }

      function of(index: number): Tenants {
        const found = processes[index]
        if (found === undefined) throw new Error('no such process')
        return found
      }
    }),
    { numRuns: 200 },
  )
}, 60_000)
