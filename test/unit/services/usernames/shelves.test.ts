import { describe, expect, test } from 'vitest'
import { createShelves } from '../../../../src/services/usernames/shelves.ts'

describe('shelves', () => {
  test('share their room: the fullest one makes some, by what is oldest on it', () => {
    const shelves = createShelves<number>(100)
    const [flooded, quiet] = [shelves.add(), shelves.add()]
    quiet.put('ann', 1)
    quiet.put('bob', 2)
    for (let number = 0; number < 98; number += 1) flooded.put(`${number}`, number)
    flooded.put('0', 0)
    expect([quiet.get('ann'), flooded.get('1'), shelves.isFilling()]).toEqual([1, 1, true])
    quiet.put('cyd', 3)
    expect(['ann', 'bob', 'cyd'].map((name) => quiet.get(name))).toEqual([1, 2, 3])
    // A tenth of the 98 is gone; what was put there again is the newest.
    expect(['0', '1', '10', '11', '97'].map((name) => flooded.get(name))).toEqual([0, undefined, undefined, 11, 97])
  })

  test('forget nothing while there is room, and count what is put there again once', () => {
    const shelves = createShelves<number>(10)
    const shelf = shelves.add()
    for (let number = 0; number < 100; number += 1) shelf.put(`${number % 5}`, number)
    expect([shelf.get('0'), shelf.get('4'), shelves.isFilling()]).toEqual([95, 99, false])
  })
})
