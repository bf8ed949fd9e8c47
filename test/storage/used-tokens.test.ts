/** Uses of tokens on embedded storage, beyond the contract. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openEmbedded, type Embedded } from '../../src/storage/embedded/embedded.ts'
import { NOW } from './contract.ts'

const clock = { now: NOW }
let directory = ''
const opened: Embedded[] = []
beforeEach(() => {
  clock.now = NOW
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-used-'))
})
afterEach(() => {
  for (const storage of opened.splice(0)) storage.close()
  rmSync(directory, { recursive: true, force: true })
})

async function open(): Promise<Embedded> {
  const storage = await openEmbedded({ nowSeconds: () => clock.now }, { directory, migrate: true })
  opened.push(storage)
  return storage
}

function use(storage: Embedded, id: string, forSeconds = 100): Promise<boolean> {
  return storage.used.use({ issuer: 'gateway', tenant: 'acme', user: 'usr_1', id, forSeconds })
}

describe('the used tokens of embedded storage', () => {
  test('are those of all processes on the directory', async () => {
    const [one, other] = [await open(), await open()]
    expect([await use(one, 'a'), await use(other, 'a'), await use(other, 'b'), await use(one, 'b')]).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  test('are forgotten an hour after their tokens, more of them by each use than it adds', async () => {
    const storage = await open()
    for (let i = 0; i < 25; i += 1) await use(storage, `old ${i}`)
    await use(storage, 'young', 4_000)
    clock.now = NOW + 100 + 3_600
    const db = new DatabaseSync(join(directory, 'sessions.db'))
    const left = (): unknown => db.prepare('SELECT count(*) AS left FROM used_tokens').get()?.['left']
    await use(storage, 'x')
    expect(left()).toBe(27)
    clock.now += 1
    const counts: unknown[] = []
    for (const id of ['y', 'x', 'z']) {
      await use(storage, id)
      counts.push(left())
    }
    expect(counts).toEqual([18, 8, 4])
    expect(await use(storage, 'young')).toBe(false)
    db.close()
  })

  test('are not to be known while the file cannot be used: refused', async () => {
    const storage = await open()
    storage.close()
    await expect(use(storage, 'a')).rejects.toMatchObject({ kind: 'storage_unavailable' })
  })
})
