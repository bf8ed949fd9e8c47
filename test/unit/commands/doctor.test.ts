import { expect, test } from 'vitest'
import { judge } from '../../../src/check-up/redis.ts'

const GOOD = {
  server: '10.0.0.5:6379',
  version: '7.2.4',
  aof: true,
  evicts: 'noeviction',
  maxMemory: 0,
  replicas: 1,
  needsReplicas: false,
  aheadMs: 3,
}

/** What is not well. */
function complaints(changes: Partial<typeof GOOD>): string[] {
  return judge({ ...GOOD, ...changes }).flatMap(({ level, check }) => (level === 'ok' ? [] : [`${level} ${check}`]))
}

test('a server that keeps what it is told has no complaint', () => {
  expect(complaints({})).toEqual([])
  expect(complaints({ version: '8.0.0', maxMemory: 64 * 1024 * 1024, needsReplicas: true })).toEqual([])
})

test.each([
  [{ version: '6.2.14' }, ['fail redis version']],
  [{ version: 'unknown' }, ['fail redis version']],
  [{ aof: false }, ['fail redis persistence']],
  [{ evicts: 'volatile-lru' }, ['fail redis memory']],
  [{ replicas: 0 }, ['warn redis replicas']],
  [{ aheadMs: 700 }, ['warn clock']],
  [{ aheadMs: -700 }, ['warn clock']],
  [{ aheadMs: 2_500 }, ['fail clock']],
  [{ aheadMs: -2_500 }, ['fail clock']],
])('%j is told', (changes, told) => {
  expect(complaints(changes)).toEqual(told)
})

test('each that is not well says what to do, and names the server', () => {
  const all = judge({ ...GOOD, version: '6', aof: false, evicts: 'allkeys-lru', replicas: 0, aheadMs: 9_000 })
  expect(all.every(({ what, advice }) => what.startsWith('10.0.0.5:6379: ') && advice !== undefined)).toBe(true)
})
