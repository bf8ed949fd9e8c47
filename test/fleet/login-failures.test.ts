/** Guessing of passwords at several gateways: what one of them has seen, the others know. */
import { afterEach, expect, it } from 'vitest'
import { postJson } from '../support/gateway.ts'
import { startFleet, type Fleet } from './fleet.ts'

let fleet: Fleet | undefined
afterEach(async () => {
  await fleet?.close()
  fleet = undefined
})

async function guess(number: number, email: string): Promise<Response> {
  const response = await postJson(`${fleet?.at(number).url}/auth/login`, { email, password: 'not the password' })
  await response.arrayBuffer()
  return response
}

it('failed logins of an address count at all gateways together, and its owner’s own do not count', async () => {
  fleet = await startFleet('redis', 3)
  const email = 'owner@example.com'
  const password = 'correct horse battery staple'
  expect((await postJson(`${fleet.at(0).url}/auth/register`, { email, password })).status).toBe(201)
  for (let number = 0; number < 9; number += 1) {
    expect((await postJson(`${fleet.at(number).url}/auth/login`, { email, password })).status).toBe(200)
  }
  const statuses: number[] = []
  const beganMs = performance.now()
  // Ever new names, so that no account is locked: three gateways would take 20 each.
  for (let number = 0; number < 50; number += 1) statuses.push((await guess(number, `guess-${number}@example.com`)).status)
  const failed = statuses.filter((status) => status === 401).length
  // One comes back every 3 s, and what one has just seen may be on its way.
  expect(failed).toBeGreaterThanOrEqual(20)
  expect(failed).toBeLessThanOrEqual(20 + 3 + (performance.now() - beganMs) / 3_000)
  expect(statuses.filter((status) => status !== 401 && status !== 429)).toEqual([])
  const keys = await fleet.redis?.admin.keys('limit:*')
  expect(keys).toContain('limit:{0}:~login:day:address:default:127.0.0.1')
  expect(keys?.join()).not.toContain('guess')
})
