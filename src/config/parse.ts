import { dirname, resolve } from 'node:path'
import { assemble } from './assemble.ts'
import type { Assembly } from './assemble.ts'
import { sayFileFault } from './build.ts'
import type { Build } from './build.ts'
import type { Config } from './config.ts'
import { freeze, versionOf } from './describe.ts'
import { readDocument } from './document.ts'
import type { SourceDocument } from './document.ts'
import { ConfigError, createReport, labelOf } from './faults.ts'
import type { Path, Places, Report } from './faults.ts'
import { foldEnvironment } from './from-environment.ts'
import type { TakenFromEnvironment } from './from-environment.ts'
import { interpolate } from './interpolate.ts'
import { NAME } from './names.ts'
import { readShape } from './shape-faults.ts'
import { warningsOf } from './warnings.ts'

/** What the configuration asks of the world. */
export interface ConfigNeeds {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Reads a file as UTF-8 text, or throws. */
  readFile(path: string): string
  /** Cores of this machine, for `workers: auto`. Default: 1. */
  readonly cores?: number
  /**
   * More to hold against the grammar, such as two routes that tie. Paths are keys and indices from the root. When the
   * file has faults already, only the routes that have none are shown.
   */
  inspect?(config: Config): readonly ConfigRemark[]
  /** More that is allowed and seldom meant, of a file without faults. */
  warn?(config: Config): readonly ConfigRemark[]
}

export interface ConfigRemark {
  readonly path: Path
  readonly message: string
}

/** Parses the text of `file`. Throws {@link ConfigError} with every fault at once. */
export function parseText(text: string, file: string, needs: ConfigNeeds): Config {
  const document = readDocument(text)
  const names = routeNames(document.value)
  const places: Places = { locate: document.locate, label: (path) => labelOf(withRouteName(path, names)) }
  const report = createReport(file, places)
  reportDocument(document, report)
  const { value, replaced, used } = interpolate(document.value, { ...needs, report: report.add })
  const { value: whole, taken } = foldEnvironment(value, { environment: needs.environment, report: report.add })
  const draft = readShape(whole, report)
  if (draft === undefined) throw new ConfigError(report.faults())
  const absolute = resolve(file)
  const assembly = assemble(draft, absolute, createBuild(absolute, needs, { document, replaced, report }))
  const config = complete(assembly, taken, report)
  const shown = assembly.routes.filter(({ at }) => !report.touches(['routes', at]))
  const inspected = report.faults().length === 0 ? config : { ...config, routes: shown.map((item) => item.value) }
  for (const { path, message } of needs.inspect?.(inspected) ?? []) {
    const [first, index, ...rest] = path
    const at = first === 'routes' && typeof index === 'number' ? shown[index]?.at : undefined
    report.add(at === undefined ? path : ['routes', at, ...rest], concealed(message, used))
  }
  if (report.faults().length > 0) throw new ConfigError(report.faults())
  const notes = createReport(file, places)
  for (const { path, message } of [...warningsOf(config), ...(needs.warn?.(config) ?? [])]) {
    notes.addAt(places.locate(path, 'value'), path, concealed(message, used))
  }
  const warnings = notes.faults()
  return freeze(warnings.length === 0 ? config : { ...config, warnings })
}

/** One fault about the file as a whole. */
export function fileFault(file: string, error: unknown): ConfigError {
  return new ConfigError([{ file, line: 1, column: 1, path: '', message: `cannot be read: ${sayFileFault(error)}` }])
}

interface Source {
  readonly document: SourceDocument
  readonly replaced: ReadonlySet<string>
  readonly report: Report
}

function reportDocument(document: SourceDocument, report: Report): void {
  for (const { path, message, position } of document.faults) {
    if (position === undefined) report.add(path, message)
    else report.addAt(position, path, message)
  }
  const { value } = document
  if (!document.broken && (value === undefined || value === null)) {
    if (document.faults.length === 0) report.add([], 'is empty: start from the gateway.yaml that ships with Gatehouse')
  } else if (!document.broken && (typeof value !== 'object' || Array.isArray(value))) {
    report.add([], 'must be a mapping: keys and values, such as routes: []')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ConfigError(report.faults())
}

function createBuild(file: string, needs: ConfigNeeds, source: Source): Build {
  const { document, replaced, report } = source
  const folder = dirname(file)
  return {
    report: report.add,
    isWritten: document.has,
    written: (path) => valueAt(document.value, path),
    isFaulty: report.touches,
    isInterpolated: (path) => replaced.has(JSON.stringify(path)),
    lineOf: (path) => document.locate(path, 'value').line,
    resolve: (path) => resolve(folder, path),
    environment: needs.environment,
    cores: needs.cores ?? 1,
    readText(path, at) {
      try {
        return needs.readFile(resolve(folder, path))
      } catch (error) {
        report.add(at, `the file cannot be read: ${sayFileFault(error)}`)
        return undefined
      }
    },
  }
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const step of path) {
    const isContainer = typeof value === 'object' && value !== null && Object.hasOwn(value, step)
    value = isContainer ? Object.entries(value ?? {}).find(([key]) => key === String(step))?.[1] : undefined
  }
  return value
}

function complete({ config, routes }: Assembly, taken: readonly TakenFromEnvironment[], report: Report): Config {
  const from = taken.length === 0 ? {} : { fromEnvironment: taken }
  const whole = { ...config, ...from, version: '', routes: routes.map((item) => item.value) }
  return report.faults().length > 0 ? whole : { ...whole, version: versionOf(whole) }
}

/** Names as they are written: one that comes from the environment is not repeated in faults. */
function routeNames(value: unknown): ReadonlyMap<number, string> {
  const routes = typeof value === 'object' && value !== null && 'routes' in value ? value.routes : undefined
  if (!Array.isArray(routes)) return new Map()
  const names = routes.flatMap((route: unknown, index): [number, string][] => {
    const name = typeof route === 'object' && route !== null && 'name' in route ? route.name : undefined
    return typeof name === 'string' && NAME.test(name) ? [[index, name]] : []
  })
  return new Map(names)
}

function withRouteName(path: Path, names: ReadonlyMap<number, string>): Path {
  const [first, index, ...rest] = path
  const name = first === 'routes' && typeof index === 'number' ? names.get(index) : undefined
  return name === undefined ? path : ['routes', name, ...rest]
}

/** The message without what came from the environment: it may be a secret. Shorter values are words of the message itself. */
function concealed(message: string, used: ReadonlyMap<string, string>): string {
  let text = message
  for (const [value, name] of used) if (value.length >= 4) text = text.replaceAll(value, () => `\${${name}}`)
  return text
}
