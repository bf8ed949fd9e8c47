/**
 * The set of revocations alone: bytes of an entry, time of a check, and how long a million take from Redis and from the disk.
 *
 * Run by `npm run bench -- replica`.
 */
import { spawn } from 'node:child_process'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { saveResults } from './support/results.ts'

export const REPLICA_NAME = 'replica'

/** Measures, prints a table and writes results/replica.json. */
export async function benchReplica(): Promise<void> {
  const setting = { node: process.version, loadBefore: loadavg() }
  const result: unknown = JSON.parse(await outputOf(join(import.meta.dirname, 'micro', 'revocation.ts')))
  console.table(result)
  saveResults('replica.json', { setting, result })
}

/** On the first core; Redis has the second one. */
function outputOf(script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', '0', process.execPath, '--expose-gc', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`${script} ended with ${code}`))))
  })
}
