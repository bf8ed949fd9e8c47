/** What every store of known devices does, whatever it is made of. */
import { describe, expect, test } from 'vitest'
import { withBackend } from './contract.ts'
import type { Open } from './contract.ts'

const LIMITS = { most: 8, seconds: 86_400 }
const USER = { tenant: 'acme', user: 'usr_1' }
const id = (index: number): string => index.toString(16).padStart(32, '0')

export function deviceContract(open: Open): void {
  describe('known devices', () => {
    const { backend, clock } = withBackend(open)

    test('are there from their first login on, and remember it', async () => {
      const { devices } = backend()
      const begun = clock.now
      expect(await devices.list(USER, LIMITS)).toEqual([])
      await devices.note(USER, { id: id(1), name: 'Firefox on Linux', lastSeen: begun, country: 'NO' }, LIMITS)
      await devices.note(USER, { id: id(1), name: 'Firefox on Linux', lastSeen: begun + 60 }, LIMITS)
      await devices.note(USER, { id: id(2), name: 'odd: "name"\u0000', lastSeen: begun + 90, country: 'SE' }, LIMITS)
      expect((await devices.list(USER, LIMITS)).toSorted((a, b) => a.lastSeen - b.lastSeen)).toEqual([
        { id: id(1), name: 'Firefox on Linux', firstSeen: begun, lastSeen: begun + 60 },
        { id: id(2), name: 'odd: "name"\u0000', firstSeen: begun + 90, lastSeen: begun + 90, country: 'SE' },
      ])
    })

    test('are those of one user of one tenant', async () => {
      const { devices } = backend()
      const begun = clock.now
      await devices.note(USER, { id: id(1), name: 'curl', lastSeen: begun }, LIMITS)
      const others = [
        { ...USER, user: 'usr_2' },
        { ...USER, tenant: 'beta' },
        { ...USER, user: 'USR_1' },
        { ...USER, user: '{0}:*' },
      ]
      for (const other of others) expect(await devices.list(other, LIMITS)).toEqual([])
    })

    test('are no more than there is room for: the one that was not seen for longest goes', async () => {
      const { devices } = backend()
      const begun = clock.now
      for (let index = 0; index < LIMITS.most + 3; index += 1)
        await devices.note(USER, { id: id(index), name: 'curl', lastSeen: begun + index }, LIMITS)
      await devices.note(USER, { id: id(3), name: 'curl', lastSeen: begun + 100 }, LIMITS)
      await devices.note(USER, { id: id(99), name: 'curl', lastSeen: begun + 101 }, LIMITS)
      const kept = (await devices.list(USER, LIMITS)).map((device) => device.id)
      expect(kept.length).toBe(LIMITS.most)
      expect(kept).toEqual(expect.arrayContaining([id(3), id(5), id(99)]))
      for (const gone of [0, 1, 2, 4]) expect(kept).not.toContain(id(gone))
    })

    test('are forgotten in time', async () => {
      const { devices } = backend()
      const begun = clock.now
      await devices.note(USER, { id: id(1), name: 'curl', lastSeen: begun }, LIMITS)
      await devices.note(USER, { id: id(2), name: 'curl', lastSeen: begun + 5 }, LIMITS)
      clock.now = begun + LIMITS.seconds + 2
      expect((await devices.list(USER, LIMITS)).map((device) => device.id)).toEqual([id(2)])
    })
  })
}
