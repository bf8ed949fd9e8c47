/**
 * A protected route at a fixed rate, whatever becomes of the requests before: latency, and whether the rate is kept.
 *
 *     k6 run -e GATEWAY=http://127.0.0.1:8080 -e TOKENS=tokens.txt bench/k6/protected-route.js
 *
 * TOKENS is a file with an access token in each line; each is sent in turn. RATE is requests a second, 5,000 unless it is set.
 */
import { check } from 'k6'
import { SharedArray } from 'k6/data'
import exec from 'k6/execution'
import http from 'k6/http'

const GATEWAY = __ENV.GATEWAY || 'http://127.0.0.1:8080'
const ROUTE = __ENV.ROUTE || '/api/'
const RATE = Number(__ENV.RATE || 5000)

/** One copy for all virtual users. */
const tokens = new SharedArray('tokens', () =>
  open(__ENV.TOKENS || './tokens.txt')
    .trim()
    .split('\n'),
)

export const options = {
  discardResponseBodies: true,
  scenarios: {
    asked: {
      executor: 'constant-arrival-rate',
      rate: RATE,
      timeUnit: '1s',
      duration: __ENV.DURATION || '5m',
      preAllocatedVUs: 200,
      maxVUs: 2000,
    },
  },
  thresholds: {
    checks: ['rate>0.999'],
    dropped_iterations: ['count<100'],
    http_req_duration: ['p(50)<5', 'p(99)<50'],
  },
}

export default function () {
  const token = tokens[exec.scenario.iterationInTest % tokens.length]
  const answer = http.get(GATEWAY + ROUTE, { headers: { authorization: `Bearer ${token}` } })
  check(answer, { 200: ({ status }) => status === 200 })
}

/** Before the load: without a token the route is closed. */
export function setup() {
  const answer = http.get(GATEWAY + ROUTE)
  if (answer.status !== 401) throw new Error(`without a token: ${answer.status}, and not 401`)
}
