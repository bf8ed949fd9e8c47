/**
 * People who type a username: each asks for its beginning, its middle and its end, as a form does.
 *
 *     k6 run -e GATEWAY=http://127.0.0.1:8080 bench/k6/usernames.js
 *
 * PEOPLE is how many type at a time, 1,000 unless it is set. Set `tenants.<id>.throttle.usernames` as high as it goes for the addresses that the load
 * comes from, or most answers are 429, which is counted apart.
 */
import { check, sleep } from 'k6'
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter } from 'k6/metrics'

const GATEWAY = __ENV.GATEWAY || 'http://127.0.0.1:8080'
const BASE = __ENV.BASE || '/usernames'
const PEOPLE = Number(__ENV.PEOPLE || 1000)
/** Between two looks at the server while somebody types, seconds. */
const PAUSE = 0.4

const limited = new Counter('rate_limited')
http.setResponseCallback(http.expectedStatuses(200, 429))

export const options = {
  scenarios: { typing: { executor: 'constant-vus', vus: PEOPLE, duration: __ENV.DURATION || '2m' } },
  thresholds: {
    checks: ['rate>0.999'],
    http_req_failed: ['rate<0.001'],
    http_req_duration: ['p(50)<5', 'p(99)<50'],
  },
}

export default function () {
  const name = `load-${exec.vu.idInTest}-${exec.vu.iterationInScenario}`
  for (const share of [0.5, 0.8, 1]) {
    ask(name.slice(0, Math.max(3, Math.ceil(name.length * share))))
    sleep(PAUSE * (0.5 + Math.random()))
  }
}

function ask(name) {
  const url = `${GATEWAY}${BASE}/${name}/availability`
  const answer = http.get(url, { tags: { name: 'availability' } })
  if (answer.status === 429) {
    limited.add(1)
    return
  }
  check(answer, {
    200: ({ status }) => status === 200,
    'of this name': (one) => one.json('username') === name,
  })
}
