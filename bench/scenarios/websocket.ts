import { treeCpuSeconds } from '../rig/programs.ts'
import { startGateway } from '../rig/subjects.ts'
import type { Rig } from '../rig/rig.ts'
import type { Effort, Table } from '../scenarios.ts'
import { answers, ask, ended, freePort, pinned } from '../support/processes.ts'
import { median, round2 } from '../support/results.ts'
import type { WebSocketLoad, WebSocketResult } from '../support/websocket-load.ts'

const SECONDS = 4
const CONNECTIONS = 64
const BYTES = 128

/** Messages that 64 WebSockets send and hear back, each its next one when it has heard the last: alone and through the gateway in turns. */
export async function websocket(rig: Rig, { rounds, seconds = SECONDS }: Effort): Promise<Table> {
  const echoPort = await freePort()
  const echo = pinned(1, ['websocket-upstream.ts', String(echoPort)])
  rig.onStop(() => ended(echo))
  await answers(`http://127.0.0.1:${echoPort}/`)
  const gateway = await startGateway(rig, {
    upstreams: `  sockets: { targets: [http://127.0.0.1:${echoPort}] }\n`,
    routes: '  - { name: sockets, match: { path: /sockets }, auth: required, websocket: true, upstream: sockets }\n',
  })
  const ways = {
    direct: { url: `ws://127.0.0.1:${echoPort}/sockets`, pid: echo.pid ?? 0 },
    gateway: { url: `ws://127.0.0.1:${gateway.port}/sockets`, pid: gateway.pid },
  } as const
  const rates = { direct: [] as number[], gateway: [] as number[] }
  const micros = { direct: [] as number[], gateway: [] as number[] }
  for (let round = 0; round <= rounds; round += 1) {
    for (const way of ['direct', 'gateway'] as const) {
      const { url, pid } = ways[way]
      const before = treeCpuSeconds(pid)
      const load: WebSocketLoad = {
        url,
        token: rig.token,
        connections: CONNECTIONS,
        bytes: BYTES,
        seconds: round === 0 ? 1 : seconds,
      }
      const { messages, perSecond } = await ask<WebSocketResult>(1, 'websocket-load.ts', load)
      // Round 0 warms up and is thrown away.
      if (round === 0) continue
      rates[way].push(perSecond)
      micros[way].push(((treeCpuSeconds(pid) - before) * 1e6) / messages)
    }
  }
  const row = (way: 'direct' | 'gateway') => ({
    messagesPerSecond: Math.round(median(rates[way])),
    least: Math.round(Math.min(...rates[way])),
    most: Math.round(Math.max(...rates[way])),
    cpuMicros: round2(median(micros[way])),
  })
  return { direct: row('direct'), gateway: row('gateway') }
}
