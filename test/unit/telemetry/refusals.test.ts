import { expect, it } from 'vitest'
import { Problem, PROBLEMS } from '../../../src/problem/problem.ts'
import { createRefusals } from '../../../src/telemetry/refusals.ts'
import type { RequestRecord } from '../../../src/telemetry/record.ts'

const ARRIVED: RequestRecord['exchange'] = {
  id: 'r-1',
  method: 'GET',
  target: '/orders/1?access_token=secret',
  host: 'api.example.com',
  authority: 'api.example.com',
  rawHeaders: ['authorization', 'Bearer eyJsecret'],
  peer: '10.0.0.1',
  trusted: false,
  client: '203.0.113.7',
  scheme: 'http',
  upgrade: false,
  bodyLength: 0,
  expectsContinue: false,
  startedMs: 0,
} as unknown as RequestRecord['exchange']

function record(
  facts: Record<string, unknown> = {},
  problem = new Problem('unauthorized', { detail: 'no_token' }),
): RequestRecord {
  const exchange = { ...ARRIVED, ...facts } as RequestRecord['exchange']
  return {
    exchange,
    problem,
    status: problem.status,
    announced: undefined,
    bytesIn: 0,
    bytesOut: 0,
    upstream: undefined,
    upstreamMs: 0,
    aborted: false,
    ended: undefined,
    isClosed: false,
  }
}

it('says of a refused request what is known of it, and nothing of its query or its headers', () => {
  const refusals = createRefusals()
  refusals.add(record(), 401, 1000)
  const route = { name: 'orders' }
  const principal = { kind: 'identified', user: 'ada', tenant: 'acme' }
  refusals.add(record({ route, path: '/orders/1', principal }, new Problem('insufficient_scope')), 403, 2000)
  expect(refusals.take()).toEqual([
    {
      seq: 1,
      at: 1000,
      request_id: 'r-1',
      method: 'GET',
      host: 'api.example.com',
      path: '/orders/1',
      route: 'none',
      client: '203.0.113.7',
      status: 401,
      error: 'unauthorized',
      problem: 'unauthorized',
      description: 'Send an access token: Authorization: Bearer <token>.',
      detail: 'no_token',
    },
    {
      seq: 2,
      at: 2000,
      request_id: 'r-1',
      method: 'GET',
      host: 'api.example.com',
      path: '/orders/1',
      route: 'orders',
      tenant: 'acme',
      user: 'ada',
      client: '203.0.113.7',
      status: 403,
      error: 'insufficient_scope',
      problem: 'insufficient_scope',
      description: PROBLEMS.insufficient_scope.description,
    },
  ])
})

it('gives each once, and of a flood the last 200', () => {
  const refusals = createRefusals()
  for (let number = 1; number <= 1000; number += 1) refusals.add(record(), 401, number)
  const first = refusals.take()
  expect([first.length, first[0]?.at, first.at(-1)?.at]).toEqual([200, 801, 1000])
  expect(refusals.take()).toEqual([])
  refusals.add(record(), 401, 1001)
  expect(refusals.take().map(({ seq }) => seq)).toEqual([1001])
})

it('masks what looks like a token wherever a client may put one, and cuts what is long', () => {
  const refusals = createRefusals()
  const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl'
  refusals.add(record({ path: `/files/${token}/x`, host: `${token}.example.com` }), 401, 1)
  refusals.add(record({ target: `/${'a'.repeat(5000)}` }), 414, 2)
  refusals.add(record({ target: `/${'a'.repeat(240)}${token}` }), 414, 3)
  const [masked, long, split] = refusals.take()
  expect([masked?.path, masked?.host]).toEqual(['/files/[jwt]/x', '[jwt]'])
  expect(long?.path).toHaveLength(256)
  expect(split?.path).not.toContain('eyJ')
})
