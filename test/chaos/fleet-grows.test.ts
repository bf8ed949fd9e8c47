/** Nothing is broken: gateways join others, and no request cares which of them it meets. */
import { expect, it } from 'vitest'
import { suffer, SUFFER_LIMIT_MS, type Fault } from './break.ts'
import { recordRows } from './matrix.ts'

const GROWTH: Fault = {
  name: 'none: two gateways join one under load',
  seen: 'nothing',
  gateways: 'none',
  startWith: 1,
  endsGoOn: true,
  async begin(rig) {
    await rig.add()
    await rig.add()
  },
  end: async () => undefined,
}

it(
  'one gateway becomes three while requests go round: what is good is let in at each, what is revoked at none',
  async () => {
    const row = await suffer(GROWTH)
    recordRows('redis', [row])
    expect(row).toMatchObject({ wrongAccepts: 0, goodFailed: 0 })
  },
  SUFFER_LIMIT_MS,
)
