/** What is left after long, as tables. */
import type { ReloadsResults } from '../reloads.ts'
import type { SoakResults } from '../soak.ts'
import type { Trend } from '../support/soak-series.ts'
import { tableOf, whole } from '../support/markdown.ts'
import { figuresPart } from './tables.ts'

export function soakPart({ setting, good, failed, changes, restarts, series, trends, left }: SoakResults): string {
  const { seconds, perSecond, node } = setting
  return `${whole(good.requests)} good requests in ${seconds} s, ${whole(perSecond)}/s, Node ${node}: ${failed} failed, p50 ${good.p50Ms} ms, p99 ${good.p99Ms} ms, longest ${good.maxMs} ms.
${changes.good} changes of the file were put in force, ${changes.bad} refused; ${restarts} times a server was stopped and started.

${trendsPart(trends)}

What is alive without load, before and 70 s afterwards:

${figuresPart(left)}

${figuresPart(Object.fromEntries(series.map(({ seconds: second, ...piece }) => [`${second} s`, piece])))}`
}

export function reloadsPart({ rows, trends }: ReloadsResults): string {
  return `${trendsPart(trends)}

${figuresPart(Object.fromEntries(rows.map(({ reloads, ...row }) => [`${reloads} reloads`, row])))}`
}

function trendsPart(trends: Readonly<Record<string, Trend>>): string {
  return tableOf([
    ['last half', 'level', 'rise', 'in 100 reloads', 'spread', ''],
    ...Object.entries(trends).map(([name, { level, rise, perHundredReloads, spread, verdict }]) => [
      name,
      ...[level, rise, perHundredReloads, spread].map(String),
      verdict,
    ]),
  ])
}
