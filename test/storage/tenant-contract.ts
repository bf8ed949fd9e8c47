/** What every store of tenants does, whatever it is made of. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { NOW, withBackend } from './contract.ts'
import type { Open } from './contract.ts'

const DIGEST = createHash('sha256').update('a configuration').digest('base64url')
const RECORD = { digest: DIGEST, createdAt: NOW, updatedAt: NOW + 60 } as const

export function tenantContract(open: Open): void {
  describe('records of tenants', () => {
    const { backend } = withBackend(open)

    test('are what was saved last', async () => {
      const { tenants } = backend()
      expect(await tenants.load('acme')).toBeUndefined()
      await tenants.save('acme', RECORD)
      expect(await tenants.load('acme')).toEqual(RECORD)
      const other = { digest: 'another', createdAt: NOW - 1, updatedAt: NOW + 120 }
      await tenants.save('acme', other)
      expect(await tenants.load('acme')).toEqual(other)
    })

    test('are of one tenant', async () => {
      const { tenants } = backend()
      await tenants.save('acme', RECORD)
      for (const other of ['ACME', 'acme2', 'default']) expect(await tenants.load(other)).toBeUndefined()
    })
  })
}
