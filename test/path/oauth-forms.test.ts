/** Forms that nobody would send: whatever comes, the answer is no fault of ours. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fc } from '../support/properties.ts'
import { openOAuth, postForm, SECRETS, type OAuthScene } from '../support/oauth.ts'

let scene: OAuthScene
let token: string
let refreshToken: string
beforeAll(async () => {
  scene = await openOAuth()
  const session = await scene.session('billing')
  token = session.access_token
  refreshToken = session.refresh_token
})
afterAll(() => scene.close())

const NAMES = [
  'grant_type',
  'scope',
  'refresh_token',
  'token',
  'token_type_hint',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  '__proto__',
  'constructor',
  '',
]
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }),
  fc.constantFrom(
    'client_credentials',
    'refresh_token',
    'billing',
    'orders:read',
    'gwr_',
    'gwr_AAAA',
    '..',
    'e30.e30.e30',
    '\u0000',
    '%00',
  ),
  fc.constant(SECRETS.billing),
)
/** Well formed pairs, and text that is none. */
const form = fc.oneof(
  fc
    .array(fc.tuple(fc.constantFrom(...NAMES), hostile), { maxLength: 8 })
    .map((pairs) => pairs.map(([name, value]) => `${name}=${encode(value)}`).join('&')),
  fc.string({ maxLength: 200 }),
  fc.string({ unit: fc.constantFrom('a', '&', '=', '%', '+', '%2', ';', '\r\n', '%f0%9f'), maxLength: 100 }),
)

describe('a hostile form', () => {
  it.each(['token', 'introspect', 'revoke'])(
    'to /oauth/%s is refused or answered, with a client and without',
    async (endpoint) => {
      await fc.assert(
        fc.asyncProperty(form, fc.boolean(), async (body, isClient) => {
          const answer = await postForm(`${scene.url}/oauth/${endpoint}`, isClient ? 'billing' : undefined, body)
          expect([200, 400, 401, 403, 413, 429]).toContain(answer.status)
          if (answer.status !== 200) expect(typeof answer.body['error']).toBe('string')
        }),
        { numRuns: 200 },
      )
    },
  )

  it.each(['token', 'introspect', 'revoke'])('to /oauth/%s is answered with any header of a client', async (endpoint) => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 60 }), fc.base64String({ maxLength: 60 }), async (text, base64) => {
        for (const value of [`Basic ${base64}`, `Basic ${Buffer.from(text).toString('base64')}`, `Bearer ${base64}`]) {
          const answer = await postForm(`${scene.url}/oauth/${endpoint}`, undefined, `token=${token}`, { authorization: value })
          expect([400, 401, 429]).toContain(answer.status)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('with one octet of a good token changed is never active', async () => {
    const changed = fc.tuple(fc.constantFrom('access', 'refresh'), fc.nat(), fc.constantFrom(...'Aa0_-.~='))
    await fc.assert(
      fc.asyncProperty(changed, async ([kind, at, char]) => {
        const good = kind === 'access' ? token : refreshToken
        const index = at % good.length
        fc.pre(good[index] !== char)
        const answer = await scene.post('introspect', 'billing', { token: good.slice(0, index) + char + good.slice(index + 1) })
        expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body: { active: false } })
      }),
      { numRuns: 150 },
    )
  })
})

function encode(value: string): string {
  return encodeURIComponent(value.toWellFormed())
}
