/** Names that are none: whatever stands in the path, the answer is clear and never a 5xx. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { sendRaw, statusOf } from '../support/raw.ts'
import { until } from '../support/until.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway(`
tenants: { default: { throttle: { usernames: 99999/s } } }
routes:${SERVICE_ROUTES}
  - { name: usernames, match: { path: /usernames/* }, service: usernames }
`)
})
afterAll(() => gateway.close())

/** Text that is put into the path percent-encoded. */
const IMPOSSIBLE = [
  'ab',
  'a'.repeat(31),
  'a'.repeat(5_000),
  'a b',
  'ann@example.com',
  "ann'; DROP TABLE accounts; --",
  "' OR '1'='1",
  '" OR ""="',
  'ann%',
  'ann_%_',
  '{"$ne":null}',
  '${jndi:ldap://x}',
  '<script>alert(1)</script>',
  '\u00e4n\u00adn',
  '\uff21\uff4e\uff4e\uff41',
  '\u0430dmin',
  'ann\u200b',
  '\u202enna',
  '😀😀😀',
  '\uff41\uff44\uff4d\uff49\uff4e',
  'ann\u0301',
  'ann\t',
  'ann\r\nx: y',
  'ann\u0000',
  '\u0000\u0000\u0000',
  'ann\u001b[2J',
  '*',
  'a:b:c',
  'username_exists:x',
  '$2b$10$abc',
  '__proto__.x',
  '\ufeffann',
  '\u0130stanbul',
  '\u017f\u017f\u017f',
  '\u212a'.repeat(3),
]

describe('a name that cannot be', () => {
  test.each(IMPOSSIBLE)('%j is invalid, or its path is refused', async (name) => {
    const path = `/usernames/${encodeURIComponent(name)}`
    const response = await fetch(`${gateway.url}${path}/availability`)
    const text = await response.text()
    expect([200, 400, 404, 414, 431]).toContain(response.status)
    if (response.status === 200) expect(JSON.parse(text)).toMatchObject({ available: false, reason: 'invalid' })
    expect(text).not.toContain('<script')
    const held = await fetch(`${gateway.url}${path}/hold`, { method: 'POST' })
    await held.arrayBuffer()
    expect([400, 404, 414, 431]).toContain(held.status)
  })

  test.each([
    ['%', '%zz', 'ann%'],
    ['an overlong or broken encoding', '%c0%ae%c0%ae', '%ff%fe%fd', '%e0%80%80', '%ed%a0%80'],
    ['encoded slashes and dots', '..%2f..%2fetc', '%2e%2e', 'ann%2fbob', '..', '.'],
    ['a null byte', 'ann%00', '%00%00%00', 'ann%2500'],
    ['encodings twice', '%2561nn', '%252e%252e%252f'],
    ['semicolons and queries', 'ann;x=1', 'ann?x', 'ann#x'],
  ])('with %s is answered by no 5xx and never free', async (_what, ...paths) => {
    for (const path of paths) {
      const answer = await sendRaw(
        gateway.port,
        `GET /usernames/${path}/availability HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n`,
      )
      expect([path, statusOf(answer) >= 200 && statusOf(answer) < 500]).toEqual([path, true])
      expect(answer).not.toContain('"available":true')
    }
  })

  test('with octets that are no text is answered by no 5xx', async () => {
    const head = Buffer.from('GET /usernames/ann')
    const tail = Buffer.from('/availability HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n')
    for (let octet = 0x80; octet <= 0xff; octet += 9) {
      const answer = await sendRaw(gateway.port, Buffer.concat([head, Buffer.from([octet, octet]), tail]))
      expect(statusOf(answer)).toBe(400)
    }
  })
})

describe('names that Object and others know', () => {
  test.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'])(
    '%s is a name like any other',
    async (name) => {
      const response = await fetch(`${gateway.url}/usernames/${name}/availability`)
      expect([response.status, await response.json()]).toEqual([200, { username: name, available: true }])
    },
  )
})

describe('tickets that nobody gave out', () => {
  test.each(['x', `gwh_${'A'.repeat(32)}`, 'gwh_', 'a'.repeat(4_000), "' OR 1=1"])(
    '%j raises no budget and redeems nothing',
    async (ticket) => {
      const headers = { 'x-hold-ticket': ticket }
      const checked = await fetch(`${gateway.url}/usernames/somebody/availability`, { headers })
      await checked.arrayBuffer()
      const plain = await fetch(`${gateway.url}/usernames/somebody/availability`)
      await plain.arrayBuffer()
      expect(checked.headers.get('ratelimit-policy')).toBe(plain.headers.get('ratelimit-policy'))
      const name = `held-${ticket.length}-${Math.floor(Math.random() * 1e6)}`
      const held = await fetch(`${gateway.url}/usernames/${name}/hold`, { method: 'POST', headers })
      const body = (await held.json()) as { ticket: string }
      expect([held.status, body.ticket === ticket]).toEqual([201, false])
    },
  )
})

test('a ticket is in no line of the log and in no metric', async () => {
  const held = await fetch(`${gateway.url}/usernames/kept-quiet/hold`, { method: 'POST' })
  const { ticket } = (await held.json()) as { ticket: string }
  const headers = { 'x-hold-ticket': ticket }
  const checked = await fetch(`${gateway.url}/usernames/kept-quiet/availability`, { headers })
  expect(await checked.text()).not.toContain(ticket)
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  await until(() => gateway.log().includes('/usernames/kept-quiet/availability'))
  expect([gateway.log().includes(ticket), metrics.includes(ticket)]).toEqual([false, false])
  expect(metrics).not.toContain('kept-quiet')
})
