import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { foldHeaderName, type Admitted } from '../../../src/exchange/exchange.ts'
import { ALICE, IDENTITY, admitted, fieldsOf, linesOf, world } from './world.ts'

const WRITTEN = ['x-request-id', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded', 'traceparent']
const OURS = [...Object.values(IDENTITY.headers), IDENTITY.passport.header]

describe('the fields of an identified caller', () => {
  it('say user, tenant, scopes, session and token, and end in a passport', () => {
    const { identity } = world()
    const fields = fieldsOf(identity.outgoing(admitted({ principal: ALICE, tenant: 'acme' })))
    expect(fields.filter(([name]) => !WRITTEN.includes(name))).toEqual([
      ['x-user-id', 'alice'],
      ['x-tenant-id', 'acme'],
      ['x-scopes', 'orders:read orders:write'],
      ['x-session-id', 'session-1'],
      ['x-token-id', 'token-1'],
      ['x-gatehouse-identity', 'passport-1'],
    ])
  })

  it('leave out what the token does not say', () => {
    const { session: _session, tokenId: _tokenId, ...bare } = ALICE
    const fields = fieldsOf(world().identity.outgoing(admitted({ principal: { ...bare, scopes: [] } })))
    expect(fields.map(([name]) => name).filter((name) => OURS.includes(name))).toEqual([
      'x-user-id',
      'x-tenant-id',
      'x-gatehouse-identity',
    ])
  })

  it('are visible ASCII, whatever the token says', () => {
    const fields = fieldsOf(
      world().identity.outgoing(admitted({ principal: { ...ALICE, user: 'jürgen\r\nX-Admin: 1\ud800', session: '\u0000' } })),
    )
    expect(fields.filter(([name]) => name === 'x-user-id' || name === 'x-session-id')).toEqual([
      ['x-user-id', 'j%C3%BCrgen%0D%0AX-Admin: 1%EF%BF%BD'],
      ['x-session-id', '%00'],
    ])
  })

  it('are lines too, and those say the same', () => {
    const { identity } = world()
    const principal = { ...ALICE, user: 'jürgen\r\nX-Admin: 1\0' }
    for (const rawHeaders of [[], ['a', '1'], ['a', '1', 'b', '2']]) {
      const exchange = admitted({ principal, rawHeaders })
      const { list, ready } = identity.forwarded(exchange)
      const said = linesOf(ready.lines)
      expect([list, said.map(([name]) => name).slice(0, 7)]).toEqual([rawHeaders, [...WRITTEN, 'x-user-id']])
      expect(said[6]).toEqual(['x-user-id', 'j%C3%BCrgen%0D%0AX-Admin: 1%00'])
      expect(identity.outgoing(exchange)).toEqual([...rawHeaders, ...said.flat()])
    }
    expect(linesOf(identity.forwarded(admitted()).ready.lines).map(([name]) => name)).toEqual(WRITTEN)
  })

  it('say what a request came over in lines only where that is for the gateway alone to say, and no route changes it', () => {
    const { identity } = world()
    const exchange = admitted({ principal: ALICE })
    const plain = identity.outgoing(exchange)
    const trace = { id: 'a'.repeat(32), parent: 'parent' }
    const rules = { set: new Map([['x-a', '1']]), remove: new Set(['forwarded']) }
    const others = [
      { ...exchange, trusted: true },
      { ...exchange, trace },
      { ...exchange, id: 'from-elsewhere' },
    ]
    for (const other of [...others, admitted({ principal: ALICE }, { requestHeaders: rules })]) {
      const { list, ready } = identity.forwarded(other)
      expect(list.slice(0, 2)).toEqual(['x-request-id', other.id])
      expect(linesOf(ready.lines)[0]).toEqual(['x-user-id', 'alice'])
    }
    // The same, whichever way it goes.
    expect(identity.outgoing({ ...exchange, trusted: true })).toEqual(plain)
  })

  it('say of each client what its own requests came over', () => {
    const { identity } = world()
    const forwardedOf = (more: Partial<Admitted>) =>
      new Map(linesOf(identity.forwarded(admitted(more)).ready.lines)).get('forwarded')
    const ways: [Partial<Admitted>, string][] = [
      [{ peer: '192.0.2.1' }, 'for=192.0.2.1;host="api.test:8080";proto=http'],
      [{ peer: '192.0.2.1', scheme: 'https' }, 'for=192.0.2.1;host="api.test:8080";proto=https'],
      [{ peer: '192.0.2.1', authority: 'other.test' }, 'for=192.0.2.1;host="other.test";proto=http'],
      [{ peer: '192.0.2.1', authority: '' }, 'for=192.0.2.1;proto=http'],
      [{ peer: '2001:db8::1' }, 'for="[2001:db8::1]";host="api.test:8080";proto=http'],
    ]
    for (const [more, text] of [...ways, ...ways]) expect(forwardedOf(more)).toBe(text)
    for (let client = 0; client < 1100; client += 1) forwardedOf({ peer: `10.0.${client >> 8}.${client & 255}` })
    for (const [more, text] of ways) expect(forwardedOf(more)).toBe(text)
  })

  it.each(['\r\nx-admin: 1', '\n', '\0', '\u010a', '\x7f'])('are not made of what could end their line: %j', (part) => {
    const exchange = admitted({ principal: ALICE })
    expect(() => world(IDENTITY, [], part).identity.forwarded(exchange)).toThrow('a field of the identity is none')
    const headers = { ...IDENTITY.headers, user: `x-user${part}` }
    expect(() => world({ ...IDENTITY, headers }).identity.forwarded(exchange)).toThrow('a field of the identity is none')
  })

  it('are the same for a principal that is made for one request', () => {
    const [kept, fleeting] = [admitted({ principal: ALICE }), admitted({ principal: { ...ALICE, fleeting: true } })]
    expect(world().identity.outgoing(fleeting)).toEqual(world().identity.outgoing(kept))
  })

  it('are none for an anonymous one', () => {
    const made = world()
    const lines = OURS.flatMap((name) => [name, 'forged'])
    const fields = fieldsOf(made.identity.outgoing(admitted({ rawHeaders: lines })))
    expect([fields.map(([name]) => name), made.signed]).toEqual([WRITTEN, []])
  })
})

describe('the passport', () => {
  it('is neither signed for an upstream that wants none, nor taken from a client', () => {
    const made = world(IDENTITY, ['orders'])
    const rawHeaders = ['X-Gatehouse-Identity', 'forged', 'x_gatehouse_identity', 'forged']
    const fields = fieldsOf(made.identity.outgoing(admitted({ principal: ALICE, rawHeaders })))
    expect(fields.filter(([name]) => OURS.includes(name)).map(([name]) => name)).toEqual(
      Object.values(IDENTITY.headers).slice(0, 5),
    )
    expect([fields.filter(([, value]) => value === 'forged'), made.signed]).toEqual([[], []])
  })

  it('tells the upstream who calls, for a minute', () => {
    const made = world()
    made.identity.outgoing(admitted({ principal: ALICE }))
    expect(made.signed).toEqual([
      {
        iss: 'https://gateway.test',
        aud: 'orders',
        sub: 'alice',
        tenant_id: 'acme',
        scope: 'orders:read orders:write',
        sid: 'session-1',
        iat: 1_000,
        exp: 1_060,
        jti: 'id-1',
      },
    ])
  })

  it('serves for half of its life, one for each upstream', () => {
    const made = world()
    const passportOf = (route = {}) => made.identity.outgoing(admitted({ principal: ALICE }, route)).at(-1)
    const billing = { target: { kind: 'upstream', upstream: 'billing' } as const }
    const first = passportOf()
    made.clock += 29
    expect([passportOf(), passportOf(billing)]).toEqual([first, 'passport-2'])
    made.clock += 1
    expect([passportOf(), made.signed.map((claims) => claims['aud'])]).toEqual(['passport-3', ['orders', 'billing', 'orders']])
  })

  it('is never shared by two principals, however alike', () => {
    const made = world()
    const passports = [ALICE, { ...ALICE }].map((principal) => made.identity.outgoing(admitted({ principal })).at(-1))
    expect(new Set(passports).size).toBe(2)
  })
})

describe('what the client may say', () => {
  it('never includes a name that folds to one of ours', () => {
    const { identity } = world()
    const mark = fc.constantFrom('-', '_', '.', '~', '!', '#', '$', '%', '&', "'", '*', '+', '^', '`', '|')
    const spelled = fc.tuple(
      fc.constantFrom(...OURS),
      fc.array(mark, { minLength: 8, maxLength: 8 }),
      fc.array(fc.boolean(), { minLength: 32, maxLength: 32 }),
    )
    fc.assert(
      fc.property(spelled, ([name, marks, upper]) => {
        let next = 0
        const spelling = [...name]
          .map((letter, at) => (letter === '-' ? (marks[next++] ?? '-') : upper[at] === true ? letter.toUpperCase() : letter))
          .join('')
        const fields = fieldsOf(identity.outgoing(admitted({ rawHeaders: ['a', '1', spelling, 'forged', 'b', '2'] })))
        expect(fields.filter(([field]) => foldHeaderName(field) === name)).toEqual([])
        expect(fields.slice(0, 2)).toEqual([
          ['a', '1'],
          ['b', '2'],
        ])
      }),
    )
  })

  it('stays judged alike when more names came than are remembered', () => {
    const { identity } = world()
    for (let index = 0; index < 3000; index += 1) identity.outgoing(admitted({ rawHeaders: [`x-name-${index}`, '1'] }))
    const fields = fieldsOf(
      identity.outgoing(admitted({ rawHeaders: ['X_User_Id', 'forged', 'x-name-2999', '1', 'x-new', '2'] })),
    )
    expect(fields.slice(0, 2)).toEqual([
      ['x-name-2999', '1'],
      ['x-new', '2'],
    ])
  })

  it.each([
    ['a=1', 'a=1'],
    ['__Host-gw_at=x', undefined],
    ['__Host-gw_at=x; __Secure-gw_rt=y', undefined],
    ['a=1; __Host-gw_at=x; b=2', 'a=1; b=2'],
    ['a=1;__Secure-gw_rt=y ;b=2', 'a=1; b=2'],
    ['a=__Host-gw_at; my_gw_at=1', 'a=__Host-gw_at; my_gw_at=1'],
    [' __Host-gw_at = x; a=1', 'a=1'],
  ])('of the cookies «%s» the upstream gets %s', (cookie, kept) => {
    const fields = fieldsOf(world().identity.outgoing(admitted({ rawHeaders: ['Cookie', cookie] })))
    expect(fields.find(([name]) => name === 'Cookie')?.[1]).toBe(kept)
  })

  it('is all of its credentials where the route forwards them', () => {
    const rawHeaders = ['Authorization', 'Bearer x', 'Cookie', '__Host-gw_at=x', 'Authorization_', 'y']
    const fields = fieldsOf(world().identity.outgoing(admitted({ rawHeaders }, { forwardToken: true })))
    expect(fields.filter(([name]) => !WRITTEN.includes(name))).toEqual([
      ['Authorization', 'Bearer x'],
      ['Cookie', '__Host-gw_at=x'],
      ['Authorization_', 'y'],
    ])
  })
})

describe('the rules of a route', () => {
  it('leave one field of each name that they set, whoever wrote it before', () => {
    const set = new Map([
      ['x-env', 'prod'],
      ['x-forwarded-proto', 'https'],
      ['traceparent', 'none'],
    ])
    const rawHeaders = ['X_Env', 'forged', 'x-env', 'forged', 'X-Forwarded-Proto', 'gopher']
    const fields = fieldsOf(world().identity.outgoing(admitted({ rawHeaders }, { requestHeaders: { set, remove: new Set() } })))
    expect(fields.filter(([name]) => set.has(name.toLowerCase().replace('_', '-')))).toEqual([...set])
  })

  it('remove what we wrote too, but no identity', () => {
    const remove = new Set(['x-debug', 'x-forwarded-host', 'x-user-id'])
    const rawHeaders = ['X.Debug', '1', 'X-Forwarded-Host', 'a']
    const fields = fieldsOf(
      world().identity.outgoing(admitted({ rawHeaders, principal: ALICE }, { requestHeaders: { set: new Map(), remove } })),
    )
    expect(fields.filter(([name]) => remove.has(foldHeaderName(name)))).toEqual([['x-user-id', 'alice']])
  })
})

describe('where a request comes from', () => {
  const CLAIMED = [
    'X-Forwarded-For',
    '203.0.113.9',
    'X-Forwarded-Proto',
    'https',
    'X-Forwarded-Host',
    'shop.test',
    'Forwarded',
    'for=203.0.113.9',
  ]

  it('is the peer, the listener and the Host, where the peer is not trusted', () => {
    expect(fieldsOf(world().identity.outgoing(admitted({ rawHeaders: CLAIMED })))).toEqual([
      ['x-request-id', '6c1bbd3c-5d63-4a3e-9a63-2f6dd0a7b4d1'],
      ['x-forwarded-for', '192.0.2.1'],
      ['x-forwarded-proto', 'http'],
      ['x-forwarded-host', 'api.test:8080'],
      ['forwarded', 'for=192.0.2.1;host="api.test:8080";proto=http'],
      ['traceparent', '00-6c1bbd3c5d634a3e9a632f6dd0a7b4d1-9a632f6dd0a7b4d1-01'],
    ])
  })

  it('is what a trusted proxy says, continued', () => {
    const rawHeaders = [...CLAIMED, 'X-Forwarded-For', '198.51.100.7', 'Traceparent', '00-1-1-01', 'X-Real-IP', '203.0.113.9']
    expect(fieldsOf(world().identity.outgoing(admitted({ rawHeaders, trusted: true })))).toEqual([
      ['Traceparent', '00-1-1-01'],
      ['X-Real-IP', '203.0.113.9'],
      ['x-request-id', '6c1bbd3c-5d63-4a3e-9a63-2f6dd0a7b4d1'],
      ['x-forwarded-for', '203.0.113.9, 198.51.100.7, 192.0.2.1'],
      ['x-forwarded-proto', 'https'],
      ['x-forwarded-host', 'shop.test'],
      ['forwarded', 'for=203.0.113.9, for=192.0.2.1;host="shop.test";proto=https'],
    ])
  })

  it('names an IPv6 peer as RFC 7239 §6 says, and no host where there was none', () => {
    const fields = fieldsOf(world().identity.outgoing(admitted({ peer: '2001:db8::1', authority: '' })))
    expect(fields.filter(([name]) => name.includes('forwarded'))).toEqual([
      ['x-forwarded-for', '2001:db8::1'],
      ['x-forwarded-proto', 'http'],
      ['forwarded', 'for="[2001:db8::1]";proto=http'],
    ])
  })
})
