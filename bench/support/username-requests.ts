/** Checks as they go over the wire, made before the first is sent: whoever measures has nothing left to do then but to send them. */
import { createWishes, type Expected } from './username-names.ts'

export interface Requests {
  readonly count: number
  /** The octets of a request, in the order in which they are asked for; after the last the first again. */
  octets(index: number): Buffer
  expected(index: number): Expected
}

const EXPECTED: readonly Expected[] = ['free', 'taken', 'unknown']
/** Of a request, its host apart: the longest name has 30 characters. */
const LONGEST = 100

export function createRequests(random: () => number, host: string, count: number): Requests {
  const wish = createWishes(random)
  const all = Buffer.allocUnsafeSlow(count * (LONGEST + host.length))
  const ends = new Uint32Array(count + 1)
  const expectations = new Uint8Array(count)
  for (let index = 0; index < count; index += 1) {
    const { name, expected } = wish()
    const start = ends[index] ?? 0
    const text = `GET /usernames/${name}/availability HTTP/1.1\r\nhost: ${host}\r\naccept: application/json\r\n\r\n`
    ends[index + 1] = start + all.write(text, start, 'latin1')
    expectations[index] = EXPECTED.indexOf(expected)
  }
  return {
    count,
    octets: (index) => all.subarray(ends[index % count], ends[(index % count) + 1]),
    expected: (index) => EXPECTED[expectations[index % count] ?? 0] ?? 'unknown',
  }
}
