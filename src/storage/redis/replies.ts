/** What Redis answered, narrowed. An answer of another shape is a fault of ours or of the server, never an outage. */
export function list(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new TypeError('Redis answered no list')
  return reply
}

export function text(reply: unknown): string {
  if (typeof reply !== 'string') throw new TypeError('Redis answered no text')
  return reply
}

export function texts(reply: unknown): readonly string[] {
  return list(reply).map(text)
}

export function integer(reply: unknown): number {
  const value = typeof reply === 'number' || typeof reply === 'string' ? Number(reply) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new TypeError('Redis answered no integer')
  return value
}
