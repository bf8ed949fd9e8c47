import { randomBytes } from 'node:crypto'
import { treeCpuSeconds } from '../rig/programs.ts'
import { startGateway } from '../rig/subjects.ts'
import type { Rig } from '../rig/rig.ts'
import type { Effort, Table } from '../scenarios.ts'
import type { LoginLoad } from '../support/login-load.ts'
import type { Timing } from '../support/latencies.ts'
import { ask } from '../support/processes.ts'
import { median, round2 } from '../support/results.ts'

const SECONDS = 4
/** As many people log in at once, each with an account of their own. */
const PEOPLE = 8

/** `POST /auth/login` with embedded storage: hashing the password is most of it, which is meant to take long. */
export async function login(rig: Rig, { rounds, seconds = SECONDS }: Effort): Promise<Table> {
  const gateway = await startGateway(rig, { sections: 'tenants: { default: { sessionsPerUser: 10000 } }\n' })
  const origin = `http://127.0.0.1:${gateway.port}`
  const bodies = Array.from({ length: PEOPLE }, (_, index) =>
    JSON.stringify({ email: `person-${index}@example.com`, password: randomBytes(12).toString('base64url') }),
  )
  for (const body of bodies) {
    const response = await fetch(`${origin}/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    if (!response.ok) throw new Error(`register: ${response.status}`)
  }
  const measured: (Timing & { readonly cpuMicros: number })[] = []
  for (let round = 0; round <= rounds; round += 1) {
    const before = treeCpuSeconds(gateway.pid)
    const timing = await ask<Timing>(1, 'login-load.ts', {
      origin,
      bodies,
      seconds: round === 0 ? 1 : seconds,
    } satisfies LoginLoad)
    const cpuMicros = ((treeCpuSeconds(gateway.pid) - before) * 1e6) / timing.requests
    // Round 0 warms up and is thrown away.
    if (round > 0) measured.push({ ...timing, cpuMicros })
  }
  const of = (read: (one: Timing & { readonly cpuMicros: number }) => number): number => round2(median(measured.map(read)))
  return {
    login: {
      atOnce: PEOPLE,
      perSecond: of((one) => one.requestsPerSecond),
      p50Ms: of((one) => one.p50Ms),
      p99Ms: of((one) => one.p99Ms),
      cpuMicros: of((one) => one.cpuMicros),
    },
  }
}
