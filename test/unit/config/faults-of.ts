import { ConfigError, formatFault, parseConfig } from '../../../src/config/config.ts'
import type { ConfigNeeds } from '../../../src/config/config.ts'

/** Files of a test, by absolute path; `gateway.yaml` is in `/etc/gatehouse`. */
export type Files = Readonly<Record<string, string>>

export function needsOf(environment: ConfigNeeds['environment'] = {}, files: Files = {}): ConfigNeeds {
  return {
    environment,
    readFile(path) {
      const text = Object.hasOwn(files, path) ? files[path] : undefined
      if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
      return text
    },
  }
}

/** What is wrong with the text, a line each, without the name of the file; empty when nothing is. */
export function faultsOf(yaml: string, needs: ConfigNeeds = needsOf()): readonly string[] {
  try {
    parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needs)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.faults.map((fault) => formatFault(fault).replace('/etc/gatehouse/gateway.yaml:', ''))
  }
}

/**
 * A text in which `§` stands before each thing that will be said to be wrong, in the order of the text. Gives the text
 * without the marks, and `messages`, one for each mark, with line and column.
 */
export function marked(text: string, messages: readonly string[]): { readonly yaml: string; readonly faults: readonly string[] } {
  const parts = text.split('§')
  if (parts.length !== messages.length + 1) throw new Error(`${messages.length} messages for ${parts.length - 1} marks`)
  const faults = messages.map((message, index) => {
    const lines = parts
      .slice(0, index + 1)
      .join('')
      .split('\n')
    return `${lines.length}:${(lines.at(-1) ?? '').length + 1} ${message}`
  })
  return { yaml: parts.join(''), faults }
}
