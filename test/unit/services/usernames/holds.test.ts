import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createTickets } from '../../../../src/services/usernames/holds.ts'
import { createClock } from './clock.ts'

test('a ticket lives for 300 seconds in all, however often it is used', async () => {
  const clock = createClock()
  const tickets = createTickets({ ...clock, randomBytes })
  const { ticket, seconds } = tickets.issue(undefined)
  expect([ticket.length, seconds]).toEqual([36, 300])
  await clock.pass(100_500)
  expect(tickets.issue(ticket)).toEqual({ ticket, seconds: 199 })
  await clock.pass(199_000)
  expect(tickets.find(ticket)).toMatch(/^[\w-]{43}$/)
  expect(tickets.issue(ticket)).toMatchObject({ seconds: 300 })
  expect(tickets.issue(ticket).ticket).not.toBe(ticket)
  await clock.pass(500)
  expect(tickets.find(ticket)).toBeUndefined()
})

test('a ticket of somebody else is none', () => {
  const tickets = createTickets({ ...createClock(), randomBytes })
  const forged = `gwh_${'A'.repeat(32)}`
  expect([undefined, '', 'gwh_', forged].map((ticket) => tickets.find(ticket))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  expect(tickets.issue(forged).ticket).not.toBe(forged)
})
