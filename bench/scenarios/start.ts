import { stopProgram } from '../rig/programs.ts'
import type { Rig } from '../rig/rig.ts'
import { layGateway, type LaidGateway } from '../rig/subjects.ts'
import type { Effort, Table } from '../scenarios.ts'
import { median } from '../support/results.ts'

const TRY_EVERY_MS = 2
const LONGEST_MS = 20_000

/** From the start of the process to its first answer: the very first time, which makes keys and storage, and with what that made. */
export async function start(rig: Rig, { rounds }: Effort): Promise<Table> {
  const gateway = await layGateway(rig)
  const firstMs = await startOnce(gateway)
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) times.push(await startOnce(gateway))
  const milliseconds = (value: number): number => Math.round(value)
  return {
    'the first one': { startMs: milliseconds(firstMs) },
    again: {
      startMs: milliseconds(median(times)),
      least: milliseconds(Math.min(...times)),
      most: milliseconds(Math.max(...times)),
    },
  }
}

async function startOnce({ port, spawn }: LaidGateway): Promise<number> {
  const startedMs = performance.now()
  const child = spawn()
  try {
    while (!(await isAnswered(port))) {
      if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}`)
      if (performance.now() - startedMs > LONGEST_MS) throw new Error('the gateway does not answer')
      await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS))
    }
    return performance.now() - startedMs
  } finally {
    await stopProgram(child)
  }
}

async function isAnswered(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: 'close' } }).catch(() => undefined)
  await response?.body?.cancel()
  return response?.ok === true
}
