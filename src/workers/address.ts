/** Where a worker listens. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** @throws TypeError when a worker says something else */
export function addressOf(body: unknown): Address {
  const isAddress = typeof body === 'object' && body !== null && 'host' in body && 'port' in body
  if (!isAddress || typeof body.host !== 'string' || typeof body.port !== 'number')
    throw new TypeError('a worker listens nowhere')
  return { host: body.host, port: body.port }
}
