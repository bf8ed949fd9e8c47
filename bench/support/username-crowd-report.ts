/** The part of results/usernames.md about a crowd of open connections, and its plots. */
import { tableOf, whole } from './markdown.ts'
import { plotLines } from './plot.ts'
import type { CrowdStep } from './username-crowd.ts'

/** What is asked for: of checks, and milliseconds. */
const TARGET = { errors: 0.001, p50Ms: 2, p95Ms: 8, p99Ms: 15 } as const
const QUANTILES = ['p50Ms', 'p95Ms', 'p99Ms'] as const

export interface CrowdReport {
  readonly text: string
  readonly table: string
  /** Connections and latency. */
  readonly growthPlot: string
  /** Latency in each second of the last step. */
  readonly secondsPlot: string
}

/** Undefined where nothing was measured. */
export function crowdReport(steps: readonly CrowdStep[]): CrowdReport | undefined {
  const last = steps.at(-1)
  // Of a run before there was more to tell: until the next one there is nothing.
  if (last?.sinceSent === undefined) return undefined
  return { text: textOf(steps, last), table: tableOfSteps(steps), growthPlot: growthPlot(steps), secondsPlot: secondsPlot(last) }
}

function textOf(steps: readonly CrowdStep[], last: CrowdStep): string {
  const carried = steps.findLast(isWithin)
  return [
    'Each client keeps its connection and checks a name every 30 seconds; what is measured begins when each has done so once, with what that took and what failed in it beside it.',
    last.stoppedBy === undefined
      ? `All of ${whole(last.clients)} connections were open.`
      : `It went as far as ${whole(last.opened)} open connections; then: ${last.stoppedBy}.`,
    carried === undefined
      ? 'No step was within all targets.'
      : `Within all targets: ${whole(carried.opened)} connections, ${whole(carried.perSecond)} checks a second for ${carried.seconds} s.`,
    `The gateway has ${last.workers} workers on both cores, since a process may have no more open files here; the clients, as many processes, are on the second one together with Redis and the database.`,
    'What the clients were late in sending is in the latencies, and left out of those that count from the moment of sending; what they were late in reading is in both.',
  ].join(' ')
}

/** Of all that was asked for, not one target is missed. */
function isWithin({ checks, errors, wrong, stoppedBy, ...timing }: CrowdStep): boolean {
  const isQuick = QUANTILES.every((quantile) => timing[quantile] <= TARGET[quantile])
  return isQuick && wrong === 0 && stoppedBy === undefined && errors < (checks + errors) * TARGET.errors
}

function tableOfSteps(steps: readonly CrowdStep[]): string {
  const row = (name: string, target: string, of: (step: CrowdStep) => string): readonly string[] => [
    name,
    target,
    ...steps.map(of),
  ]
  return tableOf([
    row('connections', '100,000', (step) => whole(step.opened)),
    row('measured for', '300 s', (step) => `${step.seconds} s`),
    row('checks a second', '', (step) => whole(step.perSecond)),
    ...QUANTILES.map((quantile) => row(quantile.slice(0, 3), `≤ ${TARGET[quantile]} ms`, (step) => ms(step[quantile]))),
    row('since they were sent, p50 · p95 · p99', '', ({ sinceSent }) =>
      QUANTILES.map((quantile) => ms(sinceSent[quantile])).join(' · '),
    ),
    row('p99.9 · longest', '', (step) => `${ms(step.p999Ms)} · ${ms(step.maxMs)}`),
    row('errors', '< 0.1 %', (step) => `${whole(step.errors)}, ${share(step.errors, step.checks + step.errors)}`),
    row('errors of the first check of each', '', (step) => whole(step.firstErrors)),
    row('wrong answers', '0', (step) => whole(step.wrong)),
    row('sent late by the clients, p99', '', (step) => ms(step.sentLateP99Ms)),
    row('read late by the clients, at most, p99', '', (step) => ms(step.unreadP99Ms)),
    row('cores, gateway · all else', '', (step) => `${step.gatewayCore.toFixed(2)} · ${step.otherCores.toFixed(2)}`),
    row('memory of a connection', '', (step) => `${step.kibEach} KiB`),
    row('memory of all processes', '', (step) => `${whole(step.gatewayMiB)} MiB`),
    row('open files, primary · worker', '', (step) => `${whole(step.primaryFiles)} · ${whole(step.workerFiles)}`),
  ])
}

function growthPlot(steps: readonly CrowdStep[]): string {
  const drawn = steps.filter((step) => step.checks > 0)
  const ticks = drawn.map((step) => [step.opened, whole(step.opened)] as const)
  return plotLines({
    title: 'Connections and latency',
    x: { title: 'open connections', scale: 'logarithmic', ticks },
    y: { title: 'ms', scale: 'logarithmic' },
    series: QUANTILES.map((quantile) => ({
      name: quantile.slice(0, 3),
      points: drawn.map((step) => [step.opened, step[quantile]] as const),
    })),
    limits: [[TARGET.p99Ms, 'p99 ≤ 15 ms']],
  })
}

function secondsPlot({ bySecond, opened }: CrowdStep): string {
  return plotLines({
    title: `Latency in each second, ${whole(opened)} connections`,
    x: { title: 'second' },
    y: { title: 'ms' },
    series: QUANTILES.map((quantile) => ({
      name: quantile.slice(0, 3),
      // What was never measured is null in the file.
      points: bySecond
        .map((second, index) => [index + 1, second[quantile]] as const)
        .filter(([, value]) => Number.isFinite(value)),
    })),
    limits: [[TARGET.p99Ms, 'p99 ≤ 15 ms']],
  })
}

function ms(value: number | null): string {
  return value === null ? '–' : `${value.toFixed(2)} ms`
}

function share(part: number, of: number): string {
  return of === 0 ? '–' : `${Number(((part / of) * 100).toPrecision(3))} %`
}
