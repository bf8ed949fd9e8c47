/** How it is known which country a client is in, and who may be where. */
import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { countriesIn, describeConfig, kilometresBetween, parseConfig } from '../../../src/config/config.ts'
import { packCountries } from '../../../src/config/country-table.ts'
import { readAddress, readNetwork } from '../../../src/exchange/exchange.ts'
import { faultsOf, marked, needsOf } from './faults-of.ts'

const FILE = '/etc/gatehouse/countries.csv'
const TEXT = '# made for a test\n10.0.0.0/8,NO\n\n10.1.0.0/16,se\r\n"2001:db8::/32","DE"\n'
const needs = (text = TEXT) => needsOf({}, { [FILE]: text })
const parse = (yaml: string, text?: string) => parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needs(text))
const route = (keys: string) => `routes: [{ name: r, match: { path: /api/* }, auth: public, service: echo, ${keys} }]`
const PROXIES = 'listeners: { public: { trustedProxies: [10.0.0.0/8] } }\n'

function finder(text: string): (address: string) => string | undefined {
  const packed = packCountries(text)
  if ('faults' in packed) throw new Error(JSON.stringify(packed.faults))
  return countriesIn(packed.table)
}

describe('geography', () => {
  it('is a header that proxies send, a file of networks, or both', () => {
    const { geography, identity } = parse(`${PROXIES}geography: { header: CF-IPCountry, file: countries.csv }\nroutes: []\n`)
    expect(geography).toMatchObject({ header: 'cf-ipcountry', file: { path: 'countries.csv', networks: 3 } })
    expect(identity.countryHeader).toBe('cf-ipcountry')
    expect(
      ['10.0.0.1', '10.1.2.3', '2001:db8::1', '11.0.0.1'].map(countriesIn(geography?.file?.table ?? new Uint8Array(8))),
    ).toEqual(['NO', 'SE', 'DE', undefined])
  })

  it('changes the version of the configuration when its file does', () => {
    const yaml = 'geography: { file: countries.csv }\nroutes: []\n'
    expect(parse(yaml).version).not.toBe(parse(yaml, '10.0.0.0/8,SE').version)
    expect(parse(yaml).version).toBe(parse(yaml).version)
    expect(JSON.stringify(describeConfig(parse(yaml))).length).toBeLessThan(10_000)
  })

  it.each([
    ['geography: §{}\n', 'geography: must say where countries come from: write header or file'],
    [
      'geography: { header: §cf-ipcountry }\n',
      'geography.header: is believed from listeners.public.trustedProxies alone, and there are none',
    ],
    [`${PROXIES}geography: { header: §x-user-id }\n`, 'geography.header: has a meaning of its own: choose another header name'],
    [`${PROXIES}geography: { header: §cookie }\n`, 'geography.header: has a meaning of its own: choose another header name'],
    [`${PROXIES}geography: { header: §"x y" }\n`, 'geography.header: must be a header name, such as x-user-id'],
    ['geography: { file: §none.csv }\n', 'geography.file: the file cannot be read: no such file'],
    ['geography: { §files: countries.csv }\n', 'geography.files: unknown key, did you mean file?'],
  ])('%s', (text, message) => {
    const { yaml, faults } = marked(`${text}routes: []\n`, [message])
    expect(faultsOf(yaml, needs())).toEqual(faults)
  })

  it('tells the lines of the file that are wrong, a few at once', () => {
    const bad = '10.0.0.0/8\n10.0.0.1/8,NO\n# fine\n10.0.0.0/8,UK\n10.0.0.0/8,Norway\nx,NO\ny,NO\nz,NO\n'
    expect(faultsOf('geography: { file: countries.csv }\nroutes: []\n', needs(bad))).toEqual([
      '1:20 geography.file: line 1 must be NETWORK,COUNTRY, such as 192.0.2.0/24,NO; ' +
        'line 2 must start with a network in CIDR form, without bits behind its prefix; ' +
        'line 4 what follows the comma is no country, did you mean GB?; ' +
        'line 5 what follows the comma is no country: write two letters, such as NO; ' +
        'line 6 must start with a network in CIDR form, without bits behind its prefix',
    ])
    expect(
      faultsOf('geography: { file: countries.csv }\nroutes: []\n', needs('10.0.0.0/8,NO\n1.0.0.0/8,SE\n10.0.0.0/8,SE')),
    ).toEqual(['1:20 geography.file: line 3 is the network of line 1, in another country'])
    expect(faultsOf('geography: { file: countries.csv }\nroutes: []\n', needs('# nothing\n'))).toEqual([
      '1:20 geography.file: the file has no networks: write NETWORK,COUNTRY lines into it',
    ])
  })
})

describe('countries', () => {
  const FROM = 'geography: { file: countries.csv }\n'

  it('are of a route and of a tenant, in upper case', () => {
    const config = parse(
      `${FROM}tenants: { acme: { countries: { deny: [kp] } } }\n${route('countries: { allow: [no, SE, NO], deny: [DK] }')}`,
      TEXT,
    )
    expect(config.routes[0]?.countries).toEqual({ allow: new Set(['NO', 'SE']), deny: new Set(['DK']) })
    expect(config.tenants.get('acme')?.countries).toEqual({ allow: new Set(), deny: new Set(['KP']) })
    expect(config.tenants.get('default')).not.toHaveProperty('countries')
  })

  it.each([
    ['countries: §{}', 'countries: has no effect: write allow or deny, or remove it'],
    ['countries: { allow: [§UK] }', 'countries.allow.0: is no country, did you mean GB?: write the code of one, two letters'],
    ['countries: { allow: [NO, §QQ] }', 'countries.allow.1: is no country: write the code of one, two letters'],
    ['countries: { deny: [§Norway] }', 'countries.deny.0: must be the code of a country: two letters, such as NO'],
    ['countries: { deny: [§false] }', 'countries.deny.0: must be the code of a country: two letters, such as NO'],
    ['countries: { allow: [§NO], deny: [NO] }', 'countries.allow.0: is in deny too, which goes before: remove one of them'],
  ])('%s', (keys, message) => {
    const { yaml, faults } = marked(`${FROM}${route(keys)}`, [`routes.r.${message}`])
    expect(faultsOf(yaml, needs())).toEqual(faults)
  })

  it('need geography, as travel does', () => {
    const { yaml, faults } = marked(
      `tenants: { acme: { countries: §{ allow: [NO] }, anomalies: { impossibleTravel: §refuse } } }\n${route('countries: §{ allow: [NO] }')}`,
      [
        'tenants.acme.countries: needs geography, which says which country a client is in',
        'tenants.acme.anomalies.impossibleTravel: needs geography, which says which country a client is in',
        'routes.r.countries: needs geography, which says which country a client is in',
      ],
    )
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

describe('anomalies', () => {
  it('are off where nothing is said', () => {
    expect(parse('routes: []\n').tenants.get('default')).not.toHaveProperty('anomalies')
    const some = parse('tenants: { default: { anomalies: { newDevice: record } } }\nroutes: []\n')
    expect(some.tenants.get('default')?.anomalies).toEqual({ newDevice: 'record', impossibleTravel: 'off' })
  })

  it('know words of their own', () => {
    const { yaml, faults } = marked('tenants: { default: { anomalies: { newDevice: §refuse } } }\nroutes: []\n', [
      'tenants.default.anomalies.newDevice: must be off or record',
    ])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

describe('a file of networks', () => {
  it('gives the smallest network around an address, whatever the order of its lines', () => {
    const lines = [
      '0.0.0.0/1,US',
      '10.0.0.0/8,NO',
      '10.1.0.0/16,SE',
      '10.1.2.0/24,ZZ',
      '10.1.2.128/25,DK',
      '::/1,FR',
      '2001:db8::/32,DE',
    ]
    for (const text of [lines, lines.toReversed()].map((some) => some.join('\n'))) {
      const find = finder(text)
      expect(
        ['9.9.9.9', '10.0.0.0', '10.1.0.0', '10.1.2.3', '10.1.2.200', '10.1.3.0', '10.255.255.255', '128.0.0.0'].map(find),
      ).toEqual(['US', 'NO', 'SE', undefined, 'DK', 'SE', 'NO', undefined])
      expect(['2001:db8::1', '2001:db9::1', '8000::', '::ffff:10.1.0.1', '::ffff:a01:1'].map(find)).toEqual([
        'DE',
        'FR',
        undefined,
        'SE',
        'SE',
      ])
    }
  })

  it('knows nothing of what is no address', () => {
    expect(['', 'unknown', '10.0.0', '10.0.0.1.5', '010.0.0.1', 'x'.repeat(500)].map(finder('0.0.0.0/0,NO\n::/0,NO'))).toEqual(
      Array(6).fill(undefined),
    )
  })

  it('is of one opinion with a search through all of it', () => {
    const network = fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 255 }), fc.constantFrom(0, 1, 4, 8, 12, 16, 20, 24, 32))
    const written = network.map(([a, b, bits]) => {
      const value = bits === 0 ? 0 : (((a << 24) | (b << 16)) >>> (32 - bits)) * 2 ** (32 - bits)
      return `${[24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')}/${bits}`
    })
    const table = fc
      .uniqueArray(written, { maxLength: 40 })
      .chain((networks) =>
        fc.tuple(...networks.map((one) => fc.constantFrom('NO', 'SE', 'DK').map((code) => [one, code] as const))),
      )
    fc.assert(
      fc.property(table, fc.array(fc.ipV4(), { maxLength: 20 }), (rows, addresses) => {
        const find = finder(rows.map((row) => row.join(',')).join('\n'))
        for (const address of addresses) {
          const around = rows.filter(([one]) => {
            const [range, read] = [readNetwork(one), readAddress(address)]
            return range !== undefined && read !== undefined && range.first <= read && read <= range.last
          })
          const smallest = around.toSorted(([a], [b]) => Number(b.split('/')[1]) - Number(a.split('/')[1]))[0]
          expect([address, find(address)]).toEqual([address, smallest?.[1]])
        }
      }),
    )
  })
})

it('countries that touch are near, and others about as far as they are', () => {
  for (const [one, other] of [
    ['NO', 'SE'],
    ['US', 'CA'],
    ['ES', 'PT'],
    ['NO', 'NO'],
    ['NO', 'QQ'],
  ] as const)
    expect(kilometresBetween(one, other)).toBe(0)
  expect(kilometresBetween('NO', 'AU')).toBeGreaterThan(11_000)
  expect(kilometresBetween('AU', 'NO')).toBe(kilometresBetween('NO', 'AU'))
  expect(kilometresBetween('FJ', 'WS')).toBeLessThan(1_500)
})
