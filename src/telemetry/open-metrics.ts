import type { Exemplars } from './exemplars.ts'

export const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Whether an `Accept` field asks for OpenMetrics, which alone can carry exemplars. */
export function wantsOpenMetrics(accept: string): boolean {
  return accept.split(',').some((part) => {
    const [type, ...parameters] = part.split(';').map((word) => word.trim().toLowerCase())
    return type === 'application/openmetrics-text' && !parameters.some((one) => /^q=0(\.0*)?$/.test(one))
  })
}

const BUCKET = /^gatehouse_request_duration_seconds_bucket\{(?:le="([^"]+)",route="([^"]*)"|route="([^"]*)",le="([^"]+)")\} /

/** The text format of Prometheus as OpenMetrics 1.0: names of counters without `_total`, no empty lines, exemplars, an end. */
export function openMetrics(text: string, exemplars: Exemplars): string {
  const lines = text.split('\n')
  const counters = new Set(lines.flatMap((line) => /^# TYPE (\S+)_total counter$/.exec(line)?.[1] ?? []))
  let written = ''
  for (const line of lines) if (line !== '') written += `${converted(line, counters, exemplars)}\n`
  return `${written}# EOF\n`
}

function converted(line: string, counters: ReadonlySet<string>, exemplars: Exemplars): string {
  if (line.startsWith('# ')) return family(line, counters)
  if (exemplars.isEmpty()) return line
  const [, le, route, otherRoute, otherLe] = BUCKET.exec(line) ?? []
  const bucket = le ?? otherLe
  return bucket === undefined ? line : line + exemplars.of(route ?? otherRoute ?? '', bucket)
}

/** `# HELP name text` or `# TYPE name type`. */
function family(line: string, counters: ReadonlySet<string>): string {
  const [, head = '', name = '', rest = ''] = /^(# (?:HELP|TYPE) )(\S+)(.*)$/.exec(line) ?? []
  const plain = name.replace(/_total$/, '')
  return `${head}${counters.has(plain) ? plain : name}${head === '# HELP ' ? rest.replaceAll('"', '\\"') : rest}`
}
