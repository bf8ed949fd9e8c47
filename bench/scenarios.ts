/**
 * Scenarios that are no comparison of maximum throughput, each on a rig of its own.
 *
 *     npm run bench -- acceptance latency websocket login memory start [--seconds 5 --rounds 5]
 *
 * Run by bench/run.ts. Prints tables and writes bench/results/scenarios.json, where scenarios that did not run stay as they were taken.
 */
import { machine } from './requests.ts'
import { startRig, type Rig } from './rig/rig.ts'
import { acceptance } from './scenarios/acceptance.ts'
import { latency } from './scenarios/latency.ts'
import { login } from './scenarios/login.ts'
import { memory } from './scenarios/memory.ts'
import { start } from './scenarios/start.ts'
import { websocket } from './scenarios/websocket.ts'
import { saveTables } from './support/results.ts'

export interface Effort {
  readonly rounds: number
  /** Of each measurement; where it is not set each scenario has its own. */
  readonly seconds?: number
}

/** What is measured, by its place in a table: rows of figures. */
export type Table = Readonly<Record<string, Readonly<Record<string, number | string>>>>

const SCENARIOS: Readonly<Record<string, (rig: Rig, effort: Effort) => Promise<Table>>> = {
  acceptance,
  latency,
  websocket,
  login,
  memory,
  start,
}

export const SCENARIOS_FILE = 'scenarios.json'
export const SCENARIO_NAMES: readonly string[] = Object.keys(SCENARIOS)

/** @param names - of {@link SCENARIO_NAMES} */
export async function benchScenarios(names: readonly string[], effort: Effort): Promise<void> {
  for (const name of names) {
    const run = SCENARIOS[name]
    if (run === undefined) continue
    const setting = { ...machine(), ...effort }
    console.error(name)
    const rig = await startRig()
    try {
      const rows = await run(rig, effort)
      console.table(rows)
      saveTables(SCENARIOS_FILE, { [name]: { setting, rows } })
    } finally {
      await rig.stop()
    }
  }
}
