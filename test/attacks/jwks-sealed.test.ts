/**
 * The signing keys at rest: a set that somebody changed, moved or sealed with another key keeps the gateway from starting.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const YAML = `tenants: { default: { signing: ES256 }, acme: { signing: ES256 } }\nroutes:${SERVICE_ROUTES}`
let directory = ''
let token = ''

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-'))
  const gateway = await startGateway(YAML, { directory })
  token = (await login(gateway.url)).access_token
  await gateway.close()
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function startAgain(): Promise<TestGateway> {
  return startGateway(YAML, { directory })
}

async function refusal(): Promise<string> {
  const outcome = await startAgain().catch((error: unknown) => String(error))
  if (typeof outcome === 'string') return outcome
  await outcome.close()
  return 'it started'
}

/** Changes the stored sets by what `change` makes of those of all owners. */
function tamper(change: (sealed: ReadonlyMap<string, string>) => ReadonlyMap<string, string>): void {
  const db = new DatabaseSync(join(directory, 'data', 'sessions.db'))
  const rows = db.prepare('SELECT owner, sealed FROM signing_keys').all()
  const next = change(new Map(rows.map((row) => [String(row['owner']), String(row['sealed'])])))
  for (const [owner, sealed] of next) db.prepare('UPDATE signing_keys SET sealed = ? WHERE owner = ?').run(sealed, owner)
  db.close()
}

describe('CVE-2026-49230', () => {
  it('keys that nobody touched serve on: a token of before the restart is taken after it', async () => {
    const gateway = await startAgain()
    const response = await fetch(`${gateway.url}/auth/me`, { headers: bearer(token) })
    await gateway.close()
    expect(response.status).toBe(200)
  })

  it.each([
    ['one bit of the ciphertext', 3],
    ['one bit of the tag', 4],
    ['one bit of the nonce', 2],
    ['one bit of the header', 0],
  ])('%s changed: no start', async (_, part) => {
    tamper(
      (sets) =>
        new Map(
          [...sets].map(([owner, sealed]) => {
            const parts = sealed.split('.')
            const bytes = Buffer.from(parts[part] ?? '', 'base64url')
            bytes[5] = (bytes[5] ?? 0) ^ 1
            return [owner, parts.with(part, bytes.toString('base64url')).join('.')]
          }),
        ),
    )
    expect(await refusal()).toMatch(/signing keys of .*(changed after they were sealed|not a sealed key set|another master key)/)
  })

  it('the set of one tenant in the place of another: no start', async () => {
    tamper((sets) => {
      const [first = '', second = ''] = [...sets.keys()]
      return new Map([
        [first, sets.get(second) ?? ''],
        [second, sets.get(first) ?? ''],
      ])
    })
    expect(await refusal()).toMatch(/changed after they were sealed/)
  })

  it('keys in the clear in place of sealed ones: no start', async () => {
    tamper((sets) => new Map([...sets.keys()].map((owner) => [owner, '{"keys":[]}'])))
    expect(await refusal()).toMatch(/not a sealed key set/)
  })

  it('another master key: no start, and the stored keys stay as they are', async () => {
    const file = join(directory, 'data', 'master.key')
    const right = readFileSync(file)
    writeFileSync(file, `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o600 })
    expect(await refusal()).toMatch(/another master key/)
    writeFileSync(file, right, { mode: 0o600 })
    expect(await refusal()).toBe('it started')
  })
})
