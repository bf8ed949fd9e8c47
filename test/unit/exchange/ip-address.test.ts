import { isIP } from 'node:net'
import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { readAddress, readNetwork } from '../../../src/exchange/exchange.ts'

/** 16 bits to a group, in hex: `c000:201` for 192.0.2.1. */
function groupsOf(address: string | undefined): string | undefined {
  return address === undefined ? undefined : Array.from(address, (_, at) => address.charCodeAt(at).toString(16)).join(':')
}

describe('readAddress', () => {
  it.each([
    ['0.0.0.0', '0:0'],
    ['192.0.2.1', 'c000:201'],
    ['255.255.255.255', 'ffff:ffff'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['1::', '1:0:0:0:0:0:0:0'],
    ['2001:DB8::a:0:1', '2001:db8:0:0:0:a:0:1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0:0:0:c000:201'],
    ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'],
  ])('reads %s', (text, groups) => {
    expect(groupsOf(readAddress(text))).toBe(groups)
  })

  it.each(['::ffff:192.0.2.1', '::FFFF:192.0.2.1', '::ffff:c000:201', '0:0:0:0:0:ffff:c000:0201', '::ffff:192.0.2.1%eth0'])(
    'reads %s as the IPv4 address that it is',
    (text) => {
      expect(readAddress(text)).toBe(readAddress('192.0.2.1'))
    },
  )

  it.each([
    '',
    ' ',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    '1.2.3.04',
    '01.2.3.4',
    '0x1.2.3.4',
    '1.2.3.4 ',
    '1.2.3.4:80',
    '.1.2.3',
    '1.2.3.',
    ':',
    ':::',
    '1:',
    ':1',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '[::1]',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    'unknown',
    '_hidden',
    `${'1:'.repeat(200)}1`,
  ])('reads %j as nothing', (text) => {
    expect(readAddress(text)).toBeUndefined()
  })

  it('takes what the socket library takes, and orders addresses as numbers', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 20 })), (text) => {
        expect(readAddress(text) !== undefined).toBe(isIP(text) !== 0)
      }),
    )
    const four = fc.tuple(fc.ipV4(), fc.ipV4())
    const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
    fc.assert(
      fc.property(four, ([a, b]) => {
        expect((readAddress(a) ?? '') < (readAddress(b) ?? '')).toBe(number(a) < number(b))
      }),
    )
  })
})

describe('readNetwork', () => {
  it.each([
    ['10.0.0.0/8', 'a00:0', 'aff:ffff'],
    ['192.0.2.7', 'c000:207', 'c000:207'],
    ['192.0.2.6/31', 'c000:206', 'c000:207'],
    ['0.0.0.0/0', '0:0', 'ffff:ffff'],
    ['2001:db8::/33', '2001:db8:0:0:0:0:0:0', '2001:db8:7fff:ffff:ffff:ffff:ffff:ffff'],
    ['::/0', '0:0:0:0:0:0:0:0', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::ffff:10.0.0.0/104', 'a00:0', 'aff:ffff'],
    ['::ffff:10.1.2.3/128', 'a01:203', 'a01:203'],
  ])('reads %s', (text, first, last) => {
    const range = readNetwork(text)
    expect([groupsOf(range?.first), groupsOf(range?.last)]).toEqual([first, last])
  })

  it.each([
    '10.0.0.1/8',
    '10.0.0.0/33',
    '2001:db8::1/64',
    '::/129',
    '10/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '::ffff:10.0.0.0/95',
    '',
    '/8',
    'fe80::1%eth0/64',
  ])('reads %j as nothing', (text) => {
    expect(readNetwork(text)).toBeUndefined()
  })
})
