/** A gateway that is told to stop while it still waits for what it needs to start. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { freePort } from '../support/ports.ts'
import { MAIN, startProgram, temporaryFolder, waitFor } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'

it('a gateway that waits for the revocations ends with 0 when it is told to, and was never open', async () => {
  const redis = await startRedis()
  try {
    // No revocation can be read from that, ever.
    await redis.admin.set('revocations:live:{0}', 'no set')
    const folder = temporaryFolder()
    const [port, adminPort] = [await freePort(), await freePort()]
    writeFileSync(
      join(folder, 'gateway.yaml'),
      `
listeners:
  public: { address: 127.0.0.1:${port} }
  admin: { address: 127.0.0.1:${adminPort} }
storage: { sessions: ${redis.url}, directory: ./data }
masterKey: { env: MASTER_KEY }
routes: [{ name: health, match: { path: /health }, service: health }]
`,
    )
    const gateway = startProgram(process.execPath, [MAIN, 'start', '--config', join(folder, 'gateway.yaml')], {
      environment: { MASTER_KEY: Buffer.alloc(32, 7).toString('base64') },
    })
    const readiness = async (): Promise<unknown> => {
      const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined)
      return response?.json()
    }
    await waitFor(async () => (await readiness()) !== undefined, gateway)
    expect(await readiness()).toMatchObject({ status: 'starting' })
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow()

    expect(await gateway.end()).toEqual({ code: 0, signal: null })
    expect({ ready: gateway.stderr(), last: gateway.stdout().trim().split('\n').at(-1) }).toEqual({
      ready: '',
      last: expect.stringContaining('"stopped"'),
    })
  } finally {
    await redis.stop()
  }
}, 30_000)
