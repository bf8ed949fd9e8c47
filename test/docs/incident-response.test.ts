import { afterAll, expect, it } from 'vitest'
import { readPage } from './documents.ts'
import { createReader } from './reader.ts'

const page = readPage('docs/incident-response.md')
const reader = await createReader()
afterAll(() => reader.close())

const ACCOUNT = `'{"email":"me@example.com","password":"correct horse battery"}'`
const JSON_BODY = `-H 'content-type: application/json'`

it('ends what docs/incident-response.md says it ends, command by command', { timeout: 180_000 }, async () => {
  await reader.open('gateway', 'gatehouse start')
  await reader.run(`until curl -s http://localhost:8080/health; do sleep 0.1; done`)
  // What the page takes for given: somebody who is logged in, whose token was stolen, and the key that signed it.
  await reader.run(`
    USER_ID=$(curl -s http://localhost:8080/auth/register ${JSON_BODY} -d ${ACCOUNT} | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')
    log_in() { curl -s http://localhost:8080/auth/login ${JSON_BODY} -d ${ACCOUNT} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/'; }
    STOLEN=$(log_in)
    OLD_TOKEN=$STOLEN`)
  const [kid = ''] = /[\w-]{43}/.exec(await reader.run('gatehouse keys list --tenant default')) ?? []
  await reader.run(`KID=${kid}`)

  await reader.follow(page)

  expect(await reader.run('gatehouse audit export')).toContain('tenant_tokens_revoked')
  expect(await reader.run('cat audit-of-the-incident.jsonl')).toContain('session_created')
  expect(await reader.run('grep -c . evidence/master.key && ls evidence')).toMatch(/sessions\.db/)
  // Who logs in afterwards goes on: accounts and passwords stay.
  expect(await reader.run('sleep 1; curl -s http://localhost:8080/api/hello -H "authorization: Bearer $(log_in)"')).toContain(
    '"path":"/api/hello"',
  )
})
