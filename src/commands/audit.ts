import type { Config } from '../config/config.ts'
import { auditVerdict } from '../upkeep.ts'
import { UsageError } from './usage.ts'

/**
 * Walks the audit record of this machine.
 *
 * @param noted `SEQ:HASH` as an earlier walk printed it, which the chain must still hold
 * @returns what to print, and the exit code: 1 when the chain is broken
 * @throws Error when there is no record, or `noted` is not what it should be
 */
export function verifyAudit(
  config: Config,
  noted: string | undefined,
  json: boolean,
): { readonly text: string; readonly code: 0 | 1 } {
  const { rows, head, firstBreak } = auditVerdict(config, noted === undefined ? undefined : parseNoted(noted))
  const code = firstBreak === undefined ? 0 : 1
  if (json) return { text: `${JSON.stringify({ ok: code === 0, rows, head, first_break: firstBreak })}\n`, code }
  const upTo = head === undefined ? '' : `, up to ${head.seq}:${head.hash}`
  if (firstBreak === undefined) return { text: `the audit record is whole: ${rows} rows${upTo}\n`, code }
  return { text: `the audit record is broken at row ${firstBreak.seq}: ${firstBreak.what}. Good are ${rows} rows${upTo}\n`, code }
}

function parseNoted(noted: string): { readonly seq: number; readonly hash: string } {
  const [, seq, hash] = /^([1-9][0-9]{0,15}):([0-9a-f]{64})$/.exec(noted) ?? []
  if (seq === undefined || hash === undefined) throw new UsageError('--head: write SEQ:HASH as audit verify prints it')
  return { seq: Number(seq), hash }
}
