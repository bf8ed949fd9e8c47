import { PassThrough } from 'node:stream'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { beforeEach, describe, expect, it } from 'vitest'
import { createHandshakeFailures, type HandshakeFailures } from '../../../src/listener/handshake-failures.ts'

let counted: string[]
let said: unknown[]
let due: (() => void)[]
let handshakes: HandshakeFailures

beforeEach(() => {
  counted = []
  said = []
  due = []
  handshakes = createHandshakeFailures({
    schedule(delayMs, run) {
      expect(delayMs).toBe(60_000)
      due.push(run)
      return () => undefined
    },
    handshakeFailed: (reason) => counted.push(reason),
    handshakesFail: (failing) => said.push(failing),
  })
})

function fail(client: string, code: string, octets = 5): void {
  const socket = Object.assign(new PassThrough(), { remoteAddress: client, bytesRead: 0 }) as unknown as Socket
  handshakes.began(socket)
  Object.assign(socket, { bytesRead: octets, remoteAddress: undefined })
  handshakes.failed({ _parent: socket } as unknown as TLSSocket, Object.assign(new Error('secret'), { code }))
}

/** A minute later. */
function pass(): void {
  for (const run of due.splice(0)) run()
}

describe('the log', () => {
  it('has the first failure for a reason at once, and the rest of a minute as one', () => {
    fail('192.0.2.1', 'ERR_SSL_HTTP_REQUEST')
    fail('192.0.2.2', 'ERR_SSL_HTTP_REQUEST')
    fail('192.0.2.3', 'ERR_SSL_HTTP_REQUEST')
    expect(said).toEqual([{ reason: 'not_tls', failures: 1, client: '192.0.2.1' }])
    pass()
    expect(said.slice(1)).toEqual([{ reason: 'not_tls', failures: 2, client: '192.0.2.3' }])
    pass()
    fail('192.0.2.4', 'ERR_SSL_HTTP_REQUEST')
    expect(said.slice(2)).toEqual([{ reason: 'not_tls', failures: 1, client: '192.0.2.4' }])
    expect(counted).toEqual(['not_tls', 'not_tls', 'not_tls', 'not_tls'])
  })

  it('stays as long however many come, for each reason by itself', () => {
    for (let count = 0; count < 1000; count += 1) {
      fail('192.0.2.1', 'ERR_SSL_NO_SHARED_CIPHER')
      fail('2001:db8::1', 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA')
    }
    pass()
    expect(said).toEqual([
      { reason: 'cipher', failures: 1, client: '192.0.2.1' },
      { reason: 'certificate', failures: 1, client: '2001:db8::1' },
      { reason: 'cipher', failures: 999, client: '192.0.2.1' },
      { reason: 'certificate', failures: 999, client: '2001:db8::1' },
    ])
  })
})

describe('the reason', () => {
  it.each([
    ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', 'certificate'],
    ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN', 'certificate'],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'alert'],
    ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'alert'],
    ['ERR_SSL_UNEXPECTED_MESSAGE', 'other'],
    ['ERR_SSL_SOMETHING_NEW', 'other'],
    ['', 'other'],
    ['EPIPE', 'closed'],
  ])('of %s is %s', (code, reason) => {
    fail('192.0.2.1', code)
    expect(counted).toEqual([reason])
  })

  it('is none where no octet of a handshake came', () => {
    fail('192.0.2.1', 'ECONNRESET', 0)
    expect([counted, said, due]).toEqual([[], [], []])
  })
})
