/**
 * Random answers, broken in random places, read by our reader and by llhttp in its strict mode, both in the same packets: what ours takes
 * for an answer is one to llhttp too, with the same status, fields, body and trailers. Ours may refuse more, for the reasons that are
 * named here.
 *
 * `GATEHOUSE_FUZZ_CASES` is the number of answers, `GATEHOUSE_FUZZ_SEED` the seed.
 */
import { expect, test } from 'vitest'
import { fc } from '../support/properties.ts'
import { readByLlhttp, readByOurs, type Octets, type Read } from '../support/answer-readers.ts'
import { answerCase } from '../support/framing-grammar.ts'

const CASES = Number(process.env['GATEHOUSE_FUZZ_CASES'] ?? 10_000)
const SEED = Number(process.env['GATEHOUSE_FUZZ_SEED'] ?? 20_261_122)
const LIMIT_MS = 60_000 + CASES * 5
const RARITY = 12
const ROUND = 5000

/** What ours refuses where llhttp reads on: what it says, and why. */
const STRICTER: ReadonlyMap<string, string> = new Map([
  ['the version', 'HTTP/0.9, HTTP/2.0, RTSP, ICE, and a line before the first, are none of HTTP/1'],
  ['the status', 'from 000 to 099 there is none'],
  ['a control character', 'llhttp reads over NUL and others in a reason'],
  ['a line that does not end in CRLF', 'and over a bare CR there'],
  ['a body in an answer before the final one', 'RFC 9112 §6.3 says that it has none, llhttp reads one'],
  ['a transfer coding that is not chunked', 'the body would be passed on without it'],
  ['a second framing', 'RFC 9112 §6.3; llhttp takes `chunked` twice, and what stands in an answer to HEAD'],
  ['a length', 'more digits than a number holds exactly'],
  ['a tab beside the framing', 'readers differ in what it is'],
  ['an end before the final answer', 'of HTTP/1.0, or with `Connection: close`, which llhttp finds at the next octet'],
  ['the size of a chunk', 'more digits than a number holds exactly'],
  ['framing in the trailers', 'RFC 9110 §6.5.1'],
])

const REFUSED = 'we refuse: the answer is not HTTP/1.1: '
const tally = new Map<string, number>()

/** The octets as they are, cut in a few places, and octet by octet. */
function packings(octets: string, cuts: readonly number[]): (readonly number[])[] {
  return [[], cuts, Array.from(octets, (_, index) => index)]
}

test('what we take for an answer is one to llhttp, and the same', { timeout: LIMIT_MS }, () => {
  for (let played = 0; played < CASES; played += ROUND) {
    const numRuns = Math.min(ROUND, CASES - played)
    fc.assert(
      fc.property(answerCase(RARITY), ({ method, octets, cuts, leave }) => {
        for (const packing of packings(octets, cuts)) compare({ method, octets, cuts: packing, ends: leave === 'end' })
      }),
      { numRuns, seed: SEED + played },
    )
  }
  if (process.env['GATEHOUSE_FUZZ_CASES'] !== undefined) console.log(tally)
  expect(tally.get('both: whole')).toBeGreaterThan(CASES / 10)
  expect(tally.get('both: refused')).toBeGreaterThan(CASES / 10)
})

function compare(one: Octets): void {
  const ours = readByOurs(one)
  const theirs = readByLlhttp(one)
  const difference = differenceOf(ours, theirs)
  tally.set(difference, (tally.get(difference) ?? 0) + 1)
  if (difference.startsWith('both: ')) return
  if (STRICTER.has(difference.replace(REFUSED, ''))) return
  const found = { octets: one, ours, llhttp: theirs }
  throw new Error(`${difference}: ${JSON.stringify(found)}`)
}

function differenceOf(ours: Read, theirs: Read): string {
  if (ours.end === 'whole' && theirs.end === 'whole') {
    return JSON.stringify(messageOf(ours)) === JSON.stringify(messageOf(theirs)) ? 'both: whole' : 'another message'
  }
  if (ours.end === 'whole') return 'we take what llhttp does not'
  if (theirs.end === 'whole') return ours.isWaiting ? 'we wait where llhttp is done' : `we refuse: ${ours.why}`
  if (ours.isWaiting) return theirs.isWaiting ? 'both: waiting' : 'both: refused, by us later'
  return theirs.isWaiting ? `we refuse: ${ours.why}` : 'both: refused'
}

function messageOf({ interim, status, fields, body, trailers }: Read): unknown {
  return [interim.filter(([code]) => code !== 100), status, fields, body, trailers]
}
