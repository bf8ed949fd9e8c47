/**
 * What the real database servers of the tests have in common: a free loopback port, a folder of its own, a user that is not root, and an end by
 * the process that was started.
 */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.ts'

export interface DatabaseServer {
  readonly kind: 'postgres' | 'mysql'
  readonly port: number
  /** A PEM file: of the certificate that the server shows, for `localhost`. */
  readonly certificate: string
  /** Makes an empty database and says its URL, password included. */
  newDatabase(): Promise<string>
  /** A statement of the test itself, past the code that is tested. */
  admin(url: string, statement: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Cuts every connection of others. */
  cutConnections(): Promise<void>
  /** Holds the process and its children where they are: connections stay, and nothing answers. */
  pause(): void
  resume(): void
  kill(): Promise<void>
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** PEM files that a server reads. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
}

/** A certificate for `localhost`, trusted by itself, that only the server may read the key of. */
export function newCertificate(folder: string, { uid, gid }: Account): Certificate {
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync('openssl', ['req', ...kind, ...name, '-keyout', key, '-out', certificate], { stdio: 'pipe' })
  if (uid !== undefined && gid !== undefined) for (const file of [certificate, key]) chownSync(file, uid, gid)
  return { certificate, key }
}

export interface Account {
  readonly uid?: number
  readonly gid?: number
}

export interface ServerProcess {
  readonly port: number
  readonly folder: string
  pid(): number
  kill(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** The user that a server runs as: databases refuse to run as root. */
export function accountOf(name: string): Account {
  if (process.getuid?.() !== 0) return {}
  const ask = (option: string): number => Number(execFileSync('id', [option, name], { encoding: 'utf8' }))
  return { uid: ask('-u'), gid: ask('-g') }
}

export function newFolder(name: string, { uid, gid }: Account): string {
  const folder = mkdtempSync(join(tmpdir(), `gatehouse-${name}-`))
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid)
  return folder
}

/** A program that is not on the PATH of everyone. */
export function find(program: string, ...folders: readonly string[]): string {
  const path = folders.map((folder) => join(folder, program)).find((file) => existsSync(file))
  if (path === undefined) throw new Error(`${program} is not installed: node setup.mjs test`)
  return path
}

/** `/usr/lib/postgresql/15/bin` of the newest version there is. */
export function versionsIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  const versions = readdirSync(folder).toSorted((a, b) => Number(b) - Number(a))
  return versions.map((version) => join(folder, version, 'bin'))
}

/** @param ready - rejects while the server does not answer */
export async function startServer(
  program: string,
  args: (port: number) => readonly string[],
  account: Account & { readonly folder: string },
  ready: (port: number) => Promise<unknown>,
): Promise<ServerProcess> {
  const port = await freePort()
  const { folder } = account
  const run = async (): Promise<ChildProcess> => {
    const child = spawn(program, args(port), { ...account, cwd: folder, stdio: 'ignore' })
    children.add(child)
    child.once('exit', () => children.delete(child))
    await until(() => ready(port), program)
    return child
  }
  let child = await run()
  return {
    port,
    folder,
    pid: () => child.pid ?? 0,
    kill: () => end(child, 'SIGKILL'),
    async restart() {
      child = await run()
    },
    async stop() {
      await end(child, 'SIGTERM', 'SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function end(child: ChildProcess, ...signals: readonly NodeJS.Signals[]): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  // A process that is held takes a signal only when it goes on.
  for (const signal of [...signals, 'SIGCONT'] as const) child.kill(signal)
  await exited
}

async function until(answers: () => Promise<unknown>, program: string): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    try {
      await answers()
      return
    } catch (cause) {
      if (Date.now() > deadline) throw new Error(`${program} did not get ready`, { cause })
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
