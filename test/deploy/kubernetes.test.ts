import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ofKind, readManifests, workloadOf } from '../support/kubernetes.ts'
import { configOf, expectWhole } from './manifests.ts'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = join(ROOT, 'deploy/kubernetes')
const read = (file: string) => readManifests(readFileSync(join(FOLDER, file), 'utf8'), file)

describe('deploy/kubernetes', () => {
  const files = readdirSync(FOLDER)
  const manifests = files.flatMap(read)

  it('has what a gateway needs, each of a kind that Kubernetes knows', () => {
    expect(new Set(manifests.map(({ kind }) => kind))).toEqual(
      new Set([
        'ConfigMap',
        'Secret',
        'ServiceAccount',
        'Deployment',
        'Service',
        'HorizontalPodAutoscaler',
        'PodDisruptionBudget',
        'NetworkPolicy',
        'ServiceMonitor',
      ]),
    )
  })

  it('names nothing that is not there, and runs without any right that it does not need', () => {
    expectWhole(manifests, { secretName: 'gatehouse-secrets' })
  })

  it('runs the version of this repository', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }
    expect(workloadOf(manifests).spec.template.spec.containers[0]?.image).toBe(`ghcr.io/gatehouse/gatehouse:${version}`)
  })

  it('has a Secret of the keys that the configuration reads, and no secret in it', () => {
    const [secret] = ofKind(manifests, 'Secret')
    expect(secret?.stringData).toEqual({ 'master-key': '', 'admin-token': '', 'redis-password': '', 'database-password': '' })
  })

  it('replaces gateways without ever having fewer than are wanted', () => {
    const [deployment] = ofKind(manifests, 'Deployment')
    expect(deployment?.spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 })
  })

  it('lets clients in where the gateway listens to them, and to the operators the monitoring alone', () => {
    const policy = ofKind(manifests, 'NetworkPolicy').find(({ metadata }) => metadata.name === 'gatehouse')
    const { listeners } = configOf(manifests)
    const { labels } = workloadOf(manifests).spec.template.metadata
    expect(labels).toMatchObject(policy?.spec.podSelector.matchLabels ?? { none: 'none' })
    const ports = policy?.spec.ingress.map((rule) => [rule.ports?.[0]?.port, 'from' in rule])
    expect(ports).toEqual([
      [listeners.public.port, false],
      [listeners.admin.port, true],
    ])
  })
})

it.each([
  ['a key that nobody knows', 'revisionHistoryLimit: 5', 'revisionHistoryLimits: 5'],
  ['another type', 'terminationGracePeriodSeconds: 30', 'terminationGracePeriodSeconds: "30"'],
  ['a probe of another kind', 'failureThreshold: 60', 'failureTreshold: 60'],
])('a manifest with %s is refused', (_, good, bad) => {
  const text = readFileSync(join(FOLDER, 'gatehouse.yaml'), 'utf8')
  expect(text).toContain(good)
  expect(() => readManifests(text.replace(good, bad), 'gatehouse.yaml')).toThrow(/gatehouse\.yaml, document 2/)
})

it.each([
  ['a service that selects other pods', 'selector: { app: gatehouse }', 'selector: { app: gateway }'],
  ['a port that no container has', 'targetPort: http,', 'targetPort: web,'],
  ['a volume that is not there', '{ name: tmp, mountPath: /tmp }', '{ name: temp, mountPath: /tmp }'],
  ['a gateway that is killed before it is done', 'terminationGracePeriodSeconds: 30', 'terminationGracePeriodSeconds: 25'],
  ['a process that may become another', 'allowPrivilegeEscalation: false', 'allowPrivilegeEscalation: true'],
  ['an image without a version', 'gatehouse:0.1.0', 'gatehouse:latest'],
  ['a readiness probe of another path', 'path: /readyz', 'path: /ready'],
])('%s is noticed', (_, good, bad) => {
  const text = readFileSync(join(FOLDER, 'gatehouse.yaml'), 'utf8')
  expect(text).toContain(good)
  const whole = (gatehouse: string) =>
    expectWhole([...readManifests(gatehouse, 'gatehouse.yaml'), ...read('config.yaml')], { secretName: 'gatehouse-secrets' })
  whole(text)
  expect(() => whole(text.replace(good, bad))).toThrow()
})
