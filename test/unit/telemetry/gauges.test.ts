/** Gauges that alerts are made of. */
import { describe, expect, it } from 'vitest'
import { noteAudit } from '../../../src/notes.ts'
import { configOf, createWorld, type World } from './world.ts'

async function samples({ telemetry }: World, name: string): Promise<readonly string[]> {
  const { body } = await telemetry.scrape()
  return body.split('\n').filter((line) => line.startsWith(name))
}

describe('a gauge', () => {
  it('of the audit record falls when it cannot be written, and rises when it can', async () => {
    const world = createWorld()
    expect(await samples(world, 'gatehouse_audit_up')).toEqual([])
    noteAudit(world.telemetry, 'down', new Error('disk full'))
    expect(await samples(world, 'gatehouse_audit_up')).toEqual(['gatehouse_audit_up 0'])
    noteAudit(world.telemetry, 'up')
    expect(await samples(world, 'gatehouse_audit_up')).toEqual(['gatehouse_audit_up 1'])
    expect(world.lines().map(({ msg }) => msg)).toEqual([
      'the audit record cannot be written',
      'the audit record is written again',
    ])
  })

  it('of the next keys has the earliest of all tenants without series of their own', async () => {
    const world = createWorld()
    const config = configOf(1)
    const acme = config.tenants.get('acme')
    if (acme === undefined) throw new Error('the test has no tenant')
    const tenants = new Map(['acme', 'b', 'c'].map((id) => [id, { ...acme, id }]))
    world.telemetry.use({ ...config, tenants, telemetry: { ...config.telemetry, metrics: { tenants: 1 } } })
    world.telemetry.observe({
      keyRotationsDue: () => [
        ['acme', 300],
        ['b', 200],
        ['c', 100],
      ],
      revocationMaxStalenessMs: () => 2500,
    })
    expect(await samples(world, 'gatehouse_signing_key_rotation')).toEqual([
      'gatehouse_signing_key_rotation_due_timestamp_seconds{tenant="acme"} 300',
      'gatehouse_signing_key_rotation_due_timestamp_seconds{tenant="_other"} 100',
    ])
    expect(await samples(world, 'gatehouse_revocation_max')).toEqual(['gatehouse_revocation_max_staleness_seconds 2.5'])
  })
})
