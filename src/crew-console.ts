/**
 * The console of a gateway that is several processes: the primary has it, and shows all of them as one.
 *
 * @module
 */
import { createConsole, type Console, type ConsoleNeeds, type ProcessPulse } from './console/console.ts'
import { asSnapshot } from './telemetry/telemetry.ts'
import type { Answered } from './workers/workers.ts'
import { nowMs, schedule } from './world.ts'

export interface CrewConsoleNeeds extends Pick<ConsoleNeeds, 'failed'> {
  /** What each worker says of itself. */
  askAll(timeoutMs: number): Promise<readonly Answered[]>
  /** Of all of them as one. */
  readiness(timeoutMs: number): Promise<unknown>
  upstreams(timeoutMs: number): Promise<unknown>
}

/** Who watches would rather see what there is than wait for a worker that is busy. */
const LOOK_MS = 2_000

export function openCrewConsole({ askAll, readiness, upstreams, failed }: CrewConsoleNeeds): Console {
  return createConsole({
    nowMs,
    schedule,
    pulses: async () => (await askAll(LOOK_MS)).flatMap(({ life, body }) => pulseOf(life, body)),
    async overview() {
      const [how, where] = await Promise.all([readiness(LOOK_MS), upstreams(LOOK_MS)])
      return { readiness: how, upstreams: where }
    },
    failed,
  })
}

function pulseOf(life: number, body: unknown): readonly ProcessPulse[] {
  if (typeof body !== 'object' || body === null || !('metrics' in body) || !('refusals' in body)) return []
  const metrics = asSnapshot(body.metrics)
  const { refusals } = body
  if (metrics === undefined || !Array.isArray(refusals)) return []
  return [{ life, metrics, refusals: refusals.filter(isRefused) }]
}

function isRefused(value: unknown): value is ProcessPulse['refusals'][number] {
  if (typeof value !== 'object' || value === null || !('seq' in value) || !('at' in value)) return false
  return typeof value.seq === 'number' && typeof value.at === 'number'
}
