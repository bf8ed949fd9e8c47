import type { RequestMessage } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'

/** What came of a body before its request was sent. */
export interface Early {
  readonly pieces: readonly Buffer[]
  /** There is no more of it. */
  readonly isWhole: boolean
}

export interface Gathering {
  /** What came; the rest is for whoever listens next. */
  take(): Early
  /** The memory of what came may be used by others. */
  release(): void
}

export interface GatheringEvents {
  /** No more is taken in for now. */
  full(): void
  whole(): void
  failed(error: Error): void
}

/** Octets of bodies that are held for requests that have no answer yet, all together. */
export interface Ahead {
  octets: number
}

export interface GatherNeeds {
  readonly ahead: Ahead
  /** So many octets of a body were passed on, either way. */
  moved(octets: number): void
}

/** A body, and where it is noted how much of it came. */
export interface BodySource {
  readonly req: RequestMessage
  readonly record: { bytesIn: number }
  /** Longest body that is taken, octets. */
  readonly limit: number
}

/** So much of a body is taken in before its request has a connection. */
const ENOUGH_BYTES = 64 * 1024

/** Most that is held for all requests; then each may have a little. */
const MOST_AHEAD_BYTES = 64 * 1024 * 1024
const LITTLE_BYTES = 4 * 1024

/** A body that comes octet by octet would take a hundred times its length. */
const MOST_PIECES = 32

/** Takes in the beginning of a body whose request has to wait. */
export function gatherBody({ ahead, moved }: GatherNeeds, source: BodySource, told: GatheringEvents): Gathering {
  const { req, record, limit } = source
  let pieces: Buffer[] = []
  let octets = 0
  let isWhole = false
  let hasFilled = false
  let isTaken = false
  req.on('data', onData)
  req.on('end', onEnd)
  req.on('close', onClose)
  req.on('error', onError)
  req.resume()
  return { take, release }

  function onData(chunk: Buffer): void {
    record.bytesIn += chunk.length
    if (record.bytesIn > limit) {
      onError(new Problem('payload_too_large'))
      return
    }
    moved(chunk.length)
    octets += chunk.length
    ahead.octets += chunk.length
    pieces.push(chunk)
    if (pieces.length > MOST_PIECES) pieces = [Buffer.concat(pieces)]
    if (octets < (ahead.octets > MOST_AHEAD_BYTES ? LITTLE_BYTES : ENOUGH_BYTES)) return
    req.pause()
    if (hasFilled) return
    hasFilled = true
    told.full()
  }

  function onEnd(): void {
    isWhole = true
    told.whole()
  }

  function onClose(): void {
    if (!req.complete) onError(new Error('the client broke off its request'))
  }

  /** The listener's word for a body that cannot be read, too. */
  function onError(error: Error): void {
    leaveOff()
    // Its connection may be going already, which it has yet to say.
    req.on('error', ignore)
    told.failed(error)
  }

  function leaveOff(): void {
    req.off('data', onData)
    req.off('end', onEnd)
    req.off('close', onClose)
    req.off('error', onError)
  }

  function take(): Early {
    isTaken = true
    leaveOff()
    req.pause()
    const early = { pieces, isWhole }
    pieces = []
    return early
  }

  function release(): void {
    if (!isTaken) {
      leaveOff()
      req.on('error', ignore)
    }
    isTaken = true
    ahead.octets -= octets
    octets = 0
    pieces = []
  }
}

function ignore(): void {}
