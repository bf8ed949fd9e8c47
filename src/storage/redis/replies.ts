import { Problem } from '../../problem/problem.ts'

/** What Redis answered, narrowed. An answer of another shape was not that to our question: nothing is known then. */
export function list(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw unlike('Redis answered no list')
  return reply
}

export function text(reply: unknown): string {
  if (Buffer.isBuffer(reply)) return reply.toString()
  if (typeof reply !== 'string') throw unlike('Redis answered no text')
  return reply
}

export function bytes(reply: unknown): Buffer {
  if (!Buffer.isBuffer(reply)) throw unlike('Redis answered no bytes')
  return reply
}

export function integer(reply: unknown): number {
  const value = typeof reply === 'number' || typeof reply === 'string' ? Number(reply) : Number.NaN
  if (!Number.isSafeInteger(value)) throw unlike('Redis answered no integer')
  return value
}

/** Makes a record of an answer. What is not in the form in which it was written came to grief on the way, or in the store. */
export function understood<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof Problem) throw error
    // Without the cause: it may quote what was stored.
    throw garbled()
  }
}

/** For an answer that cannot be what was written. */
export function garbled(): Problem {
  return unlike('Redis answered something that was not written in this form')
}

function unlike(what: string): Problem {
  return new Problem('storage_unavailable', { headers: { 'retry-after': '1' }, cause: new Error(what) })
}
