/** What every database of accounts must do. Each suite opens it on a server of its own. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Account, UsernameClaim } from '../../src/services/accounts/accounts.ts'
import { fold, skeletonOf } from '../../src/services/usernames/names.ts'
import type { UsernameKey } from '../../src/services/usernames/store.ts'
import type { Config } from '../../src/config/config.ts'
import type { Sql } from '../../src/storage/sql/sql.ts'
import { openSql } from '../../src/storage/sql/sql.ts'
import { monotonicMs, random, schedule } from '../../src/world.ts'
import { anAccount } from './contract.ts'

export type Place = Pick<Config['storage'], 'accounts' | 'directory'>

/** What the contract needs of the database under test. */
export interface Bench {
  /** Stores that a thousand claims are spread over. Of SQLite one in each process: a second one would wait for the first and stop it by that. */
  readonly stores: number
  /** An empty database. */
  newPlace(): Promise<Place>
  /** What the schema is, in the words of the database. */
  schema(place: Place): Promise<readonly unknown[]>
  /** The statement that counts the rows of `accounts`, for the planner, and the word that asks for a plan. */
  readonly analyze: string
  readonly explain: string
  /** A statement of the test itself. */
  admin(place: Place, statement: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

export const NOW = 1_800_000_000
export const DAY = 86_400
/** Long enough for a thousand claims at once on a machine that does other things too. */
const PATIENT_MS = 60_000

export function openOn(place: Place, migrate = true, answerMs = PATIENT_MS): Promise<Sql> {
  return openSql({ nowSeconds: () => NOW, nowMs: monotonicMs, random, schedule }, { ...place, migrate }, answerMs)
}

export function username(shown: string): UsernameClaim {
  return { shown, folded: fold(shown), skeleton: skeletonOf(shown) }
}

let made = 0
/** Somebody whom nobody knows yet. */
export function somebody(changes: Partial<Account> = {}): Account {
  const { username: _, ...plain } = anAccount()
  const id = `usr_${(++made).toString(16).padStart(32, '0')}`
  return { ...plain, id, email: `${id}@x.org`, emailFolded: `${id}@x.org`, ...changes }
}

/** Names that nobody had yet: tests share a database. */
export function newName(): string {
  return `name-${++made}`
}

export function accountContract(bench: () => Bench): void {
  let place: Place
  let sql: Sql
  beforeAll(async () => {
    place = await bench().newPlace()
    sql = await openOn(place)
  })
  afterAll(() => sql?.close())

  describe('accounts', () => {
    test('are found by id, e-mail and username, in their tenant only', async () => {
      const name = newName()
      const account = somebody({ displayName: 'Ann Ω', username: username(name) })
      expect(await sql.accounts.create(account)).toBe('created')
      expect(await sql.accounts.findById('acme', account.id)).toEqual(account)
      expect(await sql.accounts.findByEmail('acme', account.emailFolded)).toEqual(account)
      expect(await sql.accounts.findByUsername('acme', name)).toEqual(account)
      expect(await sql.accounts.findById('beta', account.id)).toBeUndefined()
      expect(await sql.accounts.findByEmail('beta', account.emailFolded)).toBeUndefined()
      expect(await sql.accounts.findByUsername('beta', name)).toBeUndefined()
    })

    test('have an e-mail and a username once in each tenant; any number has no username', async () => {
      const first = somebody({ username: username(newName()) })
      const { username: _, ...nameless } = first
      expect(await sql.accounts.create(first)).toBe('created')
      expect(await sql.accounts.create(somebody({ emailFolded: first.emailFolded }))).toBe('email_taken')
      const second = somebody(first.username === undefined ? {} : { username: first.username })
      expect(await sql.accounts.create(second)).toBe('username_taken')
      expect(await sql.accounts.findById('acme', second.id)).toBeUndefined()
      expect(await sql.accounts.create({ ...first, id: somebody().id, tenant: 'beta' })).toBe('created')
      expect(await sql.accounts.create({ ...nameless, ...idOf(somebody()) })).toBe('created')
      expect(await sql.accounts.create({ ...nameless, ...idOf(somebody()) })).toBe('created')
    })

    test.each([
      ['emoji', '🦊🦊 👩‍👩‍👧‍👦'],
      ['four octets', '𝕳𝖊𝖑𝖑𝖔 𠜎𡃁'],
      ['quotes', `O'Brien "the" \`best\` \\' \\" \\\\`],
      ['an injection', `'); DROP TABLE accounts; --`],
      ['another injection', `" OR 1=1 /* \${x} $1 ? :a %s`],
      ['combining marks', 'Zürich ä̈ ﷽'],
      ['256 characters of four octets', '🦊'.repeat(256)],
    ])('keep %s as it was', async (_, text) => {
      const account = somebody({ displayName: text })
      expect(await sql.accounts.create(account)).toBe('created')
      expect(await sql.accounts.findById('acme', account.id)).toEqual(account)
    })

    test('have e-mail addresses of every script and length', async () => {
      const email = `ü'"\\;--🦊${newName()}@${'例え'.repeat(100)}.example`.slice(0, 254)
      const account = somebody({ email: email.toUpperCase(), emailFolded: email })
      expect(await sql.accounts.create(account)).toBe('created')
      expect(await sql.accounts.findByEmail('acme', email)).toEqual(account)
    })

    test('are compared to the letter', async () => {
      const account = somebody({ username: username(newName()) })
      const email = `straße-${newName()}@x.org`
      await sql.accounts.create({ ...account, emailFolded: email })
      for (const other of [email.replace('ß', 'ss'), `${email} `, email.toUpperCase(), `${email}\0`, '%', '', '_'.repeat(30)]) {
        expect(await sql.accounts.findByEmail('acme', other)).toBeUndefined()
        expect(await sql.accounts.findByUsername('acme', other)).toBeUndefined()
        expect(await sql.accounts.findById('acme', other)).toBeUndefined()
      }
      expect(await sql.accounts.findById('acme', `${account.id} `)).toBeUndefined()
      expect(await sql.accounts.findById('acme', account.id.toUpperCase())).toBeUndefined()
      expect(await sql.accounts.setStatus('acme', `${account.id} `, 'disabled')).toBe(false)
    })

    test('are disabled and enabled in their tenant only, twice as well as once', async () => {
      const account = somebody()
      await sql.accounts.create(account)
      expect(await sql.accounts.setStatus('beta', account.id, 'disabled')).toBe(false)
      expect((await sql.accounts.findById('acme', account.id))?.status).toBe('active')
      expect(await sql.accounts.setStatus('acme', account.id, 'disabled')).toBe(true)
      expect(await sql.accounts.setStatus('acme', account.id, 'disabled')).toBe(true)
      expect((await sql.accounts.findById('acme', account.id))?.status).toBe('disabled')
      expect(await sql.accounts.setStatus('acme', account.id, 'active')).toBe(true)
      expect(await sql.accounts.findById('acme', account.id)).toEqual(account)
    })

    test('get a new password in place of the one that was read', async () => {
      const account = somebody()
      await sql.accounts.create(account)
      const old = account.passwordHash
      expect(await sql.accounts.replacePassword('acme', account.id, 'another', 'new')).toBe(false)
      expect(await sql.accounts.replacePassword('beta', account.id, old, 'new')).toBe(false)
      const outcomes = await Promise.all(
        ['a', 'b', 'c'].map((hash) => sql.accounts.replacePassword('acme', account.id, old, hash)),
      )
      expect(outcomes.filter(Boolean)).toHaveLength(1)
      const won = ['a', 'b', 'c'][outcomes.indexOf(true)]
      expect((await sql.accounts.findById('acme', account.id))?.passwordHash).toBe(won)
    })
  })

  describe('a profile', () => {
    test('changes what is named and leaves the rest', async () => {
      const account = somebody({ displayName: 'Old' })
      await sql.accounts.create(account)
      const name = newName()
      const named = { ...account, username: username(name) }
      expect(await sql.accounts.updateProfile('acme', account.id, { username: username(name) }, NOW)).toEqual({
        outcome: 'changed',
        account: named,
      })
      const shown = { ...named, displayName: '新しい' }
      expect(await sql.accounts.updateProfile('acme', account.id, { displayName: '新しい' }, NOW)).toEqual({
        outcome: 'changed',
        account: shown,
      })
      const { displayName: _, ...plain } = shown
      expect(await sql.accounts.updateProfile('acme', account.id, { displayName: null }, NOW)).toEqual({
        outcome: 'changed',
        account: plain,
      })
      expect(await sql.accounts.findById('acme', account.id)).toEqual(plain)
      expect(await sql.accounts.updateProfile('acme', account.id, {}, NOW)).toEqual({ outcome: 'changed', account: plain })
    })

    test('of nobody, or of another tenant, is unknown', async () => {
      const account = somebody()
      await sql.accounts.create(account)
      expect(await sql.accounts.updateProfile('acme', 'nobody', {}, NOW)).toEqual({ outcome: 'unknown' })
      expect(await sql.accounts.updateProfile('acme', 'no\0body', {}, NOW)).toEqual({ outcome: 'unknown' })
      expect(await sql.accounts.updateProfile('beta', account.id, { displayName: 'x' }, NOW)).toEqual({ outcome: 'unknown' })
      expect(await sql.accounts.findById('acme', account.id)).toEqual(account)
    })

    test('writes a name in other letters without giving it up', async () => {
      const name = newName()
      const account = somebody({ username: username(name) })
      await sql.accounts.create(account)
      const before = await lastEvent(sql)
      const change = { username: username(name.toUpperCase()) }
      expect(await sql.accounts.updateProfile('acme', account.id, change, NOW)).toMatchObject({ outcome: 'changed' })
      expect((await sql.accounts.findByUsername('acme', name))?.username?.shown).toBe(name.toUpperCase())
      expect(await lastEvent(sql)).toBe(before)
      expect(await sql.accounts.create(somebody({ username: username(name) }))).toBe('username_taken')
    })
  })

  describe('a username', () => {
    test('is the same in capitals', async () => {
      const name = `Alice-${newName()}`
      expect(await sql.accounts.create(somebody({ username: username(name) }))).toBe('created')
      expect(await sql.accounts.create(somebody({ username: username(name.toLowerCase()) }))).toBe('username_taken')
      expect(await sql.accounts.create(somebody({ username: username(name.toUpperCase()) }))).toBe('username_taken')
      expect((await sql.accounts.findByUsername('acme', fold(name)))?.username?.shown).toBe(name)
    })

    test('that is given up is for its former owner alone, until the quarantine is over', async () => {
      const [old, next] = [newName(), newName()]
      const owner = somebody({ username: username(old), createdAt: NOW })
      await sql.accounts.create(owner)
      const later = NOW + 10 * DAY
      expect(await sql.accounts.updateProfile('acme', owner.id, { username: username(next) }, later)).toMatchObject({
        outcome: 'changed',
      })
      expect(await statesOf(sql, later, old, next)).toEqual({ [old]: 'quarantined', [next]: 'taken' })
      const other = somebody()
      await sql.accounts.create(other)
      const refused = { outcome: 'username_quarantined' }
      expect(await sql.accounts.updateProfile('acme', other.id, { username: username(old) }, later)).toEqual(refused)
      expect(await sql.accounts.create(somebody({ username: username(old), createdAt: later }))).toBe('username_quarantined')
      expect(await sql.usernames.hold(hold(old, 'z'), later)).toBe('quarantined')
      expect(await sql.accounts.create(somebody({ tenant: 'beta', username: username(old), createdAt: later }))).toBe('created')
      expect(await sql.accounts.updateProfile('acme', owner.id, { username: username(old) }, later + 1)).toMatchObject({
        outcome: 'changed',
      })
      // Half of ten days, from the second time on half of a second: a day at least.
      expect(await statesOf(sql, later + DAY, old, next)).toEqual({ [old]: 'taken', [next]: 'quarantined' })
      expect(await statesOf(sql, later + DAY + 1, old, next)).toEqual({ [old]: 'taken' })
      expect(await sql.accounts.updateProfile('acme', other.id, { username: username(next) }, later + DAY + 1)).toMatchObject({
        outcome: 'changed',
      })
    })

    test.each([
      ['an hour', 3_600, DAY],
      ['two days', 2 * DAY, DAY],
      ['ten days', 10 * DAY, 5 * DAY],
      ['five years', 5 * 365 * DAY, 365 * DAY],
    ])('that was held for %s is in quarantine for its time', async (_, age, kept) => {
      const name = newName()
      const owner = somebody({ username: username(name) })
      await sql.accounts.create(owner)
      await sql.accounts.updateProfile('acme', owner.id, { username: username(newName()) }, NOW + age)
      expect(await statesOf(sql, NOW + age + kept - 1, name)).toEqual({ [name]: 'quarantined' })
      expect(await statesOf(sql, NOW + age + kept, name)).toEqual({})
      expect(await sql.accounts.create(somebody({ username: username(name), createdAt: NOW + age + kept }))).toBe('created')
    })

    test('is in quarantine with nine others of its owner at most, those whose time ends last', async () => {
      const names = Array.from({ length: 13 }, newName)
      const [first = '', ...others] = names
      const account = somebody({ username: username(first), createdAt: NOW - 100 * DAY })
      await sql.accounts.create(account)
      for (const [index, name] of others.entries())
        expect(await sql.accounts.updateProfile('acme', account.id, { username: username(name) }, NOW + index)).toMatchObject({
          outcome: 'changed',
        })
      const states = await sql.usernames.statesOf('acme', names, NOW + 100)
      // The one that was held for long, and the newest nine; the last one is the account's.
      const kept = [first, ...names.slice(3, 12)]
      expect(new Map(states)).toEqual(new Map([...kept.map((name) => [name, 'quarantined'] as const), [names.at(-1), 'taken']]))
    })

    test('has one winner of a thousand who claim it at once, over many connections', { timeout: 120_000 }, async () => {
      const name = newName()
      const others = await Promise.all(Array.from({ length: bench().stores - 1 }, () => openOn(place)))
      const stores = [sql, ...others]
      const outcomes = await Promise.all(
        Array.from({ length: 1_000 }, (_, i) =>
          (stores[i % stores.length] ?? sql).accounts.create(
            somebody({ username: username(i % 2 === 0 ? name : name.toUpperCase()) }),
          ),
        ),
      )
      await Promise.all(others.map((one) => one.close()))
      expect(countOf(outcomes)).toEqual({ created: 1, username_taken: 999 })
      const events = await eventsOf(sql, name)
      expect(events.map(({ event }) => event)).toEqual(['claimed'])
    })

    test('has one winner of many who change to it at once, and their old names are in quarantine or theirs', async () => {
      const name = newName()
      const people = Array.from({ length: 40 }, () => somebody({ username: username(newName()) }))
      for (const one of people) await sql.accounts.create(one)
      const outcomes = await Promise.all(
        people.map((one) => sql.accounts.updateProfile('acme', one.id, { username: username(name) }, NOW)),
      )
      expect(countOf(outcomes.map(({ outcome }) => outcome))).toEqual({ changed: 1, username_taken: 39 })
      const winner = outcomes.findIndex(({ outcome }) => outcome === 'changed')
      const names = people.map((one) => one.username?.folded ?? '')
      const states = await statesOf(sql, NOW, name, ...names)
      expect(states).toEqual({
        [name]: 'taken',
        ...Object.fromEntries(names.map((one, index) => [one, index === winner ? 'quarantined' : 'taken'])),
      })
    })

    test('has one winner when e-mail and name are raced for together', async () => {
      const [name, email] = [newName(), `${newName()}@x.org`]
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, () => sql.accounts.create(somebody({ emailFolded: email, username: username(name) }))),
      )
      expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1)
      expect(outcomes.every((outcome) => ['created', 'email_taken', 'username_taken'].includes(outcome))).toBe(true)
    })

    test('goes from hand to hand among many without being lost or doubled', { timeout: 60_000 }, async () => {
      const names = Array.from({ length: 4 }, newName)
      const people = names.map((name) => somebody({ username: username(name) }))
      for (const one of people) await sql.accounts.create(one)
      const turns = Array.from({ length: 60 }, (_, i) => {
        const one = people[i % people.length] ?? somebody()
        return sql.accounts.updateProfile('acme', one.id, { username: username(names[(i * 7) % 4] ?? '') }, NOW)
      })
      await Promise.all(turns)
      const owned = await Promise.all(people.map((one) => sql.accounts.findById('acme', one.id)))
      const held = owned.map((one) => one?.username?.folded)
      expect(new Set(held).size).toBe(4)
    })
  })

  describe('a hold', () => {
    test('keeps a name for its ticket, until it expires', async () => {
      const name = newName()
      expect(await sql.usernames.hold(hold(name, 't1'), NOW)).toBe('granted')
      expect(await sql.usernames.hold(hold(name, 't2'), NOW)).toBe('held')
      expect(await statesOf(sql, NOW, name)).toEqual({ [name]: 'held' })
      expect(await sql.accounts.create(somebody({ username: username(name) }))).toBe('username_held')
      expect(await sql.accounts.create(somebody({ username: username(name) }), ticket('t2'))).toBe('username_held')
      expect(await sql.accounts.create(somebody({ username: username(name) }), ticket('t1'))).toBe('created')
      expect(await statesOf(sql, NOW, name)).toEqual({ [name]: 'taken' })
      expect(await sql.usernames.hold(hold(name, 't1'), NOW)).toBe('taken')
      expect((await eventsOf(sql, name)).map(({ event }) => event)).toEqual(['held', 'claimed'])
    })

    test('is redeemed by a change of the profile', async () => {
      const [name, account] = [newName(), somebody()]
      await sql.accounts.create(account)
      await sql.usernames.hold(hold(name, 'p1'), NOW)
      const plain = { username: username(name) }
      const redeeming = { username: { ...username(name), ticketHash: ticket('p1') } }
      expect(await sql.accounts.updateProfile('acme', account.id, plain, NOW)).toEqual({ outcome: 'username_held' })
      expect(await sql.accounts.updateProfile('acme', account.id, redeeming, NOW)).toMatchObject({ outcome: 'changed' })
    })

    test('that is over is nobody’s', async () => {
      const [name, other] = [newName(), newName()]
      await sql.usernames.hold(hold(name, 'o1'), NOW)
      await sql.usernames.hold(hold(other, 'o2'), NOW)
      expect(await statesOf(sql, NOW + 300, name, other)).toEqual({})
      expect(await sql.usernames.hold({ ...hold(name, 'o3'), expiresAt: NOW + 900 }, NOW + 300)).toBe('granted')
      expect(await sql.accounts.create(somebody({ username: username(other), createdAt: NOW + 300 }))).toBe('created')
    })

    test('moves with its ticket', async () => {
      const [name, other] = [newName(), newName()]
      expect(await sql.usernames.hold(hold(name, 'm1'), NOW)).toBe('granted')
      expect(await sql.usernames.hold(hold(name, 'm1'), NOW + 10)).toBe('granted')
      expect(await sql.usernames.hold(hold(other, 'm1'), NOW)).toBe('granted')
      expect(await statesOf(sql, NOW, name, other)).toEqual({ [other]: 'held' })
    })

    test('has one winner of many', async () => {
      const name = newName()
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, i) => sql.usernames.hold(hold(name, `${name}-${i}`), NOW)),
      )
      expect(countOf(outcomes)).toEqual({ granted: 1, held: 49 })
    })
  })

  describe('the names', () => {
    test.each([0, 1, 2, 5, 17, 300, 512, 513, 1_200])('of a list of %i are told apart', { timeout: 60_000 }, async (count) => {
      const [taken, held] = [newName(), newName()]
      await sql.accounts.create(somebody({ username: username(taken) }))
      await sql.usernames.hold(hold(held, held), NOW)
      const free = Array.from({ length: Math.max(0, count - 2) }, newName)
      const asked = [taken, ...free, held].slice(0, count)
      const states = await statesOf(sql, NOW, ...asked)
      expect(states).toEqual({ ...(count > 0 && { [taken]: 'taken' }), ...(count > 1 && { [held]: 'held' }) })
    })

    test('of odd letters are free', async () => {
      expect(
        await statesOf(sql, NOW, "'; DROP TABLE accounts; --", 'nu\0ll', '', '%', '🦊', 'ｎａｍｅ', `${newName()} `),
      ).toEqual({})
    })

    test('of all tenants come in pages, with the position in the feed that they are of', async () => {
      const own = await openOn(await bench().newPlace())
      expect(await allOf(own)).toEqual({ tails: [0], names: [] })
      const keys: string[] = []
      for (const tenant of ['acme', 'beta', 'zeta']) {
        for (const name of [newName(), newName()]) {
          await own.accounts.create(somebody({ tenant, username: username(name) }))
          keys.push(`${tenant} ${name}`)
        }
      }
      await own.accounts.create(somebody())
      const [held, old, next] = [newName(), newName(), newName()]
      await own.usernames.hold({ ...hold(held, 'h'), tenant: 'beta' }, NOW)
      const owner = somebody({ username: username(old) })
      await own.accounts.create(owner)
      await own.accounts.updateProfile('acme', owner.id, { username: username(next) }, NOW)
      const { tails, names } = await allOf(own)
      expect(names.toSorted()).toEqual([...keys, `beta ${held}`, `acme ${old}`, `acme ${next}`].toSorted())
      expect(tails).toEqual([10])
      await own.close()
    })

    test('are told in order to whoever follows, without a gap', async () => {
      const own = await openOn(await bench().newPlace())
      const seen: number[] = []
      const claims = Promise.all(
        Array.from({ length: 60 }, () => own.accounts.create(somebody({ username: username(newName()) }))),
      )
      const claimed = claims.then(() => true)
      const tick = () => new Promise<false>((resolve) => setTimeout(resolve, 1, false))
      while (!(await Promise.race([claimed, tick()]))) {
        for (const { id } of await own.usernames.eventsAfter(seen.at(-1) ?? 0, 7)) seen.push(id)
      }
      for (const { id } of await own.usernames.eventsAfter(seen.at(-1) ?? 0, 1_000)) seen.push(id)
      expect(await claims).toEqual(Array.from({ length: 60 }, () => 'created'))
      expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
      await own.close()
    })

    test('have a history that says who had them', async () => {
      const [old, next] = [newName(), newName()]
      const owner = somebody({ username: username(old.toUpperCase()) })
      await sql.accounts.create(owner)
      await sql.accounts.updateProfile('acme', owner.id, { username: username(next) }, NOW + 5)
      const rows = await bench().admin(
        place,
        `SELECT event, username_folded, username, recorded_at FROM username_history WHERE account_id = '${owner.id}' ORDER BY id`,
      )
      expect(rows.map((row) => ({ ...row, recorded_at: Number(row['recorded_at']) }))).toEqual([
        { event: 'claimed', username_folded: old, username: old.toUpperCase(), recorded_at: NOW },
        { event: 'released', username_folded: old, username: old.toUpperCase(), recorded_at: NOW + 5 },
        { event: 'claimed', username_folded: next, username: next, recorded_at: NOW + 5 },
      ])
    })

    test('are swept once they are free, a few at a time', async () => {
      const own = await openOn(await bench().newPlace())
      const [a, b, kept, taken] = [newName(), newName(), newName(), newName()]
      for (const name of [a, b, taken]) await own.usernames.hold(hold(name, name), NOW)
      await own.usernames.hold({ ...hold(kept, kept), expiresAt: NOW + 900 }, NOW)
      expect(await own.usernames.sweep(NOW + 299, 10)).toEqual([])
      const later = NOW + 300
      expect(await own.accounts.create(somebody({ username: username(taken), createdAt: later }))).toBe('created')
      const first = await own.usernames.sweep(later, 1)
      expect(first).toHaveLength(1)
      const rest = await own.usernames.sweep(later, 10)
      expect([...first, ...rest].map(({ folded }) => folded).toSorted()).toEqual([a, b].toSorted())
      expect(await own.usernames.sweep(later, 10)).toEqual([])
      expect(await statesOf(own, later, a, b, kept, taken)).toEqual({ [kept]: 'held', [taken]: 'taken' })
      await own.close()
    })
  })

  describe('a database', () => {
    let own: Sql
    beforeEach(async () => {
      own = await openOn(place)
    })

    test('answers to a ping, and storage_unavailable once it is closed', async () => {
      await own.ping()
      await own.close()
      await own.close()
      const refused = { kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } }
      await expect(own.ping()).rejects.toMatchObject(refused)
      await expect(own.accounts.findById('acme', 'x')).rejects.toMatchObject(refused)
      await expect(own.accounts.create(somebody())).rejects.toMatchObject(refused)
      await expect(own.usernames.statesOf('acme', ['x'], NOW)).rejects.toMatchObject(refused)
    })
  })
}

export function hold(name: string, ticketOf: string) {
  return { tenant: 'acme', folded: name, ticketHash: ticket(ticketOf), expiresAt: NOW + 300 }
}

function ticket(name: string): string {
  return `ticket-${name}`.padEnd(43, '.')
}

function idOf({ id, email, emailFolded }: Account): Pick<Account, 'id' | 'email' | 'emailFolded'> {
  return { id, email, emailFolded }
}

export async function statesOf({ usernames }: Sql, now: number, ...names: readonly string[]): Promise<Record<string, string>> {
  return Object.fromEntries(await usernames.statesOf('acme', names, now))
}

export function countOf(outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

async function eventsOf({ usernames }: Sql, name: string) {
  return (await usernames.eventsAfter(0, 100_000)).filter(({ folded }) => folded === name)
}

async function lastEvent({ usernames }: Sql): Promise<number> {
  return (await usernames.eventsAfter(0, 100_000)).at(-1)?.id ?? 0
}

async function allOf({ usernames }: Sql): Promise<{ readonly tails: readonly number[]; readonly names: readonly string[] }> {
  const pages: { readonly tail: number; readonly names: readonly UsernameKey[] }[] = []
  for await (const page of usernames.allNames()) pages.push(page)
  return {
    tails: [...new Set(pages.map(({ tail }) => tail))],
    names: pages.flatMap(({ names }) => names.map(({ tenant, folded }) => `${tenant} ${folded}`)),
  }
}
