/**
 * What the log says of parts that fail and are well again.
 *
 * @module
 */
import { unreadable } from './listener/listener.ts'
import type { Problem } from './problem/problem.ts'
import type { Telemetry } from './telemetry/telemetry.ts'

export function noteAudit({ log, observe }: Telemetry, state: 'up' | 'down', cause?: unknown): void {
  observe({ auditUp: () => state === 'up' })
  if (state === 'up') log.info('the audit record is written again')
  else log.error('the audit record cannot be written', { cause })
}

export function noteCopy({ log }: Telemetry, state: 'up' | 'down', cause?: unknown): void {
  if (state === 'up') log.info('the copy of the sealed keys is written again')
  else log.warn('the copy of the sealed keys cannot be written: a start without Redis would not have them', { cause })
}

export function noteUnpublished({ log }: Telemetry, cause: unknown): void {
  log.warn('public keys were not put into Redis', { cause })
}

export function noteKeys({ log }: Telemetry, state: 'up' | 'down', cause?: unknown): void {
  if (state === 'up') log.info('the stored signing keys are read again')
  else log.error('the stored signing keys cannot be read, those that are known go on', { cause })
}

export function noteCertificates({ log }: Telemetry, result: 'taken' | 'refused', cause?: unknown): void {
  if (result === 'taken') log.info('the certificates of the listener were read again')
  else log.error('the certificates of the listener cannot be used, those before serve on', { cause })
}

/** What could not be read as a request ends like one: with a record and an id. */
export function noteMalformed(telemetry: Telemetry, arrival: Parameters<typeof unreadable>[0], problem: Problem): string {
  const record = telemetry.open(unreadable(arrival))
  record.problem = problem
  record.status = problem.status
  telemetry.close(record)
  return record.exchange.id
}
