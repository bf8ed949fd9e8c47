/** The tables that packed ids are in: slots of words, next to each other. */

/** Four words of the id, the expiry (0: free), and owner, form and whether the log told it. */
export const STRIDE = 6
export const EXPIRY = 4
export const FACTS = 5
const LEAST = 4
/** Above this share a table grows. Slots that are looked at for an absent id: about 8 at most, 2 on average. */
export const FULL = 0.75
export const FORMS = { hex: 0, uuid: 1 } as const

/** Of the entry at a place of a table, all but its expiry and what the log told. */
export function hashOf(words: Uint32Array, at: number, seed: number): number {
  let hash = seed
  for (let index = 0; index < 4; index += 1) hash = mixed(hash ^ (words[at + index] ?? 0))
  return mixed(hash ^ ((words[at + FACTS] ?? 0) >>> 1))
}

/** Every bit of the word moves half of the result: the last step of MurmurHash3. */
function mixed(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

export function countLive(words: Uint32Array, nowSeconds: number): number {
  let live = 0
  for (let at = EXPIRY; at < words.length; at += STRIDE) if (words[at] !== 0 && (words[at] ?? 0) >= nowSeconds) live += 1
  return live
}

/** What is alive, in a table with room for `entries`. */
export function moveLive(words: Uint32Array, entries: number, nowSeconds: number, seed: number): Uint32Array {
  if (entries === 0) return new Uint32Array(0)
  let slots = LEAST
  while (entries > slots * FULL) slots *= 2
  const to = new Uint32Array(slots * STRIDE)
  for (let at = 0; at < words.length; at += STRIDE) {
    const expiry = words[at + EXPIRY] ?? 0
    if (expiry === 0 || expiry < nowSeconds) continue
    let slot = hashOf(words, at, seed) & (slots - 1)
    while (to[slot * STRIDE + EXPIRY] !== 0) slot = (slot + 1) & (slots - 1)
    for (let index = 0; index < STRIDE; index += 1) to[slot * STRIDE + index] = words[at + index] ?? 0
  }
  return to
}

export function textOf(words: Uint32Array, at: number): string {
  let hex = ''
  for (let index = 0; index < 4; index += 1) hex += (words[at + index] ?? 0).toString(16).padStart(8, '0')
  if ((((words[at + FACTS] ?? 0) >>> 1) & 1) === FORMS.hex) return hex
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
