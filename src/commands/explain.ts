import type { Config } from '../config/config.ts'
import { explainOnce, readAskedRequest, type Explanation, type Question } from '../explain-once.ts'
import { Problem } from '../problem/problem.ts'
import { table } from './table.ts'
import { UsageError } from './usage.ts'

export interface ExplainOptions {
  readonly method: string
  readonly url: string
  /** It is a secret. */
  readonly token?: string | undefined
  /** `Name: value`. */
  readonly headers: readonly string[]
  /** Address that it comes from. */
  readonly ip?: string | undefined
  readonly json: boolean
}

/** What would become of a request, step by step. */
export async function explain(config: Config, options: ExplainOptions): Promise<string> {
  const { json, headers, ...request } = options
  const explanation = await explainOnce(config, read({ ...request, headers: Object.fromEntries(headers.map(readHeader)) }))
  return json ? `${JSON.stringify(explanation, null, 2)}\n` : said(explanation)
}

function read(request: Readonly<Record<string, unknown>>): Question {
  try {
    return readAskedRequest(request)
  } catch (error) {
    const [fault] = error instanceof Problem ? (error.facts.fields ?? []) : []
    throw fault === undefined ? error : new UsageError(`${fault.field} ${fault.message}`)
  }
}

function readHeader(text: string): [string, string] {
  const colon = text.indexOf(':')
  if (colon < 1) throw new UsageError('--header needs a name and a value: --header "x-beta: 1"')
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]
}

function said({ decision, status, error, route, steps }: Explanation): string {
  const head = decision === 'allow' ? 'allow' : `refuse ${status} ${error ?? ''}`
  const rows = steps.map((step) => [step.room, step.rule, step.result])
  const why = steps.at(-1)?.detail
  return `${head}${route === null ? '' : `, route ${route}`}\n\n${table(['step', 'rule', 'result'], rows)}${why === undefined ? '' : `\n${why}\n`}`
}
