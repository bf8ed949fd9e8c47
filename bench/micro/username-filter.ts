/**
 * The filter of usernames alone, in a process of its own with `--expose-gc`: what a million names take, how many others it has
 * by mistake, and what a check takes. Writes one JSON object to its standard output.
 */
import { createFilter, createNameHash } from '../../src/services/usernames/filter.ts'
import { createRandom, freeName, TAKEN_NAMES, takenName } from '../support/username-names.ts'
import { median, round2 } from '../support/results.ts'

const OTHERS = 1_000_000
const ROUNDS = 5

const random = createRandom(7)
const taken = Array.from({ length: TAKEN_NAMES }, (_, index) => takenName(index))
const others = [...new Set(Array.from({ length: OTHERS * 1.05 }, () => freeName(random)))].slice(0, OTHERS)
const hash = createNameHash(Math.floor(Math.random() * 2 ** 32) | 0)
const words = new Uint32Array(2)
globalThis.gc?.()
const before = process.memoryUsage().arrayBuffers
const filter = createFilter(TAKEN_NAMES)
globalThis.gc?.()
const grown = process.memoryUsage().arrayBuffers - before
const addNs = nanoseconds(taken, (one, two) => filter.add(one, two))
const missed = TAKEN_NAMES - found(taken)
const mistaken = found(others)
const rounds = Array.from({ length: ROUNDS }, () => {
  return [
    nanoseconds(others, (one, two) => filter.has(one, two)),
    nanoseconds(taken, (one, two) => filter.has(one, two)),
  ] as const
})
process.stdout.write(
  `${JSON.stringify({
    names: TAKEN_NAMES,
    bytes: filter.bytes,
    bytesGrown: grown,
    /** Names that fit in before mistakes are more than 1 %. */
    capacity: filter.capacity,
    others: others.length,
    mistaken,
    mistakenShare: mistaken / others.length,
    missed,
    addNs: round2(addNs),
    checkFreeNs: round2(median(rounds.map(([free]) => free))),
    checkTakenNs: round2(median(rounds.map(([, held]) => held))),
  })}\n`,
)

function found(names: readonly string[]): number {
  let count = 0
  for (const name of names) {
    hash(name, words, 0)
    if (filter.has(words[0] ?? 0, words[1] ?? 0)) count += 1
  }
  return count
}

/** CPU time for each name, its hash included. */
function nanoseconds(names: readonly string[], work: (one: number, two: number) => unknown): number {
  const start = process.cpuUsage()
  for (const name of names) {
    hash(name, words, 0)
    work(words[0] ?? 0, words[1] ?? 0)
  }
  const { user, system } = process.cpuUsage(start)
  return ((user + system) * 1000) / names.length
}
