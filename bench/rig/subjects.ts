/** Who is measured: the gateway in its variants, its peers, and the upstream alone. Each has the first core to itself while it is measured. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, openSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../support/processes.ts'
import { gatewayConfig, type GatewayVariant } from './configs.ts'
import { findProgram, listens, startProgram, stopProgram } from './programs.ts'
import type { Rig } from './rig.ts'

export interface Subject {
  readonly name: string
  readonly title: string
  readonly path: string
  /** What is sent: 1,000 RS256 tokens in turn, one RS256 token always, none, or each token once. */
  readonly tokens: 'warm' | 'one' | 'none' | 'RS256 once' | 'ES256 once'
  /** Posts so many octets each time; without it GET is sent. */
  readonly bodyBytes?: number
  /** Whether a forged token is refused and who calls arrives at the upstream, which is tried before anything is measured. */
  readonly verifies: boolean
  /** Whether it writes a line for each request. */
  readonly accessLog: boolean
  /** Not the gateway; one that does not work is left out. */
  readonly isPeer: boolean
  /** What has to be installed; without one it is part of this repository. */
  readonly program?: string
  /** A file that has to be there besides. */
  readonly needs?: string
  /** How its version is asked. */
  readonly version?: readonly string[]
  start(rig: Rig): Promise<Running>
}

export interface Running {
  readonly port: number
  readonly pid: number
  /** Done before each measurement, outside of it. */
  prepare?(): Promise<void>
  /** Done after each measurement, outside of it. */
  tidy?(): void
}

/** What is different from the gateway as it comes. */
interface Variant extends GatewayVariant {
  readonly environment?: Readonly<Record<string, string>>
}

/** A gateway that can be started, again and again, with what it made before. */
export interface LaidGateway {
  readonly port: number
  readonly adminPort: number
  readonly configFile: string
  readonly accessLog: string
  /** On the first core; its access log goes to a file. */
  spawn(): ChildProcess
}

export async function layGateway(rig: Rig, { environment, ...variant }: Variant = {}): Promise<LaidGateway> {
  const folder = rig.newFolder('gateway')
  const [port, adminPort] = [await freePort(), await freePort()]
  const configFile = join(folder, 'gateway.yaml')
  const place = { port, adminPort, upstreamPort: rig.upstream.port, folder, jwksFile: rig.issuer.jwksFile }
  writeFileSync(configFile, gatewayConfig(place, variant))
  const accessLog = join(folder, 'access.log')
  const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
  const command = [process.execPath, main, 'start', '--config', configFile]
  const files = { output: openSync(accessLog, 'a'), errors: openSync(join(folder, 'stderr.log'), 'a') }
  const spawn = () => startProgram({ core: 0, command, ...files, ...(environment === undefined ? {} : { environment }) })
  return { port, adminPort, configFile, accessLog, spawn }
}

/** @returns the gateway of this checkout; its access log goes to a file, which is emptied after each measurement */
export async function startGateway(rig: Rig, variant: Variant = {}) {
  const { port, adminPort, configFile, accessLog, spawn } = await layGateway(rig, variant)
  const child = spawn()
  rig.onStop(() => stopProgram(child))
  await listens(port, child, 'the gateway')
  return { port, adminPort, configFile, pid: child.pid ?? 0, tidy: () => truncateSync(accessLog) }
}

/** Writes the configuration of a peer into a folder of its own and starts it on the first core. */
export async function startPeer(
  rig: Rig,
  program: string,
  write: (place: { port: number; upstreamPort: number; folder: string }) => {
    files: Record<string, string>
    args: readonly string[]
  },
): Promise<Running> {
  const folder = rig.newFolder(program)
  const port = await freePort()
  const { files, args } = write({ port, upstreamPort: rig.upstream.port, folder })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  mkdirSync(join(folder, 'home'))
  const environment = {
    HOME: join(folder, 'home'),
    XDG_CONFIG_HOME: folder,
    XDG_DATA_HOME: folder,
    GOMAXPROCS: '1',
    NODE_ENV: 'production',
  }
  const path = program === 'node' ? process.execPath : findProgram(program)
  const child = startProgram({
    core: 0,
    command: [path ?? program, ...args],
    environment,
    errors: openSync(join(folder, 'stderr.log'), 'a'),
  })
  rig.onStop(() => stopProgram(child))
  await listens(port, child, program)
  return { port, pid: child.pid ?? 0 }
}
