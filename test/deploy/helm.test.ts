import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { ofKind, readManifests, workloadOf, type Manifest } from '../support/kubernetes.ts'
import { renderChart } from '../support/helm/render.ts'
import { expectWhole } from './manifests.ts'

const ROOT = join(import.meta.dirname, '../..')
const CHART = join(ROOT, 'deploy/helm/gatehouse')
const RELEASE = { name: 'edge', namespace: 'production' }

function install(values: Readonly<Record<string, unknown>> = {}): readonly Manifest[] {
  const files = renderChart(CHART, values, RELEASE)
  return [...files].flatMap(([file, text]) => (file.endsWith('.yaml') ? readManifests(text, file) : []))
}

const podOf = (manifests: readonly Manifest[]) => workloadOf(manifests).spec.template

const EVERYTHING = {
  image: { digest: `sha256:${'a'.repeat(64)}` },
  imagePullSecrets: [{ name: 'registry' }],
  fullnameOverride: 'front-door',
  secretName: 'front-door-secrets',
  config: { listeners: { public: { origin: 'https://api.example.com', trustedProxies: ['10.0.0.0/8'] } } },
  env: { LANG: 'C.UTF-8' },
  envFrom: [{ secretRef: { name: 'more' } }],
  extraVolumes: [{ name: 'certificates', secret: { secretName: 'certificates', defaultMode: 288 } }],
  extraVolumeMounts: [{ name: 'certificates', mountPath: '/run/certificates', readOnly: true }],
  persistence: { enabled: false },
  service: { type: 'LoadBalancer', port: 443, annotations: { 'example.com/kind': 'internal' } },
  ingress: {
    enabled: true,
    className: 'nginx',
    hosts: ['api.example.com'],
    tls: [{ secretName: 'tls', hosts: ['api.example.com'] }],
  },
  priorityClassName: 'system-edge',
  podAnnotations: { 'example.com/team': 'edge' },
  podLabels: { team: 'edge' },
  nodeSelector: { 'kubernetes.io/arch': 'amd64' },
  tolerations: [{ key: 'edge', operator: 'Exists', effect: 'NoSchedule' }],
  affinity: { podAntiAffinity: {} },
  serviceAccount: { create: false, name: 'existing' },
  networkPolicy: { clients: [{ namespaceSelector: { matchLabels: { name: 'ingress' } } }] },
  prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
  dashboard: { enabled: true },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
}

describe('the chart', () => {
  it.each([
    ['as it is', {}, 'gatehouse-secrets'],
    ['with everything', EVERYTHING, 'front-door-secrets'],
    [
      'as one without a server',
      { replicaCount: 1, autoscaling: { enabled: false }, config: { storage: { sessions: 'embedded', accounts: 'embedded' } } },
      'gatehouse-secrets',
    ],
    [
      'under a long name',
      { nameOverride: 'the-gateway-of-all-that-is-for-clients-of-the-north-and-of-the-south' },
      'gatehouse-secrets',
    ],
  ])('%s is whole', (_, values, secretName) => {
    expectWhole(install(values), { secretName })
  })

  it('keeps the record of each replica on a volume that outlives it, as a StatefulSet', () => {
    const manifests = install()
    expect(workloadOf(manifests).kind).toBe('StatefulSet')
    const [set] = ofKind(manifests, 'StatefulSet')
    expect(set?.spec.volumeClaimTemplates).toEqual([
      { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } } },
    ])
    expect(manifests.map(({ kind }) => kind).toSorted()).toEqual([
      'ConfigMap',
      'HorizontalPodAutoscaler',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'Service',
      'Service',
      'ServiceAccount',
      'StatefulSet',
    ])
  })

  it('writes every value where it belongs', () => {
    const manifests = install(EVERYTHING)
    expect(workloadOf(manifests)).toMatchObject({ kind: 'Deployment', metadata: { name: 'front-door' } })
    const { metadata, spec } = podOf(manifests)
    expect(metadata.labels).toMatchObject({ team: 'edge', 'app.kubernetes.io/instance': 'edge' })
    expect(metadata.annotations).toMatchObject({ 'example.com/team': 'edge' })
    expect(spec).toMatchObject({
      imagePullSecrets: [{ name: 'registry' }],
      serviceAccountName: 'existing',
      priorityClassName: 'system-edge',
      nodeSelector: { 'kubernetes.io/arch': 'amd64' },
      tolerations: [{ key: 'edge' }],
      affinity: { podAntiAffinity: {} },
      containers: [
        {
          image: `ghcr.io/gatehouse/gatehouse@sha256:${'a'.repeat(64)}`,
          env: expect.arrayContaining([{ name: 'LANG', value: 'C.UTF-8' }]),
          envFrom: [{ secretRef: { name: 'more' } }],
          volumeMounts: expect.arrayContaining([{ name: 'certificates', mountPath: '/run/certificates', readOnly: true }]),
        },
      ],
    })
    expect(ofKind(manifests, 'Service')[0]).toMatchObject({
      metadata: { annotations: { 'example.com/kind': 'internal' } },
      spec: { type: 'LoadBalancer' },
    })
    expect(ofKind(manifests, 'Ingress')[0]?.spec).toMatchObject({
      ingressClassName: 'nginx',
      rules: [{ host: 'api.example.com' }],
    })
    expect(ofKind(manifests, 'NetworkPolicy')[0]?.spec.ingress[0]).toMatchObject({ from: [{ namespaceSelector: {} }] })
    expect(ofKind(manifests, 'ServiceMonitor')[0]?.metadata.labels).toMatchObject({ release: 'prometheus' })
    expect(ofKind(manifests, 'ServiceAccount')).toEqual([])
  })

  it('rolls the gateways out anew when the configuration changes, and only then', () => {
    const checksum = (values: Readonly<Record<string, unknown>>) =>
      podOf(install(values)).metadata.annotations?.['checksum/config']
    expect(checksum({})).toMatch(/^[0-9a-f]{64}$/)
    expect(checksum({ replicaCount: 3 })).toBe(checksum({}))
    expect(checksum({ config: { reload: { watch: false } } })).not.toBe(checksum({}))
  })

  it('says how many there are where nothing scales them', () => {
    const manifests = install({
      autoscaling: { enabled: false },
      replicaCount: 3,
      podDisruptionBudget: { enabled: false },
      networkPolicy: { enabled: false },
    })
    expect(workloadOf(manifests).spec.replicas).toBe(3)
    expect(manifests.map(({ kind }) => kind)).not.toContain('HorizontalPodAutoscaler')
    expect(manifests.map(({ kind }) => kind)).not.toContain('PodDisruptionBudget')
    expect(manifests.map(({ kind }) => kind)).not.toContain('NetworkPolicy')
  })

  it('brings the alerts and the dashboard of this repository', () => {
    const manifests = install(EVERYTHING)
    const [rule] = ofKind(manifests, 'PrometheusRule')
    expect(rule?.spec).toEqual(parse(readFileSync(join(ROOT, 'deploy/prometheus/rules.yaml'), 'utf8')))
    expect(rule?.metadata.labels).toMatchObject({ release: 'prometheus' })
    const dashboard = ofKind(manifests, 'ConfigMap').find(({ metadata }) => metadata.name === 'front-door-dashboard')
    expect(dashboard?.metadata.labels).toMatchObject({ grafana_dashboard: '1' })
    const shown = JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/gatehouse.json'), 'utf8')) as unknown
    expect(JSON.parse(dashboard?.data['gatehouse.json'] ?? '')).toEqual(shown)
  })

  it.each([
    [
      'sessions of its own in each replica',
      { config: { storage: { sessions: 'embedded' } } },
      /config\.storage\.sessions: each replica would have its own/,
    ],
    [
      'accounts of its own in each replica',
      { config: { storage: { accounts: null } } },
      /config\.storage\.accounts: each replica/,
    ],
    ['a value that nobody knows', { replicas: 3 }, /replicas/],
    ['a number as text', { replicaCount: '3' }, /replicaCount/],
    ['another port', { config: { listeners: { public: { address: '0.0.0.0:80' } } } }, /config\.listeners\.public\.address/],
    ['operators without a token', { config: { listeners: { admin: { token: null } } } }, /config\.listeners\.admin/],
    ['a folder that is not on the volume', { config: { storage: { directory: './data' } } }, /config\.storage\.directory/],
    ['no name of the Secret', { secretName: '' }, /secretName/],
  ])('refuses %s', (_, values, why) => {
    expect(() => install(values)).toThrow(why)
  })

  it('tells what is left to do, by names that are there', () => {
    const notes = renderChart(CHART, {}, RELEASE).get('NOTES.txt') ?? ''
    expect(notes).toContain('kubectl -n production create secret generic gatehouse-secrets')
    expect(notes).toContain('exec statefulset/edge-gatehouse -- gatehouse doctor')
    expect(notes).toContain('http://edge-gatehouse.production.svc:80')
    expect(renderChart(CHART, EVERYTHING, RELEASE).get('NOTES.txt')).toContain('https://api.example.com')
  })

  it('is of the version of this repository, and says of each value what it is for', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }
    expect(parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'))).toMatchObject({ version, appVersion: version })
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as { readonly properties: object }
    const values = Object.keys(parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as object)
    expect(
      Object.keys(schema.properties)
        .filter((key) => key !== 'global')
        .toSorted(),
    ).toEqual(values.toSorted())
  })
})
