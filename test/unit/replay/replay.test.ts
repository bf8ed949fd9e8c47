import { describe, expect, it } from 'vitest'
import type { Admitted, Counted, Identified, Unspent } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createReplay, type TokenUse, type UsedTokens } from '../../../src/replay/replay.ts'
import { ADMITTED } from '../telemetry/world.ts'

const NOW = 1_800_000_000.25

const ALICE: Identified = {
  kind: 'identified',
  issuer: 'corporate',
  tenant: 'acme',
  user: 'alice',
  scopes: [],
  tokenId: 'jti-1',
  expiresAt: 1_800_000_300,
  skewSeconds: 2,
  tokenType: 'jwt',
  algorithm: 'RS256',
  claims: {},
}

function unspent(principal: Identified = ALICE): Unspent {
  const { admitted: _, ...rest } = ADMITTED
  return { ...rest, principal, tenant: principal.tenant }
}

function replay(answer: (use: TokenUse) => Promise<boolean> = async () => true) {
  const uses: TokenUse[] = []
  const used: UsedTokens = {
    use(token) {
      uses.push(token)
      return answer(token)
    },
  }
  return { uses, ...createReplay(used, () => NOW) }
}

async function refusalOf(spend: (exchange: Counted) => Admitted | Promise<Admitted>, exchange: Counted): Promise<unknown> {
  try {
    return await spend(exchange)
  } catch (error) {
    return error
  }
}

describe('the use of a token', () => {
  it('is nobody’s concern on a route that takes it any number of times: the same exchange, at once', () => {
    const { spend, uses } = replay()
    expect(spend(ADMITTED)).toBe(ADMITTED)
    expect(uses).toEqual([])
  })

  it('is noted until no gateway takes the token, and admits the request', async () => {
    const { spend, uses } = replay()
    expect(await spend(unspent())).toEqual({ ...unspent(), admitted: true })
    // 299.75 s of life, 2 s of skew, and a minute by which clocks may differ.
    expect(uses).toEqual([{ issuer: 'corporate', tenant: 'acme', user: 'alice', id: 'jti-1', forSeconds: 362 }])
  })

  it('is kept for a minute even if the token expired on the way', async () => {
    const { spend, uses } = replay()
    await spend(unspent({ ...ALICE, expiresAt: NOW - 100 }))
    expect(uses.map((use) => use.forSeconds)).toEqual([60])
  })

  it('is refused where it is not the first', async () => {
    const { spend } = replay(async () => false)
    expect(await refusalOf(spend, unspent())).toMatchObject({ kind: 'token_used', status: 401, error: 'invalid_token' })
  })

  it('is refused for a token without an id, and the store is not asked', async () => {
    const { spend, uses } = replay()
    const { tokenId: _, ...nameless } = ALICE
    const refusal = await refusalOf(spend, unspent(nameless))
    expect(refusal).toMatchObject({ kind: 'invalid_token', status: 401, facts: { description: expect.stringMatching(/jti/) } })
    expect(uses).toEqual([])
  })

  it('is refused when the store cannot tell', async () => {
    const away = new Problem('storage_unavailable')
    expect(await refusalOf(replay(() => Promise.reject(away)).spend, unspent())).toBe(away)
  })
})
