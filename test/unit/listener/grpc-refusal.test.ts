import { describe, expect, it } from 'vitest'
import { grpcFields } from '../../../src/listener/grpc-refusal.ts'
import { isGrpc } from '../../../src/exchange/exchange.ts'
import { Problem, PROBLEMS, type ProblemKind } from '../../../src/problem/problem.ts'

describe('a refusal as gRPC has it', () => {
  it('has a status, a message, the stable code, and what else it says in fields', () => {
    expect(grpcFields(new Problem('token_expired'), 'r1')).toEqual({
      'content-type': 'application/grpc',
      'cache-control': 'no-store',
      'x-request-id': 'r1',
      'www-authenticate': expect.stringMatching(/^Bearer .*error="invalid_token"/) as string,
      'grpc-status': '16',
      'grpc-message': 'The access token has expired. Refresh it or log in again.',
      'x-gatehouse-error': 'token_expired',
    })
  })

  it.each([
    ['invalid_request', '13'],
    ['unauthorized', '16'],
    ['insufficient_scope', '7'],
    ['no_route', '12'],
    ['rate_limited', '14'],
    ['payload_too_large', '2'],
    ['internal_error', '2'],
    ['upstream_unreachable', '14'],
    ['overloaded', '14'],
    ['upstream_timeout', '14'],
  ] as const)('%s is %s', (kind, status) => {
    expect(grpcFields(new Problem(kind), 'r')['grpc-status']).toBe(status)
  })

  it('has a status and a message that fits on a line, whatever it is', () => {
    for (const kind of Object.keys(PROBLEMS)) {
      const fields = grpcFields(new Problem(kind as ProblemKind), 'r')
      expect(fields['grpc-status']).toMatch(/^(?:2|7|1[2-6])$/)
      expect(fields['grpc-message']).toMatch(/^[\x20-\x7e]+$/)
    }
  })

  it('percent-encodes what is not visible ASCII, and the percent sign', () => {
    const problem = new Problem('invalid_request', { description: '100 % gr\u00fcn \ud83d\n' })
    expect(grpcFields(problem, 'r')['grpc-message']).toBe('100 %25 gr%C3%BCn %EF%BF%BD%0A')
  })
})

it.each([
  ['application/grpc', true],
  ['application/grpc+json', true],
  ['application/grpc;x=1', true],
  ['application/grpcx', false],
  ['application/grpc-web+proto', false],
  [undefined, false],
  [['application/grpc'], false],
])('%s is gRPC: %s', (type, expected) => {
  expect(isGrpc(type)).toBe(expected)
})
