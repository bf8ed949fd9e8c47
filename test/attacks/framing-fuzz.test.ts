/**
 * Random HTTP/1.1, broken in random places, held against a reader that goes by RFC 9112 alone: an upstream sees the requests that this
 * reader finds in the octets of the client, and no other; a client gets the answer that it finds in those of the upstream, or none.
 *
 * `GATEHOUSE_FUZZ_CASES` is the number of connections of each kind, `GATEHOUSE_FUZZ_SEED` the seed.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fc } from '../support/properties.ts'
import { answerCase, clientCase } from '../support/framing-grammar.ts'
import { openStage, type Stage } from '../support/framing-stage.ts'

const CASES = Number(process.env['GATEHOUSE_FUZZ_CASES'] ?? 2000)
const SEED = Number(process.env['GATEHOUSE_FUZZ_SEED'] ?? 20_261_122)
const IS_LONG = process.env['GATEHOUSE_FUZZ_CASES'] !== undefined
const LIMIT_MS = 60_000 + CASES * 20
const PLAIN_CASES = 300
/** Connections that are open at once, at most: on the average half as many. */
const BATCH = 100
const ROUND = 50
/** One part in so many is strange. */
const RARITY = 24

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})
afterAll(() => stage.close())

/** Plays batches until so many cases were played. */
async function play<T>(one: fc.Arbitrary<T>, cases: number, run: (batch: readonly T[]) => Promise<void>): Promise<void> {
  const batch = fc.array(one, { minLength: 1, maxLength: BATCH, size: 'max' })
  const before = { ...stage.tally }
  const startedMs = performance.now()
  for (let round = 0; stage.tally.cases - before.cases < cases; round += 1) {
    await fc.assert(fc.asyncProperty(batch, run), { numRuns: Math.min(ROUND, Math.ceil(cases / BATCH)), seed: SEED + round })
    if (IS_LONG) say()
  }
  expect(stage.tally.answered).toBeGreaterThan(before.answered)

  function say(): void {
    const [played, answered, refused] = (['cases', 'answered', 'refused'] as const).map((key) => stage.tally[key] - before[key])
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    console.log(`seed ${SEED}: ${played} connections in ${seconds} s, ${answered} answered, ${refused} refused`)
  }
}

test('requests that are in order are all forwarded and answered', async () => {
  await play(clientCase(0), PLAIN_CASES, (batch) => stage.playClients(batch, 'complete'))
})

test('answers that are in order are all passed on', async () => {
  await play(answerCase(0), PLAIN_CASES, (batch) => stage.playAnswers(batch, 'complete'))
})

test('an upstream sees the requests that are in the octets of the client, and no other', { timeout: LIMIT_MS }, async () => {
  await play(clientCase(RARITY), CASES, (batch) => stage.playClients(batch))
})

test('a client gets the answer that is in the octets of the upstream, or none', { timeout: LIMIT_MS }, async () => {
  await play(answerCase(RARITY), CASES, (batch) => stage.playAnswers(batch))
})
