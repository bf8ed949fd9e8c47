/** What accounts on a database server must do when it is slow, away, or dies. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sql } from '../../src/storage/sql/sql.ts'
import { openSql } from '../../src/storage/sql/sql.ts'
import { monotonicMs, random, schedule } from '../../src/world.ts'
import type { DatabaseServer } from '../support/database.ts'
import type { Bench, Place } from './account-contract.ts'
import { newName, NOW, openOn, somebody, statesOf, username } from './account-contract.ts'

const REFUSED = { kind: 'storage_unavailable' } as const

export function serverContract(bench: () => Bench, server: () => DatabaseServer): void {
  describe('a server', () => {
    let place: Place
    let sql: Sql
    const told: boolean[] = []
    beforeAll(async () => {
      place = await bench().newPlace()
      const needs = { nowSeconds: () => NOW, nowMs: monotonicMs, random, schedule, up: (isUp: boolean) => void told.push(isUp) }
      sql = await openSql(needs, { ...place, migrate: true })
    })
    afterAll(() => sql?.close())

    test('that cuts its connections is used again at once', { timeout: 60_000 }, async () => {
      await Promise.all(Array.from({ length: 20 }, () => sql.ping()))
      await server().cutConnections()
      await answering(sql)
      const account = somebody()
      expect(await sql.accounts.create(account)).toBe('created')
      expect(await sql.accounts.findById('acme', account.id)).toEqual(account)
    })

    test('that does not answer is storage_unavailable in time, and used again when it does', { timeout: 60_000 }, async () => {
      await answering(sql)
      told.length = 0
      server().pause()
      try {
        const startedMs = performance.now()
        const calls = [
          sql.ping(),
          sql.accounts.findById('acme', 'x'),
          sql.accounts.create(somebody({ username: username(newName()) })),
          ...Array.from({ length: 30 }, () => sql.usernames.statesOf('acme', ['x'], NOW)),
        ]
        const outcomes = await Promise.allSettled(calls)
        expect(performance.now() - startedMs).toBeLessThan(10_000)
        expect(outcomes.map(({ status }) => status)).toEqual(calls.map(() => 'rejected'))
        await expect(calls[0]).rejects.toMatchObject(REFUSED)
        expect(told).toEqual([false])
      } finally {
        server().resume()
      }
      await answering(sql)
      expect(told).toEqual([false, true])
    })

    test('that dies in the middle leaves each claim whole or undone', { timeout: 120_000 }, async () => {
      const people = Array.from({ length: 300 }, () => somebody({ username: username(newName()) }))
      const moved = people.map(() => newName())
      const outcomes = people.map(async (one, index) => {
        try {
          if ((await sql.accounts.create(one)) !== 'created') return 'refused'
          const change = { username: username(moved[index] ?? '') }
          return (await sql.accounts.updateProfile('acme', one.id, change, NOW)).outcome
        } catch (error) {
          expect(error).toMatchObject(REFUSED)
          return 'away'
        }
      })
      await new Promise((resolve) => setTimeout(resolve, 150))
      await server().kill()
      const done = await Promise.all(outcomes)
      await expect(sql.ping()).rejects.toMatchObject(REFUSED)
      await server().restart()
      await answering(sql)
      const events = await sql.usernames.eventsAfter(0, 100_000)
      expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1))
      for (const [index, one] of people.entries()) {
        const [old, next] = [one.username?.folded ?? '', moved[index] ?? '']
        const found = await sql.accounts.findById('acme', one.id)
        const states = await statesOf(sql, NOW, old, next)
        const history = events.filter(({ folded }) => folded === old || folded === next).map(({ event }) => event)
        if (done[index] === 'changed') expect(found?.username?.folded).toBe(next)
        if (found === undefined) expect([states, history]).toEqual([{}, []])
        else if (found.username?.folded === old) expect([states, history]).toEqual([{ [old]: 'taken' }, ['claimed']])
        else expect([states, history]).toEqual([{ [old]: 'quarantined', [next]: 'taken' }, ['claimed', 'released', 'claimed']])
      }
    })

    test('that is away at the start is named, without its password', { timeout: 60_000 }, async () => {
      const { accounts } = place
      if (accounts.kind === 'embedded') throw new Error('not a server')
      const url = new URL(accounts.url)
      url.port = '1'
      const away = openOn({ ...place, accounts: { ...accounts, url: url.href } })
      await expect(away).rejects.toThrow(/^storage\.accounts: (PostgreSQL|MySQL) at 127\.0\.0\.1:1 cannot be used$/)
      await expect(away).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/^(PostgreSQL|MySQL): ECONNREFUSED$/) },
      })
      url.port = String(server().port)
      url.password = 'wrong-canary'
      const refused = openOn({ ...place, accounts: { ...accounts, url: url.href } })
      const error = await refused.catch((cause: unknown) => cause)
      expect(String(error instanceof Error ? [error.message, error.cause, error.stack] : error)).not.toMatch(/canary/)
      await expect(refused).rejects.toThrow('cannot be used')
    })

    test.each([
      ['127.0.0.1', 'disable', false, true],
      ['127.0.0.1', 'require', false, true],
      ['127.0.0.1', 'verify-ca', true, true],
      ['127.0.0.1', 'verify-ca', false, false],
      ['localhost', 'verify-full', true, true],
      ['localhost', 'verify-full', false, false],
      ['127.0.0.1', 'verify-full', true, false],
    ])('at %s with sslmode=%s, its certificate trusted: %s, is used: %s', async (host, mode, isTrusted, isUsed) => {
      const { accounts } = place
      if (accounts.kind === 'embedded') throw new Error('not a server')
      const url = new URL(accounts.url)
      url.hostname = host
      url.searchParams.set('sslmode', mode)
      if (isTrusted) url.searchParams.set('sslrootcert', server().certificate)
      const opened = openOn({ ...place, accounts: { ...accounts, url: url.href } })
      if (!isUsed) return expect(opened).rejects.toThrow('cannot be used')
      const own = await opened
      await own.ping()
      return own.close()
    })

    test('that asks for a value of a column never says it', async () => {
      const long = somebody({ displayName: 'secret-canary'.repeat(100) })
      const error = await sql.accounts.create(long).catch((cause: unknown) => cause)
      expect(error).toMatchObject({ name: 'SqlFailure', kind: 'fault' })
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toMatch(/canary/)
      const twice = somebody()
      await sql.accounts.create(twice)
      const double = await sql.accounts.create(somebody({ id: twice.id })).catch((cause: unknown) => cause)
      expect(double).toMatchObject({ name: 'SqlFailure', kind: 'duplicate' })
      expect(`${String(double)} ${JSON.stringify(double)}`).not.toMatch(new RegExp(twice.id))
    })
  })
}

async function answering(sql: Sql): Promise<void> {
  const deadline = Date.now() + 30_000
  for (;;) {
    try {
      await sql.ping()
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
