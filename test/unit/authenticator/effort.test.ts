import { beforeEach, describe, expect, it } from 'vitest'
import { Problem } from '../../../src/problem/problem.ts'
import { createKey, createWorld, exchange, foreignClaims, ISSUER, NOW_SECONDS as NOW, sign } from './world.ts'
import type { World } from './world.ts'

const URI = 'https://login.example.com/jwks.json'
const WHO = `${ISSUER} u-1`
const key = createKey('k-1', 'RS256')
const forger = createKey('k-1', 'RS256')
const stranger = createKey('k-2', 'RS256')
let told: string[]
let refusal: Problem | undefined
let world: World

beforeEach(async () => {
  told = []
  refusal = undefined
  world = createWorld({
    needs: {
      effort: {
        refuse(by, who) {
          told.push(`asked ${by.client} ${who}`)
          return refusal
        },
        failed: (by, who) => void told.push(`failed ${by.client} ${who}`),
        held: (by, who) => void told.push(`held ${by.client} ${who}`),
      },
    },
  })
  world.web.pages.set(URI, [key.jwk])
  await world.authenticator.start()
})

describe('the effort for a signature', () => {
  it('is asked for once for a token that is not known, and told how it went', async () => {
    const client = exchange([]).client
    const good = await sign(key, foreignClaims())
    expect([await world.ask(good), await world.ask(good)]).toEqual(['ok u-1', 'ok u-1'])
    expect(told).toEqual([`asked ${client} ${WHO}`, `held ${client} ${WHO}`])
    told = []
    expect(await world.ask(await sign(forger, foreignClaims()))).toBe('invalid_signature: signature')
    expect(told).toEqual([`asked ${client} ${WHO}`, `failed ${client} ${WHO}`])
  })

  it('that is refused is the answer, and nothing is verified', async () => {
    const known = await sign(key, foreignClaims())
    await world.ask(known)
    refusal = new Problem('rate_limited', { detail: 'too many' })
    world.events.seconds.length = 0
    expect(await world.ask(await sign(key, foreignClaims({ jti: 'j-2' })))).toBe('rate_limited: too many')
    expect(await world.ask(known)).toBe('ok u-1')
    expect(world.events.seconds).toEqual([])
    expect(world.events.decided.at(-2)).toEqual(['acme', 'refused', 'rate_limited'])
  })

  it('is not asked for where none is needed: no token, one that cannot be good, an unknown key', async () => {
    for (const token of [
      'garbage',
      await sign(key, foreignClaims({ exp: NOW - 3600 })),
      await sign(key, foreignClaims({ iss: 'https://elsewhere.test/' })),
      await sign(stranger, foreignClaims()),
    ]) {
      expect(await world.ask(token)).toMatch(/^(invalid_token|token_expired): /)
    }
    expect(told).toEqual([])
  })

  it('is asked for where a token comes in the body of a request, and not where the gateway asks for itself', async () => {
    await world.authenticator.verify(await sign(key, foreignClaims({ jti: 'j-3' })))
    expect(told).toEqual([])
    await world.authenticator.verify(await sign(key, foreignClaims({ jti: 'j-4' })), exchange([]))
    expect(told).toHaveLength(2)
  })
})
