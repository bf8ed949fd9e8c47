import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { SERVICE_ROUTES } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { run, startGatewayProcess } from '../support/process.ts'

const DEMO = resolve(import.meta.dirname, '../../examples/demo.ts')

it('shows the main job step by step, without a token on the screen', async () => {
  const gateway = await startGatewayProcess(`
routes:${SERVICE_ROUTES}
  - { name: api, match: { path: /api/* }, auth: required, service: echo }`)
  const output = await run(process.execPath, [DEMO, gateway.url])
  await gateway.end()

  expect(output).toMatchObject({ code: 0, stderr: '' })
  const steps = output.stdout.split('\n').filter((line) => /^ {3}(GET|POST) /.test(line))
  expect(steps.map((line) => line.trim().replace(/ \{.*\}/, ''))).toEqual([
    'POST /auth/register → 201',
    'POST /auth/login → 200',
    'GET /api/hello → 200',
    'POST /auth/logout → 204',
    'GET /api/hello → 401',
  ])
  expect(output.stdout).toMatch(/error: "token_revoked"[^]*The token was refused after logout\.\n$/)
  expect(output.stdout).not.toMatch(/eyJ[\w-]+\./)
})

it('says what to do when no gateway answers', async () => {
  const url = `http://127.0.0.1:${await freePort()}`
  const output = await run(process.execPath, [DEMO, url])
  expect(output).toMatchObject({ code: 1, stdout: '' })
  expect(output.stderr).toMatch(
    /^No gateway answers at .*ECONNREFUSED.*Start one with: npm start\. Of another address: npm run demo -- URL\n$/,
  )
})

it('says so when what answers is not the gateway of the demo', async () => {
  const gateway = await startGatewayProcess('routes: []')
  const output = await run(process.execPath, [DEMO, gateway.url])
  await gateway.end()
  expect(output.code).toBe(1)
  expect(output.stdout).toContain('Not what was expected: 404')
})
