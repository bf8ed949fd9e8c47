/**
 * A shared secret is there and as long as its hash, or the gateway does not start.
 */
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/config.ts'
import { openScene } from '../support/attack.ts'

function start(algorithms: string, environment: Readonly<Record<string, string>>): Promise<never> {
  const issuers = `
  shared: { issuer: shared, tenant: acme, audiences: any, algorithms: [${algorithms}], secrets: [{ env: JWT_SECRET }] }`
  return openScene({ issuers, environment }).then(async (scene) => {
    await scene.close()
    throw new Error('it started')
  })
}

async function faultOf(start: Promise<never>): Promise<string> {
  const error = await start.catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ConfigError)
  return String(error)
}

describe('the gateway does not start with', () => {
  it.each([
    ['GHSA-gmvf-9v4p-v8jc: no secret', 'HS256', {}],
    ['GHSA-8wpc-h4q6-8fxv: an empty secret', 'HS256', { JWT_SECRET: '' }],
    ['an empty secret with a line end', 'HS256', { JWT_SECRET: '\n' }],
    ['wycheproof key/10: 31 bytes for HS256', 'HS256', { JWT_SECRET: 'x'.repeat(31) }],
    ['wycheproof key/11: 47 bytes for HS384', 'HS384', { JWT_SECRET: 'x'.repeat(47) }],
    ['wycheproof key/12: 63 bytes for HS512', 'HS512', { JWT_SECRET: 'x'.repeat(63) }],
    ['32 bytes for HS256 and HS512', 'HS256, HS512', { JWT_SECRET: 'x'.repeat(32) }],
    ['HS256 beside RS256', 'HS256, RS256', { JWT_SECRET: 'x'.repeat(64) }],
  ])('%s', async (_, algorithms, environment) => {
    const fault = await faultOf(start(algorithms, environment))
    expect(fault).toMatch(/issuers\.shared\.(secrets|algorithms)/)
    // Nothing of the secret is in the fault.
    expect(fault).not.toContain('xxx')
  })

  it('a secret that stands in the file', async () => {
    const issuers =
      '  shared: { issuer: shared, tenant: acme, audiences: any, algorithms: [HS256], secrets: [literal-secret-in-the-configuration-file] }'
    const fault = await faultOf(
      openScene({ issuers }).then(async (scene) => {
        await scene.close()
        throw new Error('it started')
      }),
    )
    expect(fault).not.toContain('literal-secret')
  })
})
