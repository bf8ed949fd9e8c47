/** The product as a user runs it: `node src/main.ts` as a process of its own, on free ports, stopped by its own pid. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll } from 'vitest'
import { freePort } from './ports.ts'

export const MAIN = resolve(import.meta.dirname, '../../src/main.ts')

/** What a file of tests leaves behind, after failures too. */
const programs = new Set<ChildProcess>()
const folders: string[] = []
afterAll(async () => {
  const closed = [...programs].map((child) => once(child, 'close'))
  for (const child of programs) child.kill('SIGKILL')
  await Promise.all(closed)
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Output extends Exit {
  readonly stdout: string
  readonly stderr: string
}

/** A program that was started by a test. */
export interface Program {
  readonly child: ChildProcess
  readonly pid: number
  readonly exited: Promise<Exit>
  stdout(): string
  stderr(): string
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Exit>
}

export interface ProgramOptions {
  readonly cwd?: string
  readonly environment?: Readonly<Record<string, string>>
  /** A file that takes what it writes to stdout: reading a line for each of many requests is work beside what is measured. */
  readonly log?: string
}

/** Starts a program; it is killed at the latest when the tests end. */
export function startProgram(file: string, args: readonly string[], options: ProgramOptions = {}): Program {
  const { log } = options
  const written = log === undefined ? 'pipe' : openSync(log, 'wx')
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...process.env, GATEHOUSE_CONFIG: '', ...options.environment },
    stdio: ['ignore', written, 'pipe'],
  })
  if (written !== 'pipe') closeSync(written)
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const exited = once(child, 'close').then(([code, signal]): Exit => ({ code, signal }))
  programs.add(child)
  child.once('close', () => programs.delete(child))
  return {
    child,
    pid: child.pid ?? 0,
    exited,
    stdout: () => (log === undefined ? stdout : readFileSync(log, 'utf8')),
    stderr: () => stderr,
    end(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
  }
}

/** Runs a program to its end. */
export async function run(file: string, args: readonly string[], options?: ProgramOptions): Promise<Output> {
  const program = startProgram(file, args, options)
  const exit = await program.exited
  return { ...exit, stdout: program.stdout(), stderr: program.stderr() }
}

/** Runs one command of the gateway to its end. */
export function gatehouse(args: readonly string[], options?: ProgramOptions): Promise<Output> {
  return run(process.execPath, [MAIN, ...args], options)
}

export interface GatewayProcess extends Program {
  readonly url: string
  readonly port: number
  readonly adminUrl: string
  readonly folder: string
  /** Log lines so far, parsed. */
  lines(): Record<string, unknown>[]
  /** Resident memory now and at its highest, KiB. */
  memory(): { readonly nowKiB: number; readonly peakKiB: number }
}

export interface GatewayProcessOptions {
  /** Kept by the caller, to start again on the same storage. */
  readonly folder?: string
  /** Further keys of `listeners.public`, in flow style: `timeouts: { drain: 2s }`. */
  readonly listener?: string
  readonly port?: number
  readonly adminPort?: number
  /** Longest that a start may take; several processes take longer. */
  readonly startMs?: number
  /** Further lines of `storage`, indented, and keys after it. */
  readonly storage?: string
}

/** Where the machine has other work a gateway is late at times, and is to answer. */
const PATIENT = 'overload: { lag: 10s }'

/** Starts the gateway and waits until it says that it is ready. `yaml` is what follows `listeners` and `storage`. */
export async function startGatewayProcess(yaml: string, options: GatewayProcessOptions = {}): Promise<GatewayProcess> {
  const folder = options.folder ?? temporaryFolder()
  const port = options.port ?? (await freePort())
  const adminPort = options.adminPort ?? (await freePort())
  const more = options.listener === undefined ? PATIENT : `${PATIENT}, ${options.listener}`
  const listeners = `listeners:\n  public: { address: 127.0.0.1:${port}, ${more} }\n  admin: { address: 127.0.0.1:${adminPort} }\n`
  writeFileSync(join(folder, 'gateway.yaml'), `${listeners}storage:\n  directory: ./data${options.storage ?? ''}\n${yaml}`)
  const program = startProgram(process.execPath, [MAIN, 'start', '--config', join(folder, 'gateway.yaml')])
  await waitFor(() => program.stderr().includes('gatehouse is ready at'), program, options.startMs)
  return {
    ...program,
    url: `http://localhost:${port}`,
    port,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    folder,
    lines: () => parseLines(program.stdout()),
    memory: () => memoryOf(program.pid),
  }
}

function parseLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]))
}

function memoryOf(pid: number): { nowKiB: number; peakKiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return { nowKiB: Number(/VmRSS:\s*(\d+)/.exec(status)?.[1]), peakKiB: Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) }
}

/** Waits for something that another process does; fails when that process ends first. */
export async function waitFor(isSo: () => boolean | Promise<boolean>, program?: Program, limitMs = 30_000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await isSo())) {
    if (program !== undefined && (program.child.exitCode !== null || program.child.signalCode !== null)) {
      throw new Error(`it ended: ${program.stderr()}`)
    }
    if (performance.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${program?.stderr() ?? ''}`)
    await pause(5)
  }
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(done, delayMs)
  })
}

/** A folder that is removed when the tests end. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-process-'))
  folders.push(folder)
  return folder
}

/** Python's own file server, over a folder with `hello.txt` in it. */
export async function startPython(): Promise<Program & { readonly url: string }> {
  const port = await freePort()
  const folder = folderWithFile()
  const program = startProgram('python3', ['-m', 'http.server', String(port), '--bind', '127.0.0.1'], { cwd: folder })
  return answering(program, port)
}

/** nginx as an ordinary process, over a folder with `hello.txt` in it. */
export async function startNginx(): Promise<Program & { readonly url: string }> {
  const port = await freePort()
  const folder = folderWithFile()
  mkdirSync(join(folder, 'temp'))
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path temp/${name};`).join(' ')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; pid nginx.pid; error_log stderr; worker_processes 1; user ${process.env['USER'] ?? 'root'};
     events {}
     http { access_log off; ${paths} server { listen 127.0.0.1:${port}; root ${folder}; client_max_body_size 0; } }`,
  )
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
  const program = startProgram('nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')], {
    environment: { PATH: path },
  })
  return answering(program, port)
}

function folderWithFile(): string {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'hello.txt'), 'hello from an upstream\n')
  return folder
}

async function answering<P extends Program>(program: P, port: number): Promise<P & { readonly url: string }> {
  const url = `http://127.0.0.1:${port}`
  await waitFor(() => isAnswering(`${url}/hello.txt`), program)
  return { ...program, url }
}

function isAnswering(url: string): Promise<boolean> {
  return fetch(url).then(
    async (response) => {
      await response.arrayBuffer()
      return response.ok
    },
    () => false,
  )
}
