/** The shipped configuration in the environment of an older authentication service, and nothing else. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bearer } from '../support/gateway.ts'
import { hearing, LEGACY_SECRET, legacyToken, olderService } from '../support/legacy.ts'
import { freePort } from '../support/ports.ts'
import { gatehouse, MAIN, startProgram, temporaryFolder, waitFor, type Program } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const ROOT = join(import.meta.dirname, '../..')
const PASSWORD = 'canary:pass/word@1'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis(['--requirepass', PASSWORD])
})
afterAll(() => redis.stop())

interface Started extends Program {
  readonly url: string
  readonly folder: string
}

/** The shipped file as it is, but for its ports: nobody else may have 8080 here. */
async function shipped(): Promise<{ readonly folder: string; readonly file: string; readonly port: number }> {
  const [folder, port, adminPort] = [temporaryFolder(), await freePort(), await freePort()]
  const file = join(folder, 'gateway.yaml')
  const text = readFileSync(join(ROOT, 'gateway.yaml'), 'utf8')
  const moved = text.replace('0.0.0.0:8080', `127.0.0.1:${port}`).replace('127.0.0.1:9901', `127.0.0.1:${adminPort}`)
  expect(moved).not.toBe(text)
  writeFileSync(file, moved)
  return { folder, file, port }
}

async function started(environment: Readonly<Record<string, string>>): Promise<Started> {
  const { folder, file, port } = await shipped()
  const program = startProgram(process.execPath, [MAIN, 'start', '--config', file], { environment })
  await waitFor(() => program.stderr().includes('gatehouse is ready at'), program)
  return { ...program, url: `http://127.0.0.1:${port}`, folder }
}

function older(): Record<'JWT_SECRET' | 'REDIS_ADDR' | 'REDIS_PASSWORD', string> {
  return { JWT_SECRET: LEGACY_SECRET, REDIS_ADDR: `127.0.0.1:${redis.port}`, REDIS_PASSWORD: PASSWORD }
}

async function ask(url: string, token: string): Promise<number> {
  const response = await fetch(`${url}/api/x`, { headers: bearer(token) })
  await response.arrayBuffer()
  return response.status
}

describe('JWT_SECRET, REDIS_ADDR and REDIS_PASSWORD alone', () => {
  it('make the gateway take the tokens of the older service and its invalidations, and tell it of logouts', async () => {
    const gateway = await started(older())
    const service = await olderService(redis)
    const [ended, token] = [legacyToken({ sub: 'a' }), legacyToken({ sub: 'b' })]
    expect([await ask(gateway.url, ended), await ask(gateway.url, token)]).toEqual([200, 200])
    await hearing(redis, 2)
    await service.publish(ended)
    await waitFor(async () => (await ask(gateway.url, ended)) === 401)
    const response = await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
    expect(response.status).toBe(204)
    expect(await ask(gateway.url, token)).toBe(401)
    const [message = ''] = await service.hears(1)
    expect(JSON.parse(message)).toMatchObject({ typ: 'token', reason: 'logout' })
    service.close()
    expect(await gateway.end()).toEqual({ code: 0, signal: null })

    const lines = gateway
      .stdout()
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]))
    const taken = lines.filter((line) => line['msg'] === 'taken from the environment')
    expect(taken.map((line) => `${String(line['stands_for'])} ${String(line['variable'])}`)).toEqual([
      'issuers.legacy JWT_SECRET',
      'storage.sessions REDIS_ADDR',
      'storage.sessions REDIS_PASSWORD',
      'revocation.legacyChannel REDIS_ADDR',
    ])
    expect(lines.some((line) => line['level'] === 'warn' && String(line['msg']).includes('set GATEHOUSE_MASTER_KEY'))).toBe(true)
    expect(statSync(join(gateway.folder, 'data/master.key')).mode & 0o777).toBe(0o600)
    for (const secret of [LEGACY_SECRET, PASSWORD, encodeURIComponent(PASSWORD), ended, token]) {
      expect(`${gateway.stdout()}${gateway.stderr()}`).not.toContain(secret)
    }
  })

  it('start a second gateway with the same master key only', async () => {
    await redis.admin.flushall()
    const first = await started(older())
    const { file } = await shipped()
    const stranger = await gatehouse(['start', '--config', file], { environment: older() })
    expect([stranger.code, stranger.stderr]).toEqual([1, expect.stringContaining('sealed by another master key')])
    const key = readFileSync(join(first.folder, 'data/master.key'), 'latin1').trim()
    const second = await started({ ...older(), GATEHOUSE_MASTER_KEY: key })
    expect(second.stdout()).not.toContain('set GATEHOUSE_MASTER_KEY')
    expect(await ask(second.url, legacyToken())).toBe(200)
    await Promise.all([first.end(), second.end()])
  })

  it('are told by check, and refused when the secret is too short', async () => {
    const { file } = await shipped()
    const fine = await gatehouse(['check', '--config', file], { environment: older() })
    expect([fine.code, fine.stdout]).toEqual([
      0,
      expect.stringContaining('issuers.legacy from the environment variable JWT_SECRET'),
    ])
    const short = await gatehouse(['check', '--config', file], { environment: { ...older(), JWT_SECRET: 'canary-short' } })
    expect([short.code, short.stderr]).toEqual([
      2,
      expect.stringMatching(
        /^\S+gateway\.yaml:\d+:1 the environment variable JWT_SECRET is too short: HS256 needs at least 32 bytes\n$/,
      ),
    ])
    const json = await gatehouse(['check', '--json', '--config', file], { environment: older() })
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: true,
      environment: [{ variable: 'JWT_SECRET', key: 'issuers.legacy' }, {}, {}, {}],
    })
  })
})

describe('the shipped configuration', () => {
  it('takes no token of an older service without its secret', async () => {
    const gateway = await started({ JWT_SECRET: '', REDIS_ADDR: '', REDIS_PASSWORD: '' })
    expect(await ask(gateway.url, legacyToken())).toBe(401)
    expect(gateway.stdout()).not.toContain('taken from the environment')
    await gateway.end()
  })
})
