import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openEmbedded, type Embedded } from '../../../src/storage/embedded/embedded.ts'

let directory: string
let due: (() => void)[] = []
let open: Embedded[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-changes-'))
})
afterEach(() => {
  for (const one of open) one.close()
  open = []
  due = []
  rmSync(directory, { recursive: true, force: true })
})

const nowSeconds = (): number => 1_800_000_000
const ENDING = { reason: 'test', tokensUntil: 1_800_000_900 }

/** Two connections see each other's writes as two processes do. */
async function start(schedule?: (delayMs: number, run: () => void) => () => void): Promise<Embedded> {
  const storage = await openEmbedded({ nowSeconds, ...(schedule && { schedule }) }, { directory, migrate: true })
  open.push(storage)
  return storage
}

function schedule(_delayMs: number, run: () => void): () => void {
  due.push(run)
  return () => {
    due = due.filter((one) => one !== run)
  }
}

/** Lets the time of one look pass. */
function look(): Promise<void> {
  for (const run of due.splice(0)) run()
  return new Promise((resolve) => queueMicrotask(resolve))
}

const revoke = (storage: Embedded, id: string): Promise<void> =>
  storage.sessions.revoke({ kind: 'token', tenant: 'acme', user: 'u1', id }, ENDING)

test('what another process revokes is noticed at the next look, once', async () => {
  const [mine, theirs] = [await start(schedule), await start()]
  let wakes = 0
  mine.log.onAppend(() => (wakes += 1))
  await look()
  expect(wakes).toBe(0)
  await revoke(theirs, 'j1')
  await look()
  await look()
  expect(wakes).toBe(1)
  await revoke(theirs, 'j2')
  await revoke(theirs, 'j3')
  await look()
  await look()
  expect(wakes).toBe(2)
})

test('what another process writes besides wakes nobody', async () => {
  const [mine, theirs] = [await start(schedule), await start()]
  let wakes = 0
  mine.log.onAppend(() => (wakes += 1))
  await theirs.keys.save('tenant:acme', 'sealed', undefined)
  await look()
  expect(wakes).toBe(0)
})

test('nobody looks when nobody listens, nor after the storage is closed', async () => {
  const mine = await start(schedule)
  expect(due).toHaveLength(0)
  const [first, second] = [mine.log.onAppend(() => undefined), mine.log.onAppend(() => undefined)]
  expect(due).toHaveLength(1)
  first()
  expect(due).toHaveLength(1)
  second()
  expect(due).toHaveLength(0)
  mine.log.onAppend(() => undefined)
  mine.close()
  await look()
  expect(due).toHaveLength(1)
})
