import type { Path } from './faults.ts'
import type { SecretSource } from './secrets.ts'

/** What the parts of the configuration need while they are made from the draft. */
export interface Build {
  /** Adds a fault. What is built goes on with a stand-in and is thrown away in the end. */
  readonly report: (path: Path, message: string) => void
  /** Whether the file says anything at `path`, as against a default. */
  readonly isWritten: (path: Path) => boolean
  /** What stands at `path`, before the environment was put into it. It may hold a secret by mistake. */
  readonly written: (path: Path) => unknown
  /** Whether something at `path` or inside it has a fault already. */
  readonly isFaulty: (path: Path) => boolean
  /** Whether the string at `path` took a value from the environment, and must not be repeated. */
  readonly isInterpolated: (path: Path) => boolean
  /** The line of what stands at `path`. */
  readonly lineOf: (path: Path) => number
  /** A path of the file, relative to the folder of the configuration, as an absolute one. */
  readonly resolve: (path: string) => string
  /** The text of a file named at `path`; a fault and `undefined` when it cannot be read. */
  readonly readText: (file: string, path: Path) => string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Of this machine. */
  readonly cores: number
}

/** The secret itself, without the line break that ends its file; a fault and `undefined` when there is none. */
export function readSecret(source: SecretSource, path: Path, build: Build): string | undefined {
  if ('env' in source) {
    const value = Object.hasOwn(build.environment, source.env) ? build.environment[source.env] : undefined
    if (value !== undefined && value !== '') return value
    // A name in lower case may be the secret itself, written in the wrong place.
    const isName = /^[A-Z][A-Z0-9_]*$/.test(source.env) && !build.isInterpolated([...path, 'env'])
    const named = isName ? `variable ${source.env}` : 'variable named here'
    build.report(path, `the environment ${named} is ${value === '' ? 'empty' : 'not set'}: set it to the secret`)
    return undefined
  }
  const text = build.readText(source.file, path)?.replace(/\r?\n$/, '')
  if (text === '') build.report(path, 'the file is empty: write the secret into it')
  return text === '' ? undefined : text
}

/** An empty list where something must be said. A list whose elements were refused is not empty in the file. */
export function refuseEmpty(items: readonly unknown[] | undefined, path: Path, message: string, build: Build): void {
  if (items?.length === 0 && !build.isFaulty(path)) build.report(path, `must not be empty: ${message}`)
}

/** Says what a fault of the file system means, without its path. */
export function sayFileFault(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied'
  return code === 'EISDIR' ? 'it is a folder' : 'reading it failed'
}
