/** Names that people have and want: a million that are taken, as many as you like that are free, and which of them are asked for. */

/** Names that {@link takenName} makes, all different. */
export const TAKEN_NAMES = 1_000_000
/** One check in so many is of a name that is taken; with those that are typed on the way to a free one they are one in five. */
const TAKEN_EVERY = 7
/** Whoever types at one time: a letter follows the one before after some 0.3 s at 10,000 checks a second. */
const TYPISTS = 3_000
/** Odd and no multiple of five: it shuffles the numbers below a million. */
const SHUFFLE = 611_953
const FIRST = `anna bella carla daria elena fiona greta hanna irina julia karin laura maria nadia olivia paula ronja sofia tamara
ursula vera wanda yvonne zora amelie britta celine doris emily frieda gloria helga ines jana kirsten linda mona nele pia rita
sabine tina uta viola walda xenia agnes berta clara dora albert bruno conrad david emil felix gustav henry igor jonas klaus lucas
martin noah oskar peter quentin robert simon thomas ulrich victor walter xaver yusuf zeno adrian boris casper dieter erik frank
georg hugo ivan jakob kevin leo max nils otto paul rafael sven theo urban`.split(/\s+/)
const STEMS = `miller smith jones brown wilson taylor moore clark lewis young king wright hill green baker adams nelson carter
mitchell roberts turner phillips campbell parker evans edwards collins stewart morris rogers reed cook morgan bell murphy bailey
cooper howard ward cox gray james watson brooks kelly sanders price bennett wood ross`.split(/\s+/)
const ENDINGS = ['', 'dottir', 'berg', 'feld', 'qvist'] as const
const PAIRS = FIRST.length * STEMS.length * ENDINGS.length

/** What a check is known to be answered: the beginning of a name may be anybody's. */
export type Expected = 'free' | 'taken' | 'unknown'

export interface Wish {
  readonly name: string
  readonly expected: Expected
}

/** @param index - below {@link TAKEN_NAMES} */
export function takenName(index: number): string {
  const [first, last] = pairAt(index)
  const form = Math.floor(index / PAIRS)
  if (form === 0) return `${first}${last}`
  if (form === 1) return `${first}_${last}`
  if (form === 2) return `${last}-${first}`
  return `${first}${last}${10 + form * 2}`
}

/** Popularity by Zipf's law with exponent 1: the logarithm of the rank is uniform. */
export function popularName(random: () => number): string {
  const rank = Math.floor(TAKEN_NAMES ** random())
  return takenName((rank * SHUFFLE) % TAKEN_NAMES)
}

/** Names that are never taken: no other has an underscore before its number. On the way to one a taken name is typed at times. */
export function freeName(random: () => number): string {
  const [first, last] = pairAt(Math.floor(random() * PAIRS))
  return `${first}${last}_${100_000 + Math.floor(random() * 900_000)}`
}

/**
 * What is asked for, one check after the other. Most are of people who each type a free name, and are seen by the server
 * whenever they pause: at its beginning, its middle, its end. The others are of taken names, popular ones more often.
 */
export function createWishes(random: () => number): () => Wish {
  const typists = Array.from({ length: TYPISTS }, () => ({ name: freeName(random), typed: Math.floor(random() * 8) }))
  let asked = 0
  let turn = 0
  return () => {
    asked += 1
    if (asked % TAKEN_EVERY === 0) return { name: popularName(random), expected: 'taken' }
    turn = (turn + 1) % TYPISTS
    const typist = typists[turn] ?? { name: freeName(random), typed: 0 }
    typist.typed += 2 + Math.floor(random() * 4)
    if (typist.typed < typist.name.length) return { name: typist.name.slice(0, Math.max(3, typist.typed)), expected: 'unknown' }
    const { name } = typist
    typist.name = freeName(random)
    typist.typed = 0
    return { name, expected: 'free' }
  }
}

/** Numbers from 0, below 1, the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function pairAt(index: number): readonly [first: string, last: string] {
  const pair = index % PAIRS
  const last = Math.floor(pair / FIRST.length)
  const stem = STEMS[last % STEMS.length] ?? ''
  const ending = ENDINGS[Math.floor(last / STEMS.length)] ?? ''
  return [FIRST[pair % FIRST.length] ?? '', `${stem}${ending}`]
}
