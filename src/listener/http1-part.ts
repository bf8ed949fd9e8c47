import { ownText } from '../exchange/exchange.ts'
import { BEGINNING, follow, NOT_SIMPLE, WHOLE } from './http1-outline.ts'

/** What came of a head that is not whole. */
export interface HeadPart {
  /** Octets, a character each; empty where none began. */
  text: string
  /** How far its outline was followed. */
  state: number
  /** Of how many pieces the text is put together. */
  pieces: number
}

/** A text keeps a note of each piece that it was put together of, which takes more than an octet. */
const MOST_PIECES = 64

export function createHeadPart(): HeadPart {
  return { text: '', state: BEGINNING, pieces: 0 }
}

/** @returns whether the head is whole with this piece, as far as its outline goes */
export function endsHead({ state }: HeadPart, piece: string): boolean {
  return follow(state, piece) === WHOLE
}

/** @returns whether with this piece it is a head that may still become a simple one; where it is not, nothing changes */
export function keepPiece(part: HeadPart, piece: string): boolean {
  const state = follow(part.state, piece)
  if (state === NOT_SIMPLE || state === WHOLE) return false
  part.state = state
  part.text += piece
  part.pieces += 1
  if (part.pieces === MOST_PIECES) {
    part.text = ownText(part.text)
    part.pieces = 0
  }
  return true
}

export function clearPart(part: HeadPart): void {
  part.text = ''
  part.state = BEGINNING
  part.pieces = 0
}
