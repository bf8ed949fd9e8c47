import { describe, expect, it } from 'vitest'
import { packCountries } from '../../../src/config/country-table.ts'
import type { CountryRules } from '../../../src/exchange/exchange.ts'
import { createGeography, type Seen } from '../../../src/geography/geography.ts'
import { Problem } from '../../../src/problem/problem.ts'

const packed = packCountries('192.0.2.0/24,NO\n2001:db8::/32,SE')
if ('faults' in packed) throw new Error('the file is fine')
const FILE = { path: 'countries.csv', ...packed }
const HEADER = 'x-country'

const seen = (changes: Partial<Seen> = {}): Seen => ({ client: '192.0.2.7', trusted: false, rawHeaders: [], ...changes })
const told = (...values: readonly string[]): Seen =>
  seen({ client: '198.51.100.1', trusted: true, rawHeaders: values.flatMap((value) => ['X-Country', value]) })

describe('the country of a client', () => {
  it('is that of its address in the file', () => {
    const { countryOf } = createGeography({ geography: { file: FILE }, tenants: new Map() })
    const clients = ['192.0.2.7', '::ffff:192.0.2.7', '2001:db8::5', '198.51.100.1', 'unknown', '']
    expect(clients.map((client) => countryOf(seen({ client })))).toEqual(['NO', 'NO', 'SE', undefined, undefined, undefined])
  })

  it('is what a trusted proxy says, and nobody else', () => {
    const { countryOf } = createGeography({ geography: { header: HEADER }, tenants: new Map() })
    expect(countryOf(told('DK'))).toBe('DK')
    expect(countryOf(told('dk'))).toBe('DK')
    expect(countryOf({ ...told('DK'), trusted: false })).toBeUndefined()
  })

  it.each([[['DK', 'DK']], [['XX']], [['ZZ']], [['T1']], [['']], [['DK, NO']], [['DKK']], [[' DK']]])(
    'is not known where a proxy says %j',
    (values) => {
      const { countryOf } = createGeography({ geography: { header: HEADER }, tenants: new Map() })
      expect(countryOf(told(...values))).toBeUndefined()
    },
  )

  it('is not read from other spellings, which proxies let pass', () => {
    const { countryOf } = createGeography({ geography: { header: HEADER }, tenants: new Map() })
    for (const name of ['x_country', 'x.country', 'X-Country ', 'xcountry'])
      expect(countryOf(seen({ trusted: true, rawHeaders: [name, 'DK'] }))).toBeUndefined()
  })

  it('is asked of the file where the proxy knows none, but not where it says two things', () => {
    const { countryOf } = createGeography({ geography: { header: HEADER, file: FILE }, tenants: new Map() })
    const at = (raw: Seen) => countryOf({ ...raw, client: '192.0.2.7' })
    expect([at(told('DK')), at(told('XX')), at(told()), at(told('DK', 'NO'))]).toEqual(['DK', 'NO', 'NO', undefined])
  })

  it('is not known where nothing is configured', () => {
    const { countryOf, isOpen } = createGeography({ tenants: new Map() })
    expect([countryOf(told('NO')), isOpen]).toEqual([undefined, true])
  })
})

describe('a rule', () => {
  const { enter } = createGeography({ geography: { header: HEADER }, tenants: new Map() })
  const rule = (allow: readonly string[], deny: readonly string[]): CountryRules => ({
    allow: new Set(allow),
    deny: new Set(deny),
  })
  const outcome = (rules: CountryRules, from: Seen) => {
    try {
      enter(rules, from)
      return 'in'
    } catch (error) {
      return Problem.from(error).kind
    }
  }

  it.each([
    [rule(['NO'], []), told('NO'), 'in'],
    [rule(['NO'], []), told('SE'), 'country_refused'],
    [rule([], ['NO']), told('NO'), 'country_refused'],
    [rule([], ['NO']), told('SE'), 'in'],
    [rule(['NO', 'SE'], ['SE']), told('SE'), 'country_refused'],
    [rule(['NO'], []), told('XX'), 'country_refused'],
    [rule([], ['NO']), told('XX'), 'in'],
  ])('%o, %o: %s', (rules, from, expected) => {
    expect(outcome(rules, from)).toBe(expected)
  })
})
