#!/usr/bin/env node
/**
 * The command line: reads arguments and the environment, runs a command, sets the exit code. Nothing else in src/ touches the
 * process.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { check } from './commands/check.ts'
import { routes } from './commands/routes.ts'
import { start } from './commands/start.ts'
import { ConfigError, loadConfig, type Config } from './config/config.ts'
import { findRouteFaultsOf } from './gateway.ts'

const USAGE = `gatehouse COMMAND [--config FILE]

  start     runs the gateway (the default)
  check     reads the configuration and reports every fault
  routes    lists each route and who may use it

  --config FILE   the configuration; default: GATEHOUSE_CONFIG, else ./gateway.yaml
  --json          machine-readable output (check, routes)
  --help, --version

Exit codes: 0 fine, 1 it ran and failed, 2 wrong usage or an invalid configuration.
`
const LATER = new Set(['explain', 'diff', 'keys', 'clients', 'migrate', 'audit', 'doctor'])

async function main(args: string[]): Promise<number> {
  let options
  try {
    options = parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
  const { values, positionals } = options
  if (values.help) return print(USAGE)
  if (values.version) return print(`${version()}\n`)
  const [command = 'start', ...rest] = positionals
  if (LATER.has(command)) return usage(`${command}: not supported yet`)
  if (rest.length > 0) return usage(`${command} takes no argument: ${rest.join(' ')}`)
  const file = values.config ?? process.env['GATEHOUSE_CONFIG'] ?? './gateway.yaml'
  if (command === 'start') return withConfig(file, (config) => start(config, surroundings))
  if (command === 'check') return withConfig(file, (config) => print(check(config, values.json)))
  if (command === 'routes') return withConfig(file, (config) => print(routes(config, values.json)))
  return usage(`unknown command: ${command}`)
}

const surroundings = {
  write: (lines: string) => void process.stdout.write(lines),
  say: (text: string) => void process.stderr.write(text),
  onStop(stop: () => void) {
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  },
  onFault(note: (error: unknown) => void) {
    process.on('unhandledRejection', note)
    process.on('uncaughtException', note)
  },
}

/** A faulty configuration is wrong usage: all its faults, and exit code 2. */
async function withConfig(file: string, run: (config: Config) => number | Promise<number>): Promise<number> {
  let config: Config
  try {
    config = loadConfig(file, {
      environment: process.env,
      readFile: (path) => readFileSync(path, 'utf8'),
      inspect: findRouteFaultsOf,
    })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 2
  }
  try {
    return await run(config)
  } catch (error) {
    process.stderr.write(`gatehouse: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

function usage(fault: string): number {
  process.stderr.write(`gatehouse: ${fault}\n\n${USAGE}`)
  return 2
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown'
}

process.exitCode = await main(process.argv.slice(2))
