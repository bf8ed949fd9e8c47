import type { Config } from '../config/config.ts'
import { openGateway, type Address, type Gateway } from '../gateway.ts'
import type { Member } from '../member.ts'
import { createReloading, takeOn, type Reloadable, type Reloading, type StartSource } from './reloading.ts'

/** The process, as far as a running gateway needs it. */
export interface Surroundings {
  /** Log lines. */
  write(lines: string): void
  /** Words for the person at the terminal. */
  say(text: string): void
  /** `stop`: finish what is in flight; `cut`: do not wait for it. */
  onStop(stop: () => void, cut: () => void): void
  /** Somebody wants the configuration to be read again. */
  onReload?(reload: () => void): void
  /** Faults of ours that nobody caught. */
  onFault(note: (error: unknown) => void): void
  /** Where this process is one of several that another one has started: its way to that one. */
  readonly member?: Member
}

/** One process or several. */
type Running = Reloadable & Pick<Gateway, 'listen' | 'close' | 'cut'> & { readonly lost?: Promise<never> }

/**
 * Runs the gateway until it is told to stop.
 *
 * @returns 0, also when something had to be cut: the log tells how much
 * @throws Error when it cannot start; nothing is left open then
 */
export async function start(config: Config, source: StartSource, around: Surroundings): Promise<number> {
  const told = Promise.withResolvers<undefined>()
  let gateway: Running | undefined
  around.onStop(
    () => told.resolve(undefined),
    () => gateway?.cut(),
  )
  const reloading = createReloading(source, config, () => gateway)
  around.onReload?.(() => void reloading.now())
  gateway = await open(config, source, around, reloading)
  const { log } = gateway
  if (around.member === undefined) tellOfEnvironment(config, log)
  // A fault outside of any request is a bug of ours. The state it leaves is unknown, but those who are being served did
  // not cause it: it is logged in full and the gateway goes on.
  around.onFault((error) => log.error('fault outside of a request', { cause: error }))
  const addresses = await listen(gateway, config, told.promise)
  if (addresses !== undefined) {
    log.info('started', facts(config, addresses, around))
    if (around.member === undefined) around.say(greeting(config, addresses))
    else around.member.ready(addresses.public)
    if (around.member === undefined) reloading.start()
    await untilTold(gateway, told.promise)
  }
  log.info('stopping')
  void reloading.stop()
  const cut = await gateway.close()
  if (cut > 0) log.warn('cut what was still in flight', { requests: cut })
  log.info('stopped')
  await around.member?.leave(cut)
  return 0
}

async function open(
  config: Config,
  source: StartSource,
  { write, member }: Surroundings,
  { now: reload }: Reloading,
): Promise<Running> {
  if (member !== undefined) {
    const gateway = await openGateway(config, { write, member })
    member.onReload((text) => takeOn(source, text, gateway))
    return gateway
  }
  if (config.workers === 1) return openGateway(config, { write, reload })
  // Its parts take 50 ms of a start.
  const { openCrew } = await import('../crew.ts')
  return openCrew(config, { write, reload, configuration: source.first.text })
}

function facts({ version, workers }: Config, addresses: Addresses, { member }: Surroundings): Readonly<Record<string, unknown>> {
  const { port } = addresses.public
  if (member !== undefined) return { version, port }
  return { version, port, admin_port: addresses.admin.port, ...(workers > 1 && { workers }) }
}

/** @throws Error when there is nobody left to tell: whoever watches over this process has to start it again */
async function untilTold({ lost, log, close }: Running, told: Promise<undefined>): Promise<void> {
  try {
    await Promise.race([told, ...(lost === undefined ? [] : [lost])])
  } catch (error) {
    log.error('no worker is left, and none can be started', { cause: error })
    await close()
    throw error
  }
}

/** What the file does not say must not go unseen: it decides whose tokens are taken. */
function tellOfEnvironment({ fromEnvironment = [], masterKeys, storage, warnings = [] }: Config, log: Gateway['log']): void {
  for (const { line, path, message } of warnings) log.warn('the configuration is odd', { setting: path, line, why: message })
  for (const { variable, key } of fromEnvironment) log.info('taken from the environment', { variable, stands_for: key })
  if (masterKeys.length === 0 && storage.sessions.kind !== 'embedded') log.warn(OWN_MASTER_KEY, { directory: storage.directory })
}

const OWN_MASTER_KEY =
  'the master key is one of this gateway alone: keep its directory, and set GATEHOUSE_MASTER_KEY to the same for every gateway before there is a second one'

/** Undefined when it is told to stop before it is ready: what it waits for, such as Redis, may never come. */
async function listen(gateway: Running, config: Config, stopped: Promise<undefined>): Promise<Addresses | undefined> {
  try {
    return await Promise.race([gateway.listen(), stopped])
  } catch (error) {
    await gateway.close()
    throw listenFault(error, config)
  }
}

/** What a refused address means to the operator. */
const LISTEN_FAULTS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'is taken by another process'],
  ['EADDRNOTAVAIL', 'is not an address of this machine'],
  ['EACCES', 'is not allowed to this user'],
])

function listenFault(error: unknown, { listeners }: Config): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('address' in error)) return error
  const reason = LISTEN_FAULTS.get(String(error.code))
  if (reason === undefined) return error
  // The error leaves out a port of 0.
  const port = 'port' in error ? Number(error.port) : 0
  const isAdmin = port === listeners.admin.port && error.address === listeners.admin.host
  return new Error(`listeners.${isAdmin ? 'admin' : 'public'}.address: ${String(error.address)}:${port} ${reason}`)
}

interface Addresses {
  readonly public: Address
  readonly admin: Address
}

function greeting(config: Config, addresses: Addresses): string {
  const url = `${config.listeners.public.tls === undefined ? 'http' : 'https'}://localhost:${addresses.public.port}`
  const admin = `http://${addresses.admin.host}:${addresses.admin.port}`
  return `
  gatehouse is ready at ${url} (console, metrics and health at ${admin})
${hasDemo(config) ? firstRequest(url, admin) : ''}
`
}

/** Whether the paths of the first request are there: the shipped file has them. */
function hasDemo({ routes }: Config): boolean {
  const paths = new Set(routes.map((route) => route.match.path))
  return paths.has('/auth/*') && paths.has('/api/*')
}

/** The first five minutes, to paste. */
function firstRequest(url: string, admin: string): string {
  return `
  Try it:

    curl -s ${url}/auth/register -H 'content-type: application/json' \\
      -d '{"email":"me@example.com","password":"correct horse battery"}'
    TOKEN=$(curl -s ${url}/auth/login -H 'content-type: application/json' \\
      -d '{"email":"me@example.com","password":"correct horse battery"}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
    curl -s ${url}/api/hello -H "authorization: Bearer $TOKEN"
    curl -si ${url}/auth/logout -X POST -H "authorization: Bearer $TOKEN"
    curl -si ${url}/api/hello -H "authorization: Bearer $TOKEN"     # refused: token_revoked

  and watch it in a browser: ${admin}/
`
}
