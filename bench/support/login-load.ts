/** People who log in, each again when they are in: reads a LoginLoad from standard input and writes a Timing to standard output. */
import { readFileSync } from 'node:fs'
import { Client } from 'undici'
import { createTurns, timingOf } from './latencies.ts'

export interface LoginLoad {
  readonly origin: string
  /** Of each person. */
  readonly bodies: readonly string[]
  readonly seconds: number
}

const load = JSON.parse(readFileSync(0, 'utf8')) as LoginLoad
const turns = createTurns({ seconds: load.seconds })
const latencies: number[] = []
await Promise.all(load.bodies.map(logIn))
process.stdout.write(JSON.stringify(timingOf(latencies, turns.elapsedSeconds())))

async function logIn(body: string): Promise<void> {
  const client = new Client(load.origin)
  const headers = { 'content-type': 'application/json' }
  for (let turn = await turns.next(); turn !== undefined; turn = await turns.next()) {
    const answer = await client.request({ method: 'POST', path: '/auth/login', headers, body })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`login: ${answer.statusCode} ${text}`)
    latencies.push(performance.now() - turn.fromMs)
  }
  await client.close()
}
