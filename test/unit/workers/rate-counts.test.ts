import { describe, expect, it } from 'vitest'
import { createCounts, type Charged } from '../../../src/quota/quota.ts'
import { createRemoteCounts, rateHandlers } from '../../../src/rate-counts.ts'
import { createWire, type Wire } from '../../../src/workers/workers.ts'

const CHARGE: Charged = { route: 'r', policy: 'ip', caller: 'ip:192.0.2.1', intervalUs: 1_000_000, spanUs: 3_000_000 }

/** Counts of a primary and what a worker has of them, with JSON between them. */
function pair(): { readonly worker: ReturnType<typeof createRemoteCounts>; readonly wire: Wire; time(ms: number): void } {
  let nowMs = 1_000
  const counts = createCounts({ monotonicMs: () => nowMs, seed: [1, 2] }, 1_024)
  const schedule = () => () => undefined
  const pass = (to: () => Wire) => (message: unknown) => to().receive(JSON.parse(JSON.stringify(message)))
  const primary: Wire = createWire({ send: pass(() => wire), schedule }, rateHandlers(counts))
  const wire: Wire = createWire({ send: pass(() => primary), schedule }, {})
  return { worker: createRemoteCounts(wire), wire, time: (ms) => void (nowMs += ms) }
}

describe('the counts of the primary, asked by a worker', () => {
  it('are those of one process', async () => {
    const { worker, time } = pair()
    const taken = await Promise.all(Array.from({ length: 5 }, () => worker.take(0, [CHARGE])))
    expect(taken).toEqual([
      { isAdmitted: true, debtsUs: [1_000_000] },
      { isAdmitted: true, debtsUs: [2_000_000] },
      { isAdmitted: true, debtsUs: [3_000_000] },
      { isAdmitted: false, debtsUs: [3_000_000] },
      { isAdmitted: false, debtsUs: [3_000_000] },
    ])
    time(1_000)
    expect(await worker.take(0, [CHARGE])).toEqual({ isAdmitted: true, debtsUs: [3_000_000] })
  })

  it('take from all limits or from none, and tell routes, limits and callers apart', async () => {
    const { worker } = pair()
    const wide = { ...CHARGE, policy: 'tenant', caller: 'tenant:acme', spanUs: 4_000_000 }
    for (let number = 0; number < 6; number += 1) await worker.take(0, [CHARGE, wide])
    expect(await worker.take(0, [wide])).toEqual({ isAdmitted: true, debtsUs: [4_000_000] })
    for (const other of [{ route: 's' }, { policy: 'ip-2' }, { caller: 'ip:192.0.2.2' }]) {
      expect(await worker.take(0, [{ ...CHARGE, ...other }])).toEqual({ isAdmitted: true, debtsUs: [1_000_000] })
    }
  })

  it('say whether they are there, and reject when they are not', async () => {
    const { worker, wire } = pair()
    expect(await worker.look(0)).toBe(true)
    wire.cut()
    await expect(worker.take(0, [CHARGE])).rejects.toThrow('nobody is there')
    await expect(worker.look(0)).rejects.toThrow('nobody is there')
  })

  it('reject a question that is none', async () => {
    const { wire } = pair()
    await expect(wire.ask('count request', [{ ...CHARGE, spanUs: 'much' }], 1_000)).rejects.toThrow('failed to answer')
  })
})
