import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { readProxyHeader } from '../../../src/listener/proxy-protocol.ts'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

function v2(command: number, family: number, body: readonly number[], said = body.length): Buffer {
  const head = Buffer.from([command, family, said >> 8, said & 0xff])
  return Buffer.concat([SIGNATURE, head, Buffer.from(body)])
}

const TCP4 = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0x1f, 0x90]
const TCP6 = [0x20, 1, 0x0d, 0xb8, ...Array<number>(11).fill(0), 7, ...Array<number>(16).fill(1), 0x12, 0x34, 0x1f, 0x90]

describe('version 1', () => {
  it.each([
    ['PROXY TCP4 192.0.2.1 10.0.0.1 1234 443\r\n', '192.0.2.1'],
    ['PROXY TCP6 2001:db8::7 2001:db8::1 1234 443\r\n', '2001:db8::7'],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::1 0 65535\r\n', '::ffff:192.0.2.1'],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n', undefined],
  ])('%j names %s', (text, source) => {
    const header = readProxyHeader(Buffer.from(`${text}GET / HTTP/1.1\r\n`))
    expect(header).toEqual({ kind: 'whole', length: text.length, ...(source === undefined ? {} : { source }) })
  })

  it.each([
    'PROXY TCP4 192.0.2.1 10.0.0.1 1234\r\n',
    'PROXY TCP4 192.0.2.1 10.0.0.1 1234 443 1\r\n',
    'PROXY TCP4 192.0.2.1 10.0.0.1 1234 65536\r\n',
    'PROXY TCP4 192.0.2.1 10.0.0.1 01234 443\r\n',
    'PROXY TCP4 192.0.2.1 10.0.0.1 -1 443\r\n',
    'PROXY TCP4 192.0.2.01 10.0.0.1 1234 443\r\n',
    'PROXY TCP4 192.0.2.256 10.0.0.1 1234 443\r\n',
    'PROXY TCP4 2001:db8::7 2001:db8::1 1234 443\r\n',
    'PROXY TCP6 192.0.2.1 10.0.0.1 1234 443\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1234 443\r\n',
    'PROXY TCP5 192.0.2.1 10.0.0.1 1234 443\r\n',
    'PROXY  TCP4 192.0.2.1 10.0.0.1 1234 443\r\n',
    'PROXY\tTCP4 192.0.2.1 10.0.0.1 1234 443\r\n',
    'PROXY TCP4 192.0.2.1 10.0.0.1 1234 443\n\r\n',
    'proxy TCP4 192.0.2.1 10.0.0.1 1234 443\r\n',
    'PROXY \r\n',
    `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`,
    'GET / HTTP/1.1\r\n\r\n',
    '\x16\x03\x01',
  ])('%j is malformed', (text) => {
    expect(readProxyHeader(Buffer.from(text, 'latin1'))).toEqual({ kind: 'malformed' })
  })
})

describe('version 2', () => {
  it.each([
    ['TCP over IPv4', v2(0x21, 0x11, TCP4), '192.0.2.1'],
    ['TCP over IPv6', v2(0x21, 0x21, TCP6), '2001:db8::7'],
    ['TCP over IPv4 with extensions', v2(0x21, 0x11, [...TCP4, 0x01, 0, 2, 0x68, 0x32]), '192.0.2.1'],
    ['LOCAL', v2(0x20, 0x00, []), undefined],
    ['LOCAL with addresses', v2(0x20, 0x11, TCP4), undefined],
    ['no family', v2(0x21, 0x00, [1, 2, 3]), undefined],
    ['a Unix socket', v2(0x21, 0x31, Array<number>(216).fill(0)), undefined],
    ['datagrams', v2(0x21, 0x12, TCP4), undefined],
  ])('%s', (_, octets, source) => {
    const header = readProxyHeader(Buffer.concat([octets, Buffer.from('rest')]))
    expect(header).toEqual({ kind: 'whole', length: octets.length, ...(source === undefined ? {} : { source }) })
  })

  it.each([
    ['another version', v2(0x11, 0x11, TCP4)],
    ['another command', v2(0x22, 0x11, TCP4)],
    ['too short an address of IPv4', v2(0x21, 0x11, TCP4.slice(0, 11))],
    ['too short an address of IPv6', v2(0x21, 0x21, TCP6.slice(0, 35))],
    ['more than anybody sends', v2(0x21, 0x11, TCP4, 5000)],
    ['another signature', Buffer.from('\r\n\r\n\0\r\nQUIT\r', 'latin1')],
  ])('%s is malformed', (_, octets) => {
    expect(readProxyHeader(octets)).toEqual({ kind: 'malformed' })
  })
})

describe('a header that comes in pieces', () => {
  it.each([
    ['version 1', Buffer.from('PROXY TCP4 192.0.2.1 10.0.0.1 1234 443\r\n')],
    ['version 2', v2(0x21, 0x21, TCP6)],
  ])('of %s is unfinished until it is whole', (_, octets) => {
    for (let length = 0; length < octets.length; length += 1) {
      expect(readProxyHeader(octets.subarray(0, length))).toEqual({ kind: 'unfinished' })
    }
    expect(readProxyHeader(octets)).toMatchObject({ kind: 'whole', length: octets.length })
  })

  it('never reads past its end, nor throws', () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((rest) => Buffer.concat([SIGNATURE, rest])),
      fc.string({ maxLength: 120 }).map((rest) => Buffer.from(`PROXY ${rest}\r\n`, 'latin1')),
    )
    fc.assert(
      fc.property(octets, (given) => {
        const header = readProxyHeader(Buffer.from(given))
        if (header.kind === 'whole') expect(header.length).toBeLessThanOrEqual(given.length)
      }),
    )
  })
})
