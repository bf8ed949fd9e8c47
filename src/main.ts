#!/usr/bin/env node
/**
 * The process: hands its arguments, environment, streams and signals to the command line and sets the exit code. Nothing
 * else in src/ touches it.
 *
 * @module
 */
import { join } from 'node:path'
import type { CommandProcess } from './commands/command-line.ts'

/** A person who is in earnest interrupts again; npm passes on an interrupt that the terminal has sent already. */
const SAME_INTERRUPT_MS = 1000
/** How long something that was not closed may keep a process that is done. */
const LINGER_MS = 500

/** What has to be in the environment when a process starts; what is there already stays. */
const SETTINGS = {
  // Types are stripped and code is compiled once for each version of a file: half the time of a start, 20 MB less.
  NODE_COMPILE_CACHE: join(import.meta.dirname, '..', 'node_modules', '.cache', 'gatehouse'),
  // The C library keeps what it once gave to a password hash, 19 MiB for each thread. Larger blocks than this go back.
  MALLOC_MMAP_THRESHOLD_: String(4 * 1024 * 1024),
  // And each of its arenas, one for almost every thread, keeps a megabyte or two that nobody else can use.
  MALLOC_ARENA_MAX: '2',
}
/**
 * For the collections of `world.ts`; room for what requests leave, which is looked through in less than a millisecond; none of the
 * collections by which V8 finds out how much a start needs; the heap grows to three times what is in use before all of it is
 * looked through, which holds everything up for 60 ms: after a collection of `world.ts` V8 would do so every two seconds; and V8 gives
 * memory back each five minutes instead of two, busy or not: for seconds after it did, a request takes a sixth more CPU. In a pause
 * `tidiness.ts` does.
 */
const FLAGS = [
  '--expose-gc',
  '--max-semi-space-size=16',
  '--initial-old-space-size=64',
  '--heap-growing-percent=200',
  '--memory-reducer-delay-ms=300000',
  '--gc-memory-reducer-start-delay-ms=300000',
]

const environment = { ...SETTINGS, ...process.env }
const isSet = FLAGS.every((flag) => process.execArgv.includes(flag))
if (!isSet || Object.keys(environment).length > Object.keys(process.env).length) startAgain()
withoutUnasked()
const crew = process.connected ? await openWorker() : undefined
const { runCommand } = await import('./commands/command-line.ts')
const member = crew?.member

const surroundings: CommandProcess = {
  environment,
  // Workers share the output.
  write: crew?.write ?? ((text) => void process.stdout.write(text)),
  // The primary says it, once for all.
  say: (text) => (member === undefined ? void process.stderr.write(text) : member.refuse(text)),
  ...(member !== undefined && { member }),
  onStop(stop, cut) {
    if (member !== undefined) {
      member.onStop(stop, cut)
      process.on('SIGTERM', stop)
      // A terminal sends it to all at once; the primary knows what to do.
      process.on('SIGINT', ignore)
      return
    }
    let firstMs: number | undefined
    process.on('SIGTERM', () => {
      firstMs ??= performance.now()
      stop()
    })
    process.on('SIGINT', () => {
      firstMs ??= performance.now()
      if (performance.now() - firstMs > SAME_INTERRUPT_MS) cut()
      stop()
    })
  },
  onReload(reload) {
    // To workers the primary tells it.
    process.on('SIGHUP', member === undefined ? reload : ignore)
  },
  onFault(note) {
    process.on('unhandledRejection', note)
    process.on('uncaughtException', note)
  },
}

// Whoever reads our output may leave (`| head`): requests go on without a log.
process.stdout.on('error', ignore)
process.stderr.on('error', ignore)
process.exitCode = await runCommand(process.argv.slice(2), surroundings)
setTimeout(() => process.exit(), LINGER_MS).unref()

/** Replaces this process by one with the settings: same id, same streams. Where that cannot be done it goes on without. */
function startAgain(): void {
  // What was given counts: of a flag that is there twice, the later one does.
  const flags = [...FLAGS, ...process.execArgv.filter((one) => !FLAGS.includes(one))]
  const args = [...flags, import.meta.filename, ...process.argv.slice(2)]
  try {
    process.execve?.(process.execPath, [process.execPath, ...args], environment)
  } catch {
    // Not on this platform.
  }
}

/** Whoever was started with a channel may be a worker. What all others do not need takes 50 ms of a start. */
async function openWorker() {
  const { joinPrimary } = await import('./member.ts')
  const member = await joinPrimary()
  if (member === undefined) return undefined
  const { createWholeLines } = await import('./workers/workers.ts')
  return { member, write: createWholeLines((lines, done) => void process.stdout.write(lines, () => done())) }
}

/**
 * Takes three names off node:http, which nobody asks for: who imports anything of it by name reads them all, and these bring a
 * second HTTP client along, 25 ms of a start and 3 MB.
 */
function withoutUnasked(): void {
  const http = process.getBuiltinModule('node:http')
  for (const name of ['WebSocket', 'CloseEvent', 'MessageEvent']) Object.defineProperty(http, name, { value: undefined })
}

function ignore(): void {}
