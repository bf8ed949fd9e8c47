import { ConfigError, formatFault, type Config } from '../config/config.ts'
import type { Gateway } from '../gateway.ts'
import { createReloads, type Outcome } from '../reload/reload.ts'
import { schedule } from '../world.ts'
import { lookAt, readSource, type ConfigReading, type ConfigSource } from './source.ts'

/** Where the configuration comes from, and how it was read first. */
export interface StartSource extends ConfigSource {
  readonly first: ConfigReading
}

/** What can be put in force in a gateway. */
export interface Reloadable extends Pick<Gateway, 'reloadFailed' | 'log'> {
  /** @param text that `config` was read from: several processes have to go by the same */
  reload(config: Config, text: string): Promise<void>
}

/** What came of it, for operators. */
export interface Reloaded {
  readonly outcome: 'reloaded' | 'refused'
  /** Of the configuration in force. */
  readonly version: string
  /** Why it was refused: every fault. */
  readonly reasons?: readonly string[]
}

export interface Reloading {
  /** Begins to look after the file. */
  start(): void
  /** Reads it again. Never rejects. */
  now(): Promise<Reloaded>
  stop(): Promise<void>
}

/** A file whose every line is wrong must not fill the log. */
const MOST_REASONS = 50

/** Reads the configuration of a running gateway again when its files change, and when somebody asks. */
export function createReloading(source: StartSource, config: Config, gateway: () => Reloadable | undefined): Reloading {
  let inForce = config
  let tried = config
  let text = source.first.text
  let isRunning = false
  const reloads = createReloads<Config>(
    { read, apply, look: lookAt, schedule, events: { reloaded, refused } },
    source.first,
    () => inForce.reload,
  )
  return { start, now, stop: reloads.stop }

  function start(): void {
    isRunning = true
    reloads.start()
  }

  async function now(): Promise<Reloaded> {
    // What the file says by then is found when the gateway has started.
    if (!isRunning) return { outcome: 'refused', version: inForce.version, reasons: ['the gateway is starting'] }
    const outcome = await reloads.reload()
    return { ...said(outcome), version: inForce.version }
  }

  function read(): ConfigReading {
    const reading = readSource(source, { running: inForce })
    text = reading.text
    return reading
  }

  async function apply(next: Config): Promise<void> {
    tried = next
    const running = gateway()
    if (running === undefined) throw new Error('the gateway is not running')
    await running.reload(next, text)
    inForce = next
  }

  function reloaded({ version, warnings = [] }: Config): void {
    const log = gateway()?.log
    for (const { line, path, message } of warnings) log?.warn('the configuration is odd', { setting: path, line, why: message })
    log?.info('the configuration was read again and is in force', { version })
  }

  function refused(cause: unknown): void {
    const running = gateway()
    if (running === undefined) return
    const { version } = inForce
    if (cause instanceof ConfigError) {
      running.reloadFailed()
      for (const fault of faultsIn(cause)) running.log.error('the new configuration has a fault', { fault })
      running.log.error('the new configuration is refused: the one before stays in force', { version })
      return
    }
    const facts = { version, tried: tried.version, cause }
    running.log.error('the new configuration could not be put in force: the one before stays', facts)
  }
}

function said(outcome: Outcome<Config>): Omit<Reloaded, 'version'> {
  if (outcome.outcome !== 'refused') return { outcome: 'reloaded' }
  const { cause } = outcome
  if (cause instanceof ConfigError) return { outcome: 'refused', reasons: faultsIn(cause) }
  return { outcome: 'refused', reasons: [cause instanceof Error ? cause.message : 'it could not be put in force'] }
}

function faultsIn({ faults }: ConfigError): readonly string[] {
  return faults.slice(0, MOST_REASONS).map(formatFault)
}

/**
 * The same for a process whose primary has read the file: it goes by the text that it is told.
 *
 * @returns why it is not in force; none: it is
 */
export async function takeOn(source: ConfigSource, text: string, gateway: Pick<Gateway, 'config' | 'reload'>): Promise<string[]> {
  const { config, fault } = readSource(source, { text, running: gateway.config })
  if (config === undefined) return [fault instanceof Error ? fault.message : 'it could not be read']
  try {
    await gateway.reload(config)
    return []
  } catch (cause) {
    return [cause instanceof Error ? cause.message : 'it could not be put in force']
  }
}
