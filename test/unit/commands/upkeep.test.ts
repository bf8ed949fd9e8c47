import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runCommand } from '../../../src/commands/command-line.ts'
import { parseConfig } from '../../../src/config/config.ts'

const YAML = `
storage: { directory: ./data }
tenants: { acme: { signing: ES256 } }
clients: { taken: { tenant: acme, secret: { env: TAKEN_SECRET }, scopes: [] } }
`
const ENVIRONMENT = { TAKEN_SECRET: 's'.repeat(32) }
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-commands-'))
  writeFileSync(join(folder, 'gateway.yaml'), YAML)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: readonly string[]) {
  let out = ''
  let err = ''
  const code = await runCommand([...args, '--config', join(folder, 'gateway.yaml')], {
    environment: ENVIRONMENT,
    write: (text) => void (out += text),
    say: (text) => void (err += text),
    onStop: () => undefined,
    onFault: () => undefined,
  })
  return { code, out, err }
}

interface Key {
  readonly kid: string
  readonly state: string
}

async function keysOf(tenant: string): Promise<readonly Key[]> {
  const { code, out } = await run('keys', 'list', '--tenant', tenant, '--json')
  expect(code).toBe(0)
  const { keys } = JSON.parse(out) as { readonly keys: readonly Key[] }
  return keys
}

describe('tenants', () => {
  test('list shows each, with its name and since when it is there, once a gateway ran with it', async () => {
    writeFileSync(join(folder, 'gateway.yaml'), YAML.replace('{ acme: {', '{ acme: { name: Acme Ltd, hosts: [a.example],'))
    const { code, out, err } = await run('tenants', 'list')
    expect([code, err]).toEqual([0, ''])
    const [headings, ...rows] = out.split('\n')
    expect(headings).toMatch(/^ID +NAME +ISSUER +HOSTS +CREATED +UPDATED$/)
    expect(rows.map((row) => row.replaceAll(/ {2,}/g, ' | '))).toEqual([
      'default | default | http://localhost:8080/t/default',
      'acme | Acme Ltd | http://localhost:8080/t/acme | a.example',
      '',
    ])
    const db = new DatabaseSync(join(folder, 'data/sessions.db'))
    db.exec("INSERT INTO tenants (tenant_id, digest, created_at, updated_at) VALUES ('acme', 'x', 1800000000, 1800000060)")
    db.close()
    const { tenants } = JSON.parse((await run('tenants', 'list', '--json')).out)
    expect(tenants[1]).toEqual({
      id: 'acme',
      name: 'Acme Ltd',
      issuer: 'http://localhost:8080/t/acme',
      hosts: ['a.example'],
      signing: 'ES256',
      registration: 'open',
      created_at: 1_800_000_000,
      updated_at: 1_800_000_060,
    })
    expect((await run('tenants', 'list')).out).toMatch(/ {2}2027-01-15T08:00:00Z {2}2027-01-15T08:01:00Z\n$/)
  })
})

describe('keys', () => {
  test('list shows each key, its state and what becomes of it when', async () => {
    const [key] = await keysOf('acme')
    expect(Object.keys(key ?? {}).toSorted()).toEqual(['alg', 'created_at', 'kid', 'since', 'state', 'until'])
    const { code, out, err } = await run('keys', 'list', '--tenant', 'acme')
    expect([code, err]).toEqual([0, ''])
    const [headings, row] = out.split('\n')
    expect(headings).toMatch(/^STATE +KID +ALG +SINCE +THEN +REASON$/)
    expect(row).toMatch(new RegExp(`^current  ${key?.kid}  ES256  \\S+Z  rotates \\S+Z$`))
  })

  test('rotate publishes a key and says when it signs; again is too early and fails', async () => {
    const { code, out } = await run('keys', 'rotate', '--tenant', 'acme', '--reason', 'drill')
    const next = (await keysOf('acme')).find((key) => key.state === 'next')
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(
        new RegExp(`^${next?.kid} is published, so that everyone gets to know it, and signs from \\S+Z on\\.\n$`),
      ),
    ])
    const again = await run('keys', 'rotate', '--tenant', 'acme')
    expect([again.code, again.out]).toEqual([1, ''])
    expect(again.err).toMatch(
      /^gatehouse: The next key was not published long enough for everyone to know it\. Rotate from \S+Z on\.\n$/,
    )
  })

  test('retire ends a key at once, and the gateways that share the storage find the revocation in the log', async () => {
    const [first] = await keysOf('acme')
    const { code, out } = await run(
      'keys',
      'retire',
      '--tenant',
      'acme',
      '--kid',
      first?.kid ?? '',
      '--reason',
      'leaked',
      '--json',
    )
    const keys = await keysOf('acme')
    expect([code, JSON.parse(out)]).toEqual([0, { revoked: first?.kid, current: keys[0]?.kid }])
    expect(keys.map((key) => key.state)).toEqual(['current', 'revoked'])
    const db = new DatabaseSync(join(folder, 'data/sessions.db'), { readOnly: true })
    expect(
      db
        .prepare('SELECT kind, tenant_id, id FROM revocations')
        .all()
        .map((row) => ({ ...row })),
    ).toEqual([{ kind: 'key', tenant_id: 'acme', id: first?.kid }])
    db.close()
    const unknown = await run('keys', 'retire', '--tenant', 'acme', '--kid', 'nobody')
    expect([unknown.code, unknown.err]).toEqual([
      1,
      'gatehouse: acme has no key of this kid in use: see keys list --tenant acme\n',
    ])
  })

  test('leave what was done, and why, in the audit record', async () => {
    await run('keys', 'rotate', '--tenant', 'acme', '--reason', 'drill')
    const db = new DatabaseSync(join(folder, 'data/audit.db'), { readOnly: true })
    const rows = db
      .prepare("SELECT event, actor, reason FROM audit WHERE tenant_id = 'acme'")
      .all()
      .map((row) => ({ ...row }))
    db.close()
    expect(rows).toEqual([
      { event: 'sys_key_created', actor: 'gateway', reason: 'schedule' },
      { event: 'sys_key_published', actor: 'command line', reason: 'drill' },
    ])
  })
})

describe('clients create', () => {
  test('prints a secret that nothing keeps, and what to add, which the configuration takes', async () => {
    const { code, out, err } = await run(
      'clients',
      'create',
      '--tenant',
      'acme',
      '--scopes',
      'sessions:write,reports:read',
      '--id',
      '2-billing',
    )
    expect([code, err]).toEqual([0, ''])
    const secret = /^ {2}([A-Za-z0-9_-]{43})$/m.exec(out)?.[1] ?? ''
    const yaml = out.slice(out.indexOf('clients:'))
    expect(yaml).toBe(
      'clients:\n  2-billing: { tenant: acme, secret: { env: CLIENT_2_BILLING_SECRET }, scopes: [sessions:write, reports:read] }\n',
    )
    const config = parseConfig(`tenants: { acme: {} }\n${yaml}`, 'gateway.yaml', {
      environment: { CLIENT_2_BILLING_SECRET: secret },
      readFile: () => '',
    })
    expect(config.clients.get('2-billing')).toMatchObject({
      scopes: ['sessions:write', 'reports:read'],
      secret: new TextEncoder().encode(secret),
    })
    expect(readFileSync(join(folder, 'gateway.yaml'), 'utf8')).toBe(YAML)
  })

  test('makes up an id, and quotes scopes that YAML would read otherwise', async () => {
    const { out } = await run('clients', 'create', '--tenant', 'acme', '--scopes', '{a} b:', '--json')
    expect(JSON.parse(out)).toEqual({
      id: expect.stringMatching(/^client-[0-9a-f]{8}$/),
      tenant: 'acme',
      scopes: ['{a}', 'b:'],
      secret: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      variable: expect.stringMatching(/^CLIENT_[0-9A-F]{8}_SECRET$/),
    })
    const { out: text } = await run('clients', 'create', '--tenant', 'acme', '--scopes', '{a} b:')
    expect(text).toContain('scopes: ["{a}", "b:"]')
    const { out: another } = await run('clients', 'create', '--tenant', 'acme', '--scopes', 'a', '--json')
    expect(JSON.parse(another).secret).not.toBe(JSON.parse(out).secret)
  })

  test.each([
    [['--tenant', 'nobody', '--scopes', 'a'], 'there is no tenant nobody in the configuration'],
    [['--tenant', 'acme', '--scopes', 'a"b'], '--scopes: a scope is visible ASCII without quotes and \\'],
    [
      ['--tenant', 'acme', '--scopes', 'a', '--id', 'a b'],
      '--id: a name is letters, digits, _ and -, and starts with a letter or digit',
    ],
    [['--tenant', 'acme', '--scopes', 'a', '--id', 'taken'], '--id: there is a client taken already'],
  ])('is wrong usage with %j', async (args, fault) => {
    const { code, out, err } = await run('clients', 'create', ...args)
    expect([code, out, err.split('\n')[0]]).toEqual([2, '', `gatehouse: ${fault}`])
  })
})

describe('audit verify', () => {
  test('prints how far the record is whole, and takes that as a proof later', async () => {
    await keysOf('acme')
    const { code, out } = await run('audit', 'verify')
    const [, rows, head = ''] = /^the audit record is whole: (\d+) rows, up to (\d+:[0-9a-f]{64})\n$/.exec(out) ?? []
    expect([code, rows]).toEqual([0, '3'])
    await run('keys', 'rotate', '--tenant', 'acme')
    expect(await run('audit', 'verify', '--head', head)).toMatchObject({ code: 0, err: '' })
    const wrong = await run(
      'audit',
      'verify',
      '--head',
      head.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
      '--json',
    )
    expect([wrong.code, JSON.parse(wrong.out)]).toEqual([
      1,
      {
        ok: false,
        rows: 2,
        head: { seq: 2, hash: expect.any(String) },
        first_break: { seq: 3, what: 'the chain is not the one that was noted' },
      },
    ])
  })

  test('fails at the first break and says where', async () => {
    await keysOf('acme')
    const db = new DatabaseSync(join(folder, 'data/audit.db'))
    db.exec("DROP TRIGGER audit_rows_stay_as_they_are; UPDATE audit SET reason = 'x' WHERE seq = 2")
    db.close()
    const { code, out } = await run('audit', 'verify')
    expect([code, out]).toEqual([
      1,
      expect.stringMatching(
        /^the audit record is broken at row 2: the row, or the one before, was changed\. Good are 1 rows, up to 1:[0-9a-f]{64}\n$/,
      ),
    ])
  })

  test('fails where there is no record', async () => {
    const { code, err } = await run('audit', 'verify')
    expect([code, err]).toEqual([1, `gatehouse: there is no audit record: ${join(folder, 'data/audit.db')} does not exist\n`])
  })
})

describe('wrong usage', () => {
  test.each([
    [['keys'], 'keys: write keys list, keys rotate, keys retire'],
    [['keys', 'burn'], 'keys: write keys list, keys rotate, keys retire'],
    [['keys', 'list'], 'keys list needs --tenant'],
    [['keys', 'list', 'acme', '--tenant', 'acme'], 'keys list takes no argument: acme'],
    [['keys', 'list', '--tenant', ''], 'keys list needs --tenant'],
    [['keys', 'list', '--tenant', 'nobody'], 'there is no tenant nobody in the configuration'],
    [['keys', 'rotate', '--tenant', 'acme', '--kid', 'k'], 'keys rotate takes no --kid'],
    [['keys', 'retire', '--tenant', 'acme'], 'keys retire needs --kid'],
    [['clients', 'create', '--tenant', 'acme'], 'clients create needs --scopes'],
    [['audit'], 'audit: write audit verify, audit list, audit export'],
    [['audit', 'verify', '--head', '1:abc'], '--head: write SEQ:HASH as audit verify prints it'],
    [['check', '--tenant', 'acme'], 'check takes no --tenant'],
    [['check', 'it'], 'check takes no argument: it'],
    [['start', '--json'], 'start takes no --json'],
    [['explain'], 'explain needs a method and a URL: write explain GET URL'],
    [['doctor', '--tenant', 'acme'], 'doctor takes no --tenant'],
    [['burn'], 'unknown command: burn'],
  ])('is told by name: %j', async (args, fault) => {
    const { code, out, err } = await run(...args)
    expect([code, out, err.split('\n')[0]]).toEqual([2, '', `gatehouse: ${fault}`])
  })
})

describe('audit list and export', () => {
  interface Row {
    readonly seq: number
    readonly at: string
    readonly event: string
    readonly tenant_id?: string
    readonly reason?: string
    readonly hash: string
  }

  /** Two keys, and their rotation: what a machine records of commands. */
  async function recorded(): Promise<void> {
    await run('keys', 'list', '--tenant', 'acme')
    await run('keys', 'rotate', '--tenant', 'acme', '--reason', 'first')
    await run('keys', 'rotate', '--tenant', 'default', '--reason', 'second')
  }
  const rowsOf = async (...args: readonly string[]) =>
    (JSON.parse((await run('audit', 'list', '--json', ...args)).out) as { rows: Row[] }).rows

  test('shows the newest rows first, as a table', async () => {
    await recorded()
    const { code, out } = await run('audit', 'list')
    const [head, first, ...rest] = out.trimEnd().split('\n')
    expect([code, head?.split(/ {2,}/)]).toEqual([0, ['AT', 'EVENT', 'TENANT', 'USER', 'ACTOR', 'SUBJECT', 'IP', 'REASON']])
    expect(first).toMatch(/^\d{4}-.*Z {2}sys_key_\w+ +default .* command line .* second$/)
    expect(rest.length).toBeGreaterThan(1)
  })

  test('shows what is asked for alone', async () => {
    await recorded()
    const all = await rowsOf()
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => all.length - index))
    const ofAcme = await rowsOf('--tenant', 'acme')
    expect(new Set(ofAcme.map((row) => row.tenant_id))).toEqual(new Set(['acme']))
    expect(ofAcme.length).toBe(all.filter((row) => row.tenant_id === 'acme').length)
    const events = [...new Set(all.map(({ event }) => event))]
    expect(await rowsOf('--event', events.join(', '))).toEqual(all)
    expect(await rowsOf('--event', 'authn_login_fail')).toEqual([])
    expect(await rowsOf('--user', 'nobody')).toEqual([])
    expect(await rowsOf('--limit', '1')).toEqual(all.slice(0, 1))
    expect(await rowsOf('--since', '1h')).toEqual(all)
    expect(await rowsOf('--since', '2099-01-01T00:00:00Z')).toEqual([])
    expect((await run('audit', 'list', '--user', 'nobody')).out).toBe('no row of the audit record is of that kind\n')
    expect(await rowsOf('--event', "x' OR 1=1 --", '--tenant', "' OR ''='")).toEqual([])
  })

  test('exports every row in order, from where the last export ended', async () => {
    await recorded()
    const exported = async (...args: readonly string[]) =>
      (await run('audit', 'export', ...args)).out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Row]))
    const all = await exported()
    expect(all.toReversed()).toEqual(await rowsOf())
    expect(all[0]?.hash).toMatch(/^[0-9a-f]{64}$/)
    expect(await exported('--after', '2')).toEqual(all.slice(2))
    expect(await exported('--after', String(all.length))).toEqual([])
  })

  test.each([
    [['list', '--since', 'yesterday'], '--since: write how long ago, such as 2h, or a date such as 2026-03-01T12:00:00Z'],
    [['list', '--limit', '0'], '--limit: write a whole number from 1 to 10000'],
    [['list', '--limit', '1e3'], '--limit: write a whole number from 1 to 10000'],
    [['export', '--after', '-1'], "Option '--after' argument is ambiguous."],
    [['export', '--after', 'x'], '--after: write a whole number from 0 to 9007199254740991'],
  ])('refuses %j', async (args, fault) => {
    await recorded()
    const { code, err } = await run('audit', ...args)
    expect([code, err.split('\n')[0]]).toEqual([2, `gatehouse: ${fault}`])
  })

  test('has nothing to read where nothing was recorded', async () => {
    expect(await run('audit', 'list')).toMatchObject({ code: 1, out: '' })
  })
})
