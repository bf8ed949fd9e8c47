/** Accounts are lost and put back, by the command that the documentation gives. */
import { execFileSync } from 'node:child_process'
import { readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { postJson } from '../support/gateway.ts'
import { startGatewayProcess } from '../support/process.ts'

const ROUTES = `routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: usernames, match: { path: /usernames/* }, service: usernames }
`
const PASSWORD = 'correct horse battery staple'
const ROOT = resolve(import.meta.dirname, '../..')
const OPERATIONS = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')

it('accounts and usernames of a backup that was made beside a running gateway are there again', async () => {
  const command = /^umask 077; node_modules\/.bin\/node -e .*$/m.exec(OPERATIONS)?.[0]
  if (command === undefined) throw new Error('operations.md gives another command')
  const gateway = await startGatewayProcess(ROUTES)
  const data = (name: string): string => join(gateway.folder, 'data', name)
  const user = { email: 'ann@example.com', password: PASSWORD, username: 'Ann_Lee' }
  expect((await postJson(`${gateway.url}/auth/register`, user)).status).toBe(201)
  symlinkSync(join(ROOT, 'node_modules'), join(gateway.folder, 'node_modules'))
  execFileSync('sh', ['-c', command], { cwd: gateway.folder, stdio: 'pipe' })
  await gateway.end()
  for (const file of ['accounts.db', 'accounts.db-wal', 'accounts.db-shm']) rmSync(data(file), { force: true })

  const empty = await startGatewayProcess(ROUTES, { folder: gateway.folder })
  const login = { username: 'ann_lee', password: PASSWORD }
  expect((await postJson(`${empty.url}/auth/login`, login)).status).toBe(401)
  await empty.end()

  for (const file of ['accounts.db-wal', 'accounts.db-shm']) rmSync(data(file), { force: true })
  renameSync(join(gateway.folder, 'accounts.backup.db'), data('accounts.db'))
  const restored = await startGatewayProcess(ROUTES, { folder: gateway.folder })
  expect((await postJson(`${restored.url}/auth/login`, login)).status).toBe(200)
  const availability = await fetch(`${restored.url}/usernames/ANN_LEE/availability`)
  expect(await availability.json()).toMatchObject({ available: false, reason: 'taken' })
  await restored.end()
}, 60_000)
