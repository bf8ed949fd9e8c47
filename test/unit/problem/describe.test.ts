import { describe, expect, it } from 'vitest'
import { describeProblem, Problem, PROBLEMS, type ProblemFacts, type ProblemKind } from '../../../src/problem/problem.ts'

const ID = 'e504b731-dfd5-4dec-855f-da563a8cae9b'
const KINDS = Object.keys(PROBLEMS) as ProblemKind[]

function bodyOf(kind: ProblemKind, id: string, facts: ProblemFacts = {}): unknown {
  return JSON.parse(describeProblem(new Problem(kind, facts), id).body)
}

describe('the answer for a problem', () => {
  it.each(KINDS)('says all of its row, under the id of the request, in as many octets as it announces: %s', (kind) => {
    const { status, error, title, description } = PROBLEMS[kind]
    const answer = describeProblem(new Problem(kind), ID)
    expect(answer).toMatchObject({
      status,
      headers: {
        'content-type': 'application/problem+json',
        'content-length': String(Buffer.byteLength(answer.body)),
        'cache-control': 'no-store',
        'x-request-id': ID,
      },
    })
    expect(JSON.parse(answer.body)).toEqual({
      type: `urn:gatehouse:problem:${kind}`,
      title,
      status,
      detail: description,
      instance: `urn:gatehouse:request:${ID}`,
      error,
      error_description: description,
      request_id: ID,
    })
    expect(Object.hasOwn(answer.headers, 'www-authenticate')).toBe(status === 401 || status === 403)
  })

  it('is written as what it is: ASCII as Latin-1, all else as UTF-8', () => {
    for (const kind of KINDS) {
      const { body, encoding } = describeProblem(new Problem(kind), ID)
      expect([kind, Buffer.from(body, encoding).toString('utf8')]).toEqual([kind, body])
    }
    expect(describeProblem(new Problem('rate_limited'), ID).encoding).toBe('latin1')
    expect(describeProblem(new Problem('invalid_signature'), ID).encoding).toBe('utf8')
    const { body, encoding } = describeProblem(new Problem('invalid_request', { description: 'für dich’ ✓' }), ID)
    expect(Buffer.from(body, encoding).toString('utf8')).toBe(body)
  })

  it.each(['"', '\\', '\n', 'ä', 'a b', 'request-id-goes-here', '', 'x'.repeat(200)])('keeps an odd id what it is: %j', (id) => {
    expect(bodyOf('no_route', id)).toMatchObject({ request_id: id, instance: `urn:gatehouse:request:${id}` })
    const { body, headers } = describeProblem(new Problem('no_route'), id)
    expect(headers['content-length']).toBe(String(Buffer.byteLength(body)))
  })

  it('has what is particular to a case, and leaves nothing of it to the next one', () => {
    const facts = {
      description: 'Send less.',
      fields: [{ field: 'email', message: 'is required' }],
      suggestions: ['ada_1'],
      headers: { 'retry-after': '3' },
    }
    const particular = describeProblem(new Problem('invalid_request', facts), ID)
    expect(particular.headers['retry-after']).toBe('3')
    expect(JSON.parse(particular.body)).toMatchObject({
      detail: 'Send less.',
      error_description: 'Send less.',
      fields: facts.fields,
      suggestions: facts.suggestions,
    })
    const plain = describeProblem(new Problem('invalid_request'), ID)
    expect(plain.headers).not.toHaveProperty('retry-after')
    expect(Object.keys(JSON.parse(plain.body) as object)).not.toContain('fields')
  })

  it('has the challenge of its row with what it asks for', () => {
    const challengeOf = (kind: ProblemKind, facts: ProblemFacts = {}) =>
      describeProblem(new Problem(kind, facts), ID).headers['www-authenticate']
    expect(challengeOf('unauthorized')).toBe('Bearer realm="gatehouse"')
    expect(challengeOf('insufficient_scope', { scope: 'a b' })).toBe(
      'Bearer realm="gatehouse", error="insufficient_scope", error_description="The access token lacks a scope that this resource needs.", scope="a b"',
    )
    expect(challengeOf('authentication_too_old', { maxAgeSeconds: 60 })).toMatch(/, max_age=60$/)
    expect(challengeOf('invalid_signature')).toMatch(/issuer's key/)
    expect(challengeOf('access_denied', { description: 'not "you"' })).toMatch(/error_description="not 'you'"$/)
  })
})
