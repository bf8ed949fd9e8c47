/** What every store of used tokens does, whatever it is made of. */
import { describe, expect, test } from 'vitest'
import type { TokenUse } from '../../src/replay/replay.ts'
import { withBackend } from './contract.ts'
import type { Open } from './contract.ts'

function aUse(changes: Partial<TokenUse> = {}): TokenUse {
  return { issuer: 'gateway', tenant: 'acme', user: 'usr_1', id: 'jti-1', forSeconds: 100, ...changes }
}

export function usedTokensContract(open: Open): void {
  describe('used tokens', () => {
    const { backend } = withBackend(open)

    test('says yes to the first use alone', async () => {
      const { used } = backend()
      expect([await used.use(aUse()), await used.use(aUse()), await used.use(aUse({ forSeconds: 900 }))]).toEqual([
        true,
        false,
        false,
      ])
    })

    test('says yes to one of 200 uses at once', async () => {
      const answers = await Promise.all(Array.from({ length: 200 }, () => backend().used.use(aUse())))
      expect(answers.filter((isFirst) => isFirst).length).toBe(1)
    })

    test('tells equal ids of two issuers and of two tenants apart, and ids that differ in case or a NUL', async () => {
      const { used } = backend()
      const uses = [
        aUse(),
        aUse({ issuer: 'corporate' }),
        aUse({ tenant: 'beta' }),
        aUse({ id: 'JTI-1' }),
        aUse({ id: 'jti-1\u0000' }),
        aUse({ id: '{0}:*' }),
      ]
      for (const use of uses) expect(await used.use(use)).toBe(true)
      for (const use of uses) expect(await used.use(use)).toBe(false)
    })
  })
}
