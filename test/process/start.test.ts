import { expect, it } from 'vitest'
import { SERVICE_ROUTES } from '../support/gateway.ts'
import { startGatewayProcess, waitFor } from '../support/process.ts'

it('answers, says where, and shows a first request to paste', async () => {
  const routes = `routes:${SERVICE_ROUTES}
  - { name: api, match: { path: /api/* }, auth: required, service: echo }`
  const before = await startGatewayProcess(routes)
  await before.end()
  const gateway = await startGatewayProcess(routes, { folder: before.folder })
  expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
  expect(gateway.stderr()).toContain(`ready at ${gateway.url} (console, metrics and health at ${gateway.adminUrl})`)
  expect(gateway.stderr()).toContain(`curl -s ${gateway.url}/auth/register`)
  expect(await gateway.end()).toEqual({ code: 0, signal: null })
})

it('goes on without a log when whoever reads it leaves', async () => {
  const gateway = await startGatewayProcess(`routes:${SERVICE_ROUTES}`)
  gateway.child.stdout?.destroy()
  gateway.child.stderr?.destroy()
  await waitFor(() => gateway.child.stdout?.closed === true)
  for (let turn = 0; turn < 3; turn += 1) {
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200)
    await new Promise((done) => {
      setTimeout(done, 150)
    })
  }
  expect(await gateway.end()).toEqual({ code: 0, signal: null })
})

it('says in the log what of its configuration is allowed and seldom meant', async () => {
  const gateway = await startGatewayProcess(`revocation: { whenStale: allow }\nroutes:${SERVICE_ROUTES}`)
  const odd = () => gateway.lines().filter((line) => line['msg'] === 'the configuration is odd')
  await waitFor(() => odd().length > 0)
  expect(odd()).toEqual([
    expect.objectContaining({
      level: 'warn',
      setting: 'revocation.whenStale',
      line: expect.any(Number) as number,
      why: 'lets revoked tokens in while the copy of the revocations is old',
    }),
  ])
  expect(await gateway.end()).toEqual({ code: 0, signal: null })
})
