import type { Config } from '../config/config.ts'
import { openGateway, type Address } from '../gateway.ts'

/** The process, as far as a running gateway needs it. */
export interface Surroundings {
  /** Log lines. */
  write(lines: string): void
  /** Words for the person at the terminal. */
  say(text: string): void
  onStop(stop: () => void): void
  /** Faults of ours that nobody caught. */
  onFault(note: (error: unknown) => void): void
}

/**
 * Runs the gateway until it is told to stop.
 *
 * @returns 0 when everything in flight was finished, 1 when something had to be cut
 * @throws Error when it cannot start
 */
export async function start(config: Config, around: Surroundings): Promise<number> {
  const gateway = await openGateway(config, { write: around.write })
  const stopped = new Promise<void>((resolve) => around.onStop(resolve))
  // A fault outside of any request is a bug of ours. The state it leaves is unknown, but those who are being served did
  // not cause it: it is logged in full and the gateway goes on.
  around.onFault((error) => gateway.log.error('fault outside of a request', { cause: error }))
  let addresses
  try {
    addresses = await gateway.listen()
  } catch (error) {
    await gateway.close()
    throw error
  }
  gateway.log.info('started', { version: config.version, port: addresses.public.port, admin_port: addresses.admin.port })
  around.say(greeting(config, addresses))
  await stopped
  gateway.log.info('stopping')
  const whole = await gateway.close()
  return whole ? 0 : 1
}

function greeting(config: Config, addresses: { readonly public: Address; readonly admin: Address }): string {
  const url = `http://localhost:${addresses.public.port}`
  const admin = `http://${addresses.admin.host}:${addresses.admin.port}`
  const hasAccounts = config.routes.some((route) => route.target.kind === 'service' && route.target.service === 'accounts')
  return `
  gatehouse is ready at ${url} (metrics and health at ${admin})
${hasAccounts ? firstRequest(url) : ''}
`
}

/** The first five minutes, to paste. */
function firstRequest(url: string): string {
  return `
  Try it:

    curl -s ${url}/auth/register -H 'content-type: application/json' \\
      -d '{"email":"me@example.com","password":"correct horse battery"}'
    TOKEN=$(curl -s ${url}/auth/login -H 'content-type: application/json' \\
      -d '{"email":"me@example.com","password":"correct horse battery"}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
    curl -s ${url}/api/hello -H "authorization: Bearer $TOKEN"
    curl -si ${url}/auth/logout -X POST -H "authorization: Bearer $TOKEN"
    curl -si ${url}/api/hello -H "authorization: Bearer $TOKEN"     # refused: token_revoked
`
}
