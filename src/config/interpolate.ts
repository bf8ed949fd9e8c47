import { sayFileFault } from './build.ts'
import type { Path } from './faults.ts'

export interface Interpolation {
  readonly value: unknown
  /** The path of each string that took a value from the environment, as JSON. */
  readonly replaced: ReadonlySet<string>
  /** Variables that were used, so that what they hold can be kept out of messages: value → name. */
  readonly used: ReadonlyMap<string, string>
}

interface Needs {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly report: (path: Path, message: string) => void
  readonly readFile: (path: string) => string
}

const REFERENCE = /\$\{([^}]*)(\}?)/g
const BODY = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

/**
 * Replaces `${NAME}` and `${NAME:-default}` inside every string value. As in a shell, the default also stands for a
 * variable that is empty. Where NAME is not set and NAME_FILE is, what stands in the file that it names is taken, as containers
 * are given secrets. Keys are left alone, and so is what a variable holds: `${` in it means nothing.
 */
export function interpolate(value: unknown, needs: Needs): Interpolation {
  const replaced = new Set<string>()
  const used = new Map<string, string>()
  return { value: walk(value, []), replaced, used }

  function walk(node: unknown, path: Path): unknown {
    if (typeof node === 'string') return node.includes('${') ? replace(node, path) : node
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index]))
    if (typeof node !== 'object' || node === null) return node
    const copy: Record<string, unknown> = Object.create(null)
    for (const [key, item] of Object.entries(node)) copy[key] = walk(item, [...path, key])
    return copy
  }

  /** `undefined` when a variable is missing: the fault is reported here, and what is absent gets no second one. */
  function replace(text: string, path: Path): string | undefined {
    let failed = false
    const result = text.replace(REFERENCE, (_, inside: string, close: string) => {
      const [, name, fallback] = BODY.exec(inside) ?? []
      if (close === '' || name === undefined) {
        failed = true
        needs.report(path, 'a reference to the environment is written ${NAME} or ${NAME:-default}')
        return ''
      }
      const { found, fault } = lookUp(name)
      if (fault !== undefined) {
        failed = true
        needs.report(path, fault)
        return ''
      }
      if (found !== undefined && (found !== '' || fallback === undefined)) {
        if (found !== '') used.set(found, name)
        return found
      }
      if (fallback !== undefined) return fallback
      failed = true
      needs.report(path, `the environment variable ${name} is not set: set it, or write \${${name}:-default}`)
      return ''
    })
    replaced.add(JSON.stringify(path))
    return failed ? undefined : result
  }

  function lookUp(name: string): { readonly found?: string | undefined; readonly fault?: string } {
    const said = variable(name)
    const file = said === undefined || said === '' ? variable(`${name}_FILE`) : undefined
    if (file === undefined || file === '') return { found: said }
    try {
      return { found: needs.readFile(file).replace(/\r?\n$/, '') }
    } catch (error) {
      return { fault: `the file that the environment variable ${name}_FILE names cannot be read: ${sayFileFault(error)}` }
    }
  }

  function variable(name: string): string | undefined {
    return Object.hasOwn(needs.environment, name) ? needs.environment[name] : undefined
  }
}
