import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { createReplica } from '../../../src/revocation/replica.ts'
import type { Replica } from '../../../src/revocation/replica.ts'
import type { Revocation } from '../../../src/revocation/revocation.ts'

const NOW = 1_800_000_000

function hexId(): string {
  return randomBytes(16).toString('hex')
}

function token(id: string, expiresAt = NOW + 100, tenant = 'acme'): Revocation {
  return { kind: 'token', tenant, id, expiresAt }
}

function lists(replica: Replica, tokenId: string, tenant = 'acme'): boolean {
  return replica.lists({ tenant, user: 'nobody', tokenId, epoch: 0 })
}

function all(replica: Replica, which: 'all' | 'lacking' = 'all', nowSeconds = NOW): Revocation[] {
  return [...replica.pages(nowSeconds, which)].flat()
}

function sweepAll(replica: Replica, nowSeconds: number): void {
  while (!replica.sweep(nowSeconds));
}

describe('the set', () => {
  it('holds many more than it began with, and each with its own text', () => {
    const replica = createReplica(Math.random)
    const facts = Array.from({ length: 20_000 }, (_, at): Revocation => {
      const id = [hexId(), randomUUID(), `jti-${at}`][at % 3] ?? ''
      return { kind: at % 2 === 0 ? 'token' : 'session', tenant: `t${at % 7}`, id, expiresAt: NOW + at }
    })
    expect(facts.filter((fact) => replica.add(fact, 'log'))).toHaveLength(20_000)
    expect(facts.filter((fact) => replica.add(fact, 'log'))).toHaveLength(0)
    expect(replica.entries()).toBe(20_000)
    expect(new Set(all(replica).map((fact) => JSON.stringify(sorted(fact))))).toEqual(
      new Set(facts.map((fact) => JSON.stringify(sorted(fact)))),
    )
  })

  it('gives its memory back when all has expired', () => {
    const replica = createReplica(Math.random)
    for (let at = 0; at < 50_000; at += 1) replica.add(token(hexId(), NOW + (at % 2 === 0 ? 10 : 1000)), 'log')
    sweepAll(replica, NOW + 11)
    expect(replica.entries()).toBe(25_000)
    expect(all(replica)).toHaveLength(25_000)
    sweepAll(replica, NOW + 1001)
    expect([replica.entries(), all(replica)]).toEqual([0, []])
    replica.add(token('a'.repeat(32)), 'log')
    expect(lists(replica, 'a'.repeat(32))).toBe(true)
  })

  it('takes only the very text for the same id', () => {
    const replica = createReplica(Math.random)
    const uuid = '0198c1d2-7e11-7abc-8def-0123456789ab'
    replica.add(token(uuid), 'log')
    expect(lists(replica, uuid)).toBe(true)
    for (const other of [
      uuid.replaceAll('-', ''),
      uuid.toUpperCase(),
      uuid.replace('-', '_'),
      `${uuid.slice(0, 35)}é`,
      `${uuid} `,
      uuid.slice(1),
      '',
    ])
      expect(lists(replica, other)).toBe(false)
    expect(replica.lists({ tenant: 'acme', user: 'nobody', session: uuid, epoch: 0 })).toBe(false)
    expect(lists(replica, uuid, 'globex')).toBe(false)
  })

  it('keeps an expiry that lies beyond all numbers for ever, and one that is past until it is swept', () => {
    const replica = createReplica(Math.random)
    const [far, past] = [hexId(), hexId()]
    replica.add(token(far, Number.MAX_SAFE_INTEGER), 'log')
    replica.add(token(past, -5), 'log')
    expect([lists(replica, far), lists(replica, past)]).toEqual([true, true])
    sweepAll(replica, NOW)
    expect([lists(replica, far), lists(replica, past)]).toEqual([true, false])
  })

  it('never mistakes one id for another, wherever the seed puts them', () => {
    for (const seed of [0, 0.5, 0.999_999_999_9]) {
      const replica = createReplica(() => seed)
      const ids = Array.from({ length: 4096 }, (_, at) => at.toString(16).padStart(32, '0'))
      for (const [at, id] of ids.entries()) if (at % 2 === 0) replica.add(token(id), 'log')
      expect(ids.filter((id) => lists(replica, id))).toEqual(ids.filter((_, at) => at % 2 === 0))
    }
  })
})

describe('a text that only looks like an id', () => {
  it.each([
    ['has a character whose low octet is a digit', `\u0130${'0'.repeat(31)}`],
    ['has one of two octets', `${'0'.repeat(31)}\u00b0`],
    ['is a UUID with one of those', `00000000-0000-0000-0000-00000000000\u0130`],
    ['has a wide dash', '00000000\u2010000-0000-0000-000000000000'],
    ['has half a surrogate pair', `${'0'.repeat(31)}\ud800`],
    ['is in upper case', 'A'.repeat(32)],
  ])('%s: it is listed as itself and as nothing else', (_, odd) => {
    const replica = createReplica(Math.random)
    replica.add(token('0'.repeat(32)), 'log')
    replica.add(token('a'.repeat(32)), 'log')
    replica.add(token('00000000-0000-0000-0000-000000000000'), 'log')
    expect(lists(replica, odd)).toBe(false)
    replica.add(token(odd), 'log')
    expect(lists(replica, odd)).toBe(true)
    expect(all(replica, 'all')).toHaveLength(4)
  })
})

describe('what the log lacks', () => {
  it('is all that it has not told since it began anew, as far as it is alive', () => {
    const replica = createReplica(Math.random)
    const [kept, lost, short, odd] = [hexId(), hexId(), hexId(), 'not packed']
    const user: Revocation = { kind: 'user', tenant: 'acme', id: 'u', epoch: 4, at: NOW, expiresAt: NOW + 100 }
    const tenant: Revocation = { kind: 'tenant', tenant: 'acme', at: NOW, expiresAt: NOW + 100 }
    const key: Revocation = { kind: 'key', tenant: 'acme', id: 'k', expiresAt: NOW + 100 }
    const facts = [token(kept), token(lost), token(short), token(odd), user, tenant, key, token(hexId(), NOW - 1)]
    for (const fact of facts) replica.add(fact, 'log')
    expect(all(replica, 'lacking')).toEqual([])
    replica.forgetLog()
    replica.add(token(kept), 'log')
    replica.add(token(short, NOW + 50), 'log')
    replica.add({ ...user, epoch: 3 }, 'log')
    replica.add(key, 'log')
    const lacking = new Set(all(replica, 'lacking').map((fact) => JSON.stringify(sorted(fact))))
    expect(lacking).toEqual(
      new Set([token(lost), token(short), token(odd), user, tenant].map((fact) => JSON.stringify(sorted(fact)))),
    )
    for (const fact of facts) replica.add(fact, 'log')
    expect(all(replica, 'lacking')).toEqual([])
  })

  it('is also what only a copy told', () => {
    const replica = createReplica(Math.random)
    const facts = [token(hexId()), token('odd'), token(hexId())]
    for (const fact of facts) replica.add(fact, 'copy')
    const [first] = facts
    if (first !== undefined) replica.add(first, 'log')
    expect(all(replica, 'lacking')).toHaveLength(2)
  })
})

function sorted(fact: Revocation): readonly unknown[] {
  return Object.entries(fact).toSorted(([a], [b]) => (a < b ? -1 : 1))
}

const id = fc.oneof(
  fc.constantFrom('0'.repeat(32), 'f'.repeat(32), `${'0'.repeat(31)}1`, 'a', '', '00000000-0000-0000-0000-000000000000'),
  fc.stringMatching(/^[0-9a-f]{32}$/),
  fc.uuid(),
  fc.string({ maxLength: 40 }),
)
const fact = fc.record({
  kind: fc.constantFrom('token' as const, 'session' as const, 'key' as const),
  tenant: fc.constantFrom('acme', 'globex', '__proto__'),
  id,
  expiresAt: fc.integer({ min: NOW - 20, max: NOW + 20 }),
})
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('add' as const), fact, source: fc.constantFrom('log' as const, 'copy' as const) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sweep' as const), now: fc.integer({ min: NOW - 20, max: NOW + 20 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
)

describe('whatever is added, swept and told again', () => {
  it('the set is what a plain map of texts would be', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (script, seed) => {
        const replica = createReplica(() => seed)
        const model = new Map<string, { readonly fact: Revocation; readonly inLog: boolean }>()
        for (const action of script) {
          if (action.do === 'restart') {
            replica.forgetLog()
            for (const [name, known] of model) model.set(name, { ...known, inLog: false })
            continue
          }
          if (action.do === 'sweep') {
            sweepAll(replica, action.now)
            for (const [name, known] of model) if (known.fact.expiresAt < action.now) model.delete(name)
            continue
          }
          const name = JSON.stringify([action.fact.kind, action.fact.tenant, action.fact.id])
          const known = model.get(name)
          const isNew = known === undefined || action.fact.expiresAt > known.fact.expiresAt
          expect(replica.add(action.fact, action.source)).toBe(isNew)
          const isTold = action.source === 'log' && (isNew || action.fact.expiresAt === known.fact.expiresAt)
          const inLog = isTold || (!isNew && known.inLog)
          model.set(name, { fact: isNew ? action.fact : known.fact, inLog })
        }
        expect(replica.entries()).toBe(model.size)
        const texts = (facts: readonly Revocation[]) => facts.map((one) => JSON.stringify(sorted(one))).toSorted()
        expect(texts(all(replica, 'all', 0))).toEqual(texts([...model.values()].map((known) => known.fact)))
        expect(texts(all(replica, 'lacking', 0))).toEqual(
          texts([...model.values()].filter((known) => !known.inLog).map((known) => known.fact)),
        )
        for (const { fact: one } of model.values()) {
          if (one.kind === 'token') expect(lists(replica, one.id, one.tenant)).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
  })
})
