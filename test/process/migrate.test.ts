import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../src/commands/command-line.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-migrate-'))
const file = join(folder, 'gateway.yaml')
writeFileSync(file, `storage: { directory: ${join(folder, 'data')}, migrate: false }\n`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function gatehouse(...args: readonly string[]) {
  const result = { code: 0, written: '', said: '' }
  const around = {
    environment: {},
    write: (text: string) => void (result.written += text),
    say: (text: string) => void (result.said += text),
    onStop: () => expect.unreachable(),
    onFault: () => expect.unreachable(),
  }
  result.code = await runCommand([...args, '--config', file], around)
  return result
}

describe('gatehouse migrate', () => {
  it('applies the steps of accounts, lists them and takes them back', async () => {
    const pending = await gatehouse('migrate', 'status')
    expect(pending.code).toBe(0)
    expect(pending.written).toMatch(/^MIGRATION +APPLIED\n0001_accounts +pending\n0002_add_username +pending\n/)
    expect(await gatehouse('migrate', 'up', '--to', '2')).toEqual({
      code: 0,
      written: 'applied 0001_accounts\napplied 0002_add_username\n',
      said: '',
    })
    const rest = await gatehouse('migrate', 'up', '--json')
    expect(JSON.parse(rest.written)).toMatchObject({ applied: expect.arrayContaining(['0003_account_status']) })
    expect((await gatehouse('migrate', 'up')).written).toBe('nothing to do\n')
    const { migrations } = JSON.parse((await gatehouse('migrate', 'status', '--json')).written) as {
      readonly migrations: readonly { readonly name: string; readonly applied_at: number | null }[]
    }
    expect(migrations.map(({ applied_at: at }) => typeof at)).toEqual(migrations.map(() => 'number'))
    const last = migrations.at(-1)?.name ?? ''
    expect((await gatehouse('migrate', 'down')).written).toBe(`took back ${last}\n`)
    const back = migrations.slice(1, -1).toReversed()
    expect((await gatehouse('migrate', 'down', '--to', '1', '--json')).written).toBe(
      `${JSON.stringify({ taken_back: back.map(({ name }) => name) })}\n`,
    )
  })

  it.each([
    ['x', '--to needs the number of a migration, such as 2; 0 is none'],
    ['99', '--to: there are 7 migrations'],
  ])('refuses --to %s as wrong usage', async (to, fault) => {
    const { code, written, said } = await gatehouse('migrate', 'down', '--to', to)
    expect([code, written, said.split('\n')[0]]).toEqual([2, '', `gatehouse: ${fault}`])
  })

  it('says what is missing when the database is away', async () => {
    writeFileSync(file, 'storage: { accounts: "mysql://app@127.0.0.1:1/gatehouse" }\n')
    expect(await gatehouse('migrate', 'status')).toEqual({
      code: 1,
      written: '',
      said: 'gatehouse: storage.accounts: MySQL at 127.0.0.1:1 cannot be used: MySQL: ECONNREFUSED\n',
    })
  })
})
