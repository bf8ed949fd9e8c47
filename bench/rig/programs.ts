/** Programs of a run: found, started on a core, waited for, and ended with it, whatever ends it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { cpuSeconds, ended, owned } from '../support/processes.ts'

export interface Program {
  readonly core: number | string
  readonly command: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** An open file for its standard output; without it nothing is kept. */
  readonly output?: number
  /** An open file for its standard error; without it that of this process. */
  readonly errors?: number
}

/** The path of a program, also of one that only root has in its `PATH`. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** `taskset` runs the program in place of itself, so the pid is the program's. */
export function startProgram({ core, command, environment = {}, output, errors }: Program): ChildProcess {
  return owned(
    spawn('taskset', ['-c', String(core), ...command], {
      stdio: ['ignore', output ?? 'ignore', errors ?? 'inherit'],
      env: { ...process.env, ...environment },
    }),
  )
}

/** Ends it, and where it does not by itself, kills it. */
export async function stopProgram(child: ChildProcess): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended(child)
  clearTimeout(timer)
}

const LISTEN_MS = 60_000

/** Resolves once somebody listens; a million revocations take a while to load. */
export async function listens(port: number, child: ChildProcess, name: string): Promise<void> {
  const startedMs = performance.now()
  while (performance.now() - startedMs < LISTEN_MS) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`)
    if (await isOpen(port)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${name} does not listen`)
}

/** CPU time so far of a process and of all below it, those that have ended aside. */
export function treeCpuSeconds(pid: number): number {
  return family(pid).reduce((sum, one) => sum + cpuSeconds(one), 0)
}

/** Resident memory of a process and of all below it, MiB. */
export function treeResidentMiB(pid: number): number {
  return family(pid).reduce((sum, one) => sum + residentKib(one), 0) / 1024
}

function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function family(root: number): readonly number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), parentOf(name)] as const)
  const found = [root]
  for (const pid of found) found.push(...parents.filter(([, parent]) => parent === pid).map(([child]) => child))
  return found
}

function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    // It has ended meanwhile.
    return 0
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const answer = (open: boolean) => (): void => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', answer(true))
    socket.once('error', answer(false))
  })
}
