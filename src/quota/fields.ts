import { Problem } from '../problem/problem.ts'
import type { Charge, Owed } from './meters.ts'

/** `ratelimit` and `ratelimit-policy` (draft-ietf-httpapi-ratelimit-headers-11): all limits of the request. */
export const [REMAINING, POLICY] = ['ratelimit', 'ratelimit-policy']

/** What is left of each limit, and the seconds until all of it is there again. */
export function remainingOf(charges: readonly Charge[]): string {
  let text = ''
  for (const { meter, debtUs, intervalUs, spanUs } of charges) {
    const left = Math.max(0, Math.floor((spanUs - debtUs) / intervalUs))
    if (text !== '') text += ', '
    text += meter.remaining + left + ';t=' + Math.ceil(debtUs / 1_000_000)
  }
  return text
}

export function policyOf(charges: readonly Charge[]): string {
  const [first] = charges
  if (charges.length === 1 && first !== undefined) return first.meter.field
  return charges.map(({ meter }) => meter.field).join(', ')
}

/** Whether the limit has no room for the request. */
export function isSpent(charge: Owed): boolean {
  return waitUs(charge) > 0
}

/** The limit that is waited for longest. */
export function fullest(charges: readonly Charge[]): Charge {
  return charges.reduce((longest, charge) => (waitUs(charge) > waitUs(longest) ? charge : longest))
}

export function refusal(charges: readonly Charge[], full: Charge): Problem {
  return new Problem('rate_limited', {
    detail: `the limit ${full.meter.policy} of the route`,
    headers: {
      'retry-after': String(Math.max(1, Math.ceil(waitUs(full) / 1_000_000))),
      [REMAINING]: remainingOf(charges),
      [POLICY]: policyOf(charges),
    },
  })
}

/** Microseconds until the limit has room for the request; not above 0: it has. */
function waitUs({ debtUs, intervalUs, spanUs }: Owed): number {
  return debtUs + intervalUs - spanUs
}
