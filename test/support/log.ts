import type { LogSlice, Revocation, RevocationLog } from '../../src/revocation/revocation.ts'

/** The pages of a snapshot as one. */
export async function snapshotOf(log: Pick<RevocationLog, 'snapshot'>): Promise<LogSlice> {
  const revocations: Revocation[] = []
  for await (const page of log.snapshot()) {
    revocations.push(...page.revocations)
    if (page.complete) return { position: page.position, revocations, complete: true }
  }
  throw new Error('the snapshot has no last page')
}
