import { BlockList, isIPv6 } from 'node:net'
import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import type { NetworkRules, Route, Routed } from '../../../src/exchange/exchange.ts'
import { createAddressSet } from '../../../src/networks/address-set.ts'
import { createNetworks } from '../../../src/networks/networks.ts'
import { readAddress } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { request, routerOf } from '../router/routes.ts'

function routed(client: string, ip?: NetworkRules): { readonly exchange: Routed; readonly route: Route } {
  const exchange = routerOf({ path: '/x' }).match({ ...request({ target: '/x' }), client })
  const route = { ...exchange.route, ...(ip !== undefined && { ip }) }
  return { exchange: { ...exchange, route }, route }
}

/** `in`, or the problem. */
function outcome(client: string, ip?: NetworkRules): string {
  const { exchange, route } = routed(client, ip)
  try {
    return createNetworks([route]).admit(exchange) === exchange ? 'in' : 'changed'
  } catch (error) {
    return Problem.from(error).kind
  }
}

describe('a route that says where clients must be', () => {
  it.each([
    ['10.1.2.3', { allow: ['10.0.0.0/8'], deny: [] }, 'in'],
    ['11.1.2.3', { allow: ['10.0.0.0/8'], deny: [] }, 'address_refused'],
    ['10.1.2.3', { allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] }, 'address_refused'],
    ['10.2.2.3', { allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] }, 'in'],
    ['192.0.2.7', { allow: [], deny: ['192.0.2.7'] }, 'address_refused'],
    ['192.0.2.8', { allow: [], deny: ['192.0.2.7'] }, 'in'],
    ['2001:db8::1', { allow: ['2001:db8::/32'], deny: [] }, 'in'],
    ['2001:db9::1', { allow: ['2001:db8::/32'], deny: [] }, 'address_refused'],
    ['10.1.2.3', { allow: ['2001:db8::/32'], deny: [] }, 'address_refused'],
    ['2001:db8::1', { allow: ['0.0.0.0/0'], deny: [] }, 'address_refused'],
    ['::ffff:a01:203', { allow: [], deny: ['10.0.0.0/8'] }, 'address_refused'],
    ['10.1.2.3', { allow: ['::ffff:10.0.0.0/104'], deny: [] }, 'in'],
    ['', { allow: [], deny: ['192.0.2.7'] }, 'address_refused'],
    ['unknown', { allow: [], deny: ['192.0.2.7'] }, 'address_refused'],
  ] as const)('%s under %j: %s', (client, rules, expected) => {
    expect(outcome(client, rules)).toBe(expected)
  })

  it('lets nobody in by rules that it never saw', () => {
    const { exchange } = routed('10.1.2.3', { allow: ['10.0.0.0/8'], deny: [] })
    expect(() => createNetworks([]).admit(exchange)).toThrow(Problem)
  })
})

it('a route that says nothing takes everyone, whatever the address is', () => {
  expect([outcome('192.0.2.1'), outcome('')]).toEqual(['in', 'in'])
})

describe('a set of networks', () => {
  // The block list takes IPv4 addresses for mapped IPv6 ones as well; here they are IPv4 alone.
  const six = fc.ipV6().filter((address) => /^[1-9a-f]/i.test(address))
  const network = fc.oneof(fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })), fc.tuple(six, fc.integer({ min: 16, max: 128 })))

  it('has what the block list of Node has', () => {
    fc.assert(
      fc.property(
        fc.array(network, { maxLength: 30 }),
        fc.array(fc.oneof(fc.ipV4(), six), { maxLength: 20 }),
        (drawn, others) => {
          const list = new BlockList()
          const written = drawn.map(([address, bits]) => `${firstOf(address, bits)}/${bits}`)
          for (const one of written) {
            const [address = '', bits = ''] = one.split('/')
            list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4')
          }
          const set = createAddressSet(written)
          for (const address of [...others, ...drawn.map(([one]) => one)]) {
            expect([address, set.has(readAddress(address) ?? '')]).toEqual([
              address,
              list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'),
            ])
          }
        },
      ),
    )
  })

  it('finds its way among a thousand networks that overlap and touch', () => {
    const many = Array.from({ length: 1000 }, (_, at) => `10.${at % 250}.${Math.floor(at / 250) * 2}.0/24`)
    const set = createAddressSet([...many, '10.7.0.0/16', '10.7.3.0/24'])
    const has = (text: string) => set.has(readAddress(text) ?? '')
    expect(['10.0.0.0', '10.249.6.255', '10.3.2.9', '10.7.255.255', '10.7.3.1'].filter((one) => !has(one))).toEqual([])
    expect(['10.0.1.0', '9.255.255.255', '10.250.0.0', '10.3.3.9', '10.8.8.0'].filter(has)).toEqual([])
  })
})

/** The first address of a network, written out in full. */
function firstOf(address: string, bits: number): string {
  const read = readAddress(address) ?? ''
  const units = Array.from(
    { length: read.length },
    (_, at) => read.charCodeAt(at) & ~(2 ** Math.min(16, Math.max(0, (at + 1) * 16 - bits)) - 1) & 0xffff,
  )
  if (isIPv6(address)) return units.length === 8 ? units.map((unit) => unit.toString(16)).join(':') : '1::'
  return units.flatMap((unit) => [unit >> 8, unit & 255]).join('.')
}
