import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { loadConfig, restartRemarks, type Config, type ConfigRemark } from '../config/config.ts'
import { findRouteFaultsOf, findRouteWarningsOf } from '../gateway.ts'

/** The configuration as it was read, with all that was read for it. */
export interface ConfigReading {
  /** Absolute paths, of files that are not there too. */
  readonly files: readonly string[]
  /** Tells one content of these files from another. */
  readonly digest: string
  /** Of the file itself. */
  readonly text: string
  /** Absent when it has faults. */
  readonly config?: Config
  /** A {@link ConfigError}, or a fault of ours. */
  readonly fault?: unknown
}

export interface ConfigSource {
  /** As the operator wrote it. */
  readonly file: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

interface ReadOptions {
  /** Text to go by in place of that of the file. */
  readonly text?: string | undefined
  /** The configuration of a gateway that is to take this one on; absent: one that will be started. */
  readonly running?: Config
}

/** Reads the configuration, and notes what was read. Never throws. */
export function readSource({ file, environment }: ConfigSource, options: ReadOptions = {}): ConfigReading {
  const read = new Map<string, string>()
  const { running } = options
  let text = ''
  try {
    const config = load([])
    const remarks = running === undefined ? [] : restartRemarks(running, config)
    // Once more, for their places in the file.
    if (remarks.length > 0) load(remarks)
    // These are read by who uses them.
    for (const { keys } of config.issuers.values()) if (keys.kind === 'file') note(keys.file)
    return { ...facts(), config }
  } catch (fault) {
    return { ...facts(), fault }
  }

  function load(remarks: readonly ConfigRemark[]): Config {
    const cores = availableParallelism()
    const inspect = (config: Config) => [...findRouteFaultsOf(config), ...remarks]
    return loadConfig(file, { environment, readFile, cores, inspect, warn: findRouteWarningsOf })
  }

  function readFile(path: string): string {
    read.set(path, 'none')
    const content = path === resolve(file) && options.text !== undefined ? options.text : readFileSync(path, 'utf8')
    read.set(path, sha256(content))
    if (path === resolve(file)) text = content
    return content
  }

  function note(path: string): void {
    try {
      readFile(path)
    } catch {
      // Whoever uses it says so, with what it is for.
    }
  }

  function facts(): Pick<ConfigReading, 'files' | 'digest' | 'text'> {
    const files = [...read.keys()].toSorted()
    return { files, digest: sha256(JSON.stringify(files.map((path) => [path, read.get(path)]))), text }
  }
}

/** Which file stands at a path, and when it was changed last, wherever names on the way there lead. */
export async function lookAt(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch {
    return undefined
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
