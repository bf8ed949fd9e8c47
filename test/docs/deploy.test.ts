import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { expect, test } from 'vitest'
import { testConfig } from '../support/config.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const policies = parseAllDocuments(readFileSync(resolve(ROOT, 'deploy/kubernetes/network-policy.yaml'), 'utf8')).map(
  (document): unknown => document.toJS(),
)

interface Policy {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> }
    readonly ingress: readonly { readonly from?: readonly unknown[]; readonly ports?: readonly { readonly port: number }[] }[]
  }
}

function isPolicy(value: unknown): value is Policy {
  return typeof value === 'object' && value !== null && 'spec' in value && 'metadata' in value
}

function policy(name: string): Policy {
  const found = policies.filter(isPolicy).find(({ metadata }) => metadata.name === name)
  if (found === undefined) throw new Error(`no policy ${name}`)
  return found
}

test('every document is a NetworkPolicy of the stable version', () => {
  expect(policies).not.toEqual([])
  for (const one of policies) expect(one).toMatchObject({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' })
})

test.each(['redis-from-gatehouse', 'database-from-gatehouse', 'upstreams-from-gatehouse'])(
  '%s lets nobody in whom it does not name',
  (name) => {
    const { ingress } = policy(name).spec
    expect(ingress).not.toEqual([])
    for (const rule of ingress) {
      expect(rule.from).toContainEqual({ podSelector: { matchLabels: { app: 'gatehouse' } } })
      for (const one of rule.from ?? []) expect(one).not.toEqual({})
    }
  },
)

test('the ports of the gateway are those of the shipped configuration, and the admin listener is not for everyone', () => {
  const { listeners } = testConfig(readFileSync(resolve(ROOT, 'gateway.yaml'), 'utf8'))
  const { ingress } = policy('gatehouse').spec
  const open = ingress.filter((rule) => rule.from === undefined).flatMap((rule) => rule.ports ?? [])
  const closed = ingress.filter((rule) => rule.from !== undefined).flatMap((rule) => rule.ports ?? [])
  expect(open.map(({ port }) => port)).toEqual([listeners.public.port])
  expect(closed.map(({ port }) => port)).toEqual([listeners.admin.port])
})
