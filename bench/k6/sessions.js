/**
 * 10,000 and more sessions at once: each virtual user begins one, asks with its token and refreshes it.
 *
 *     k6 run -e GATEWAY=http://127.0.0.1:8080 -e CLIENT=load -e SECRET=… -e TENANT=default bench/k6/sessions.js
 *
 * CLIENT is a client of `gateway.yaml` with the scope `sessions:write`, for TENANT. SESSIONS is 10,000 unless it is set, ROUTE is a route that
 * needs a token, `/api/` unless it is set.
 */
import { check, fail, sleep } from 'k6'
import { b64encode } from 'k6/encoding'
import exec from 'k6/execution'
import http from 'k6/http'

const GATEWAY = __ENV.GATEWAY || 'http://127.0.0.1:8080'
const SESSIONS = Number(__ENV.SESSIONS || 10000)
const TENANT = __ENV.TENANT || 'default'
const ROUTE = __ENV.ROUTE || '/api/'
const RAMP = __ENV.RAMP || '2m'
const HOLD = __ENV.HOLD || '5m'
/** Between two requests of a session, seconds. */
const PAUSE = Number(__ENV.PAUSE || 10)
/** Requests between two refreshes. */
const ASKED_BETWEEN = 5

export const options = {
  scenarios: {
    sessions: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: [
        { duration: RAMP, target: SESSIONS },
        { duration: HOLD, target: SESSIONS },
        { duration: RAMP, target: 0 },
      ],
      gracefulRampDown: '30s',
    },
  },
  thresholds: {
    checks: ['rate>0.999'],
    'http_req_duration{step:ask}': ['p(99)<100'],
    'http_req_duration{step:refresh}': ['p(99)<500'],
  },
}

const json = { 'content-type': 'application/json' }
/** Of the virtual user: each has variables of its own. */
let session
let asked = 0

export default function () {
  if (session === undefined) session = begin()
  const answer = http.get(GATEWAY + ROUTE, { headers: { authorization: `Bearer ${session.access}` }, tags: { step: 'ask' } })
  check(answer, { 'asked with a token: 200': ({ status }) => status === 200 })
  asked += 1
  if (asked % ASKED_BETWEEN === 0) session = refresh(session)
  sleep(PAUSE * (0.5 + Math.random()))
}

function begin() {
  const authorization = `Basic ${b64encode(`${__ENV.CLIENT}:${__ENV.SECRET}`)}`
  const body = JSON.stringify({ tenant_id: TENANT, user_id: `load-${exec.vu.idInTest}` })
  const answer = http.post(`${GATEWAY}/sessions`, body, { headers: { ...json, authorization }, tags: { step: 'begin' } })
  return pairOf(answer, 201, 'begun')
}

function refresh({ token }) {
  const body = JSON.stringify({ refresh_token: token, tenant_id: TENANT })
  return pairOf(http.post(`${GATEWAY}/sessions/refresh`, body, { headers: json, tags: { step: 'refresh' } }), 200, 'refreshed')
}

function pairOf(answer, status, what) {
  const right = check(answer, { [`${what}: ${status}`]: (one) => one.status === status })
  if (!right) fail(`${what}: ${answer.status}`)
  const { access_token: access, refresh_token: token } = answer.json()
  return { access, token }
}
