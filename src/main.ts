#!/usr/bin/env node
/**
 * The process: hands its arguments, environment, streams and signals to the command line and sets the exit code. Nothing
 * else in src/ touches it.
 *
 * @module
 */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import type { CommandProcess } from './commands/command-line.ts'

/** A person who is in earnest interrupts again; npm passes on an interrupt that the terminal has sent already. */
const SAME_INTERRUPT_MS = 1000
/** How long something that was not closed may keep a process that is done. */
const LINGER_MS = 500

// Types are stripped once for each version of a file and not at each start: that halves the time of a start and saves the
// memory of the compiler. Where the folder cannot be written, Node goes on without it.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'gatehouse'))
const { runCommand } = await import('./commands/command-line.ts')

const surroundings: CommandProcess = {
  environment: process.env,
  write: (text) => void process.stdout.write(text),
  say: (text) => void process.stderr.write(text),
  onStop(stop, cut) {
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

function ignore(): void {}
