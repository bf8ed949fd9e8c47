import { fold, skeletonOf } from './names.ts'

const SHORTEST = 3
const LONGEST = 30

/** What the rules have to say of a name, whoever has it. */
export type Judgement = 'fine' | 'invalid' | 'reserved'

export interface Rules {
  judge(name: string): Judgement
}

export interface RulesConfig {
  /** Names that nobody can have, nor anything that looks like them. */
  readonly reserved: readonly string[]
  /** Names of which nobody can have a look-alike; they themselves can be had. */
  readonly protected: readonly string[]
}

/**
 * Rules by tenant, over one list for all of them.
 *
 * @param common - reserved for every tenant
 */
export function createRulesOf(common: readonly string[]): (config: RulesConfig) => Rules {
  const shared = listOf(common)
  return function rulesOf(config) {
    const own = listOf(config.reserved)
    const originals = new Map(config.protected.map((name) => [skeletonOf(name), fold(name)]))
    const lookAlikes = listOf(config.protected)
    return {
      judge(name) {
        if (!isUsername(name)) return 'invalid'
        // Nearly all names are told apart from the lists by a number, without making a text.
        const hash = hashOfSkeleton(name)
        if (!shared.hashes.has(hash) && !own.hashes.has(hash) && !lookAlikes.hashes.has(hash)) return 'fine'
        const skeleton = skeletonOf(name)
        if (shared.skeletons.has(skeleton) || own.skeletons.has(skeleton)) return 'reserved'
        const original = originals.get(skeleton)
        return original === undefined || original === fold(name) ? 'fine' : 'reserved'
      },
    }
  }
}

function listOf(names: readonly string[]): { readonly skeletons: ReadonlySet<string>; readonly hashes: ReadonlySet<number> } {
  const skeletons = new Set(names.map(skeletonOf))
  return { skeletons, hashes: new Set([...skeletons].map(hashOfSkeleton)) }
}

/** 3 to 30 of `a-z A-Z 0-9 _ -`. */
export function isUsername(name: string): boolean {
  if (name.length < SHORTEST || name.length > LONGEST) return false
  for (let index = 0; index < name.length; index += 1) if (!isUsernameCharacter(name.charCodeAt(index))) return false
  return true
}

function isUsernameCharacter(code: number): boolean {
  if (code >= 0x61 && code <= 0x7a) return true
  if (code >= 0x30 && code <= 0x39) return true
  return (code >= 0x41 && code <= 0x5a) || code === 0x2d || code === 0x5f
}

/** A hash (FNV-1a) of `skeletonOf(name)`, read off the name itself. A skeleton has the hash of the names that it stands for. */
export function hashOfSkeleton(name: string): number {
  let hash = 0x811c9dc5
  /** Half of a pair, perhaps. */
  let half = 0
  for (let index = 0; index < name.length; index += 1) {
    const code = letterOf(name.charCodeAt(index))
    if (code === HYPHEN || code === UNDERSCORE) continue
    const pair = pairOf(half, code)
    if (pair === 0 && half !== 0) hash = mixed(hash, half)
    half = pair === 0 && (code === LETTER.r || code === LETTER.v) ? code : 0
    if (half === 0) hash = mixed(hash, pair === 0 ? code : pair)
  }
  return half === 0 ? hash : mixed(hash, half)
}

const HYPHEN = 0x2d
const UNDERSCORE = 0x5f
const LETTER = { l: 0x6c, m: 0x6d, n: 0x6e, o: 0x6f, r: 0x72, v: 0x76, w: 0x77 } as const

function pairOf(first: number, second: number): number {
  if (first === LETTER.r && second === LETTER.n) return LETTER.m
  return first === LETTER.v && second === LETTER.v ? LETTER.w : 0
}

function mixed(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193)
}

/** Lower case, with digits and letters that look alike made one. */
function letterOf(code: number): number {
  const lower = code >= 0x41 && code <= 0x5a ? code + 0x20 : code
  if (lower === 0x30) return LETTER.o
  return lower === 0x31 || lower === 0x69 ? LETTER.l : lower
}

/**
 * The words of a list: one a line, `#` begins a comment.
 *
 * @throws Error for a line that is no username, which nobody could have anyway
 */
export function parseReserved(text: string): readonly string[] {
  const words: string[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const word = (line.split('#', 1)[0] ?? '').trim()
    if (word === '') continue
    if (!isUsername(word)) throw new Error(`line ${index + 1} of the reserved usernames is no username`)
    words.push(fold(word))
  }
  return words
}
