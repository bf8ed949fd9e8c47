import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openEmbedded, type Embedded, type EmbeddedNeeds } from '../../../src/storage/embedded/embedded.ts'

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
async function start(schedule?: EmbeddedNeeds['schedule'], neighbours?: EmbeddedNeeds['neighbours']): Promise<Embedded> {
  const needs = { nowSeconds, ...(schedule && { schedule }), ...(neighbours && { neighbours }) }
  const storage = await openEmbedded(needs, { directory, migrate: true })
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

describe('processes that know each other', () => {
  let told = 0
  let tellMine: () => void = () => undefined
  const ofMine = { appended: () => undefined, onAppended: (look: () => void) => void (tellMine = look) }
  const ofTheirs = { appended: () => void (told += 1), onAppended: () => undefined }
  beforeEach(() => {
    told = 0
  })

  test('notice what another revokes before their next look, and at that nothing again', async () => {
    const [mine, theirs] = [await start(schedule, ofMine), await start(undefined, ofTheirs)]
    let wakes = 0
    mine.log.onAppend(() => (wakes += 1))
    await revoke(theirs, 'j1')
    expect(told).toBe(1)
    tellMine()
    await Promise.resolve()
    expect(wakes).toBe(1)
    tellMine()
    await look()
    expect(wakes).toBe(1)
  })

  test('are told of the first at once, and of those right behind it together', async () => {
    const theirs = await start(schedule, ofTheirs)
    await revoke(theirs, 'j1')
    expect(told).toBe(1)
    for (const id of ['j2', 'j3', 'j4']) await revoke(theirs, id)
    expect(told).toBe(1)
    await look()
    expect(told).toBe(2)
    await look()
    await revoke(theirs, 'j5')
    expect(told).toBe(3)
  })

  test('are told nothing of what was revoked already, nor of what they have told themselves', async () => {
    const [mine, theirs] = [await start(schedule, { ...ofMine, appended: ofTheirs.appended }), await start()]
    mine.log.onAppend(() => undefined)
    await revoke(theirs, 'j1')
    tellMine()
    await look()
    expect(told).toBe(0)
  })

  test('mind no news after all have stopped listening', async () => {
    const mine = await start(schedule, ofMine)
    mine.log.onAppend(() => undefined)()
    mine.close()
    expect(tellMine).not.toThrow()
  })
})
