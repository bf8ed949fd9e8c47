/** What must be so of any set of manifests that runs the gateway: what one names is there in another, and nothing may do more than it has to. */
import { expect } from 'vitest'
import { parseConfig, type Config } from '../../src/config/config.ts'
import { ofKind, workloadOf, type Manifest } from '../support/kubernetes.ts'

/** Keys of the Secret. The values fit what they are for. */
const SECRETS: Readonly<Record<string, string>> = {
  'master-key': 'ab'.repeat(32),
  'admin-token': 'a-token-of-operators-that-is-long-enough',
  'redis-password': 'redis',
  'database-password': 'database',
}
/** Seconds that a gateway may take to end beyond its delays. */
const SLACK_SECONDS = 3

interface Context {
  readonly secretName: string
}

export function expectWhole(manifests: readonly Manifest[], { secretName }: Context): void {
  expectUnique(manifests)
  expectSelected(manifests)
  expectContained(manifests)
  expectProbed(manifests)
  expectReferences(manifests, secretName)
  expectToStop(manifests)
}

function expectUnique(manifests: readonly Manifest[]): void {
  const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  expect(new Set(names).size).toBe(names.length)
}

function matches(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>> = {}): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}

/** Whoever selects pods selects those of the workload, by ports that they have. */
function expectSelected(manifests: readonly Manifest[]): void {
  const workload = workloadOf(manifests)
  const { labels } = workload.spec.template.metadata
  const ports = workload.spec.template.spec.containers.flatMap((one) => one.ports.map(({ name }) => name))
  expect(matches(workload.spec.selector.matchLabels, labels)).toBe(true)
  for (const { spec } of ofKind(manifests, 'PodDisruptionBudget')) expect(matches(spec.selector.matchLabels, labels)).toBe(true)
  for (const { labelSelector } of workload.spec.template.spec.topologySpreadConstraints ?? [])
    expect(matches(labelSelector.matchLabels, labels)).toBe(true)
  const services = ofKind(manifests, 'Service')
  for (const { spec } of services) {
    expect(matches(spec.selector, labels)).toBe(true)
    expect(spec.ports.filter(({ targetPort }) => !ports.includes(String(targetPort)))).toEqual([])
  }
  for (const { spec } of ofKind(manifests, 'ServiceMonitor')) {
    const scraped = services.filter(({ metadata }) => matches(spec.selector.matchLabels, metadata.labels))
    expect(scraped).toHaveLength(1)
    // By that name the alerts look for it.
    expect(scraped[0]?.metadata.labels?.[spec.jobLabel]).toMatch(/gatehouse/)
    for (const endpoint of spec.endpoints) expect(scraped[0]?.spec.ports.map(({ name }) => name)).toContain(endpoint.port)
  }
  for (const { spec } of ofKind(manifests, 'HorizontalPodAutoscaler')) {
    expect(spec.scaleTargetRef).toMatchObject({ kind: workload.kind, name: workload.metadata.name })
    // Two that say how many there are would undo each other.
    expect(workload.spec.replicas).toBeUndefined()
    expect(spec.maxReplicas).toBeGreaterThanOrEqual(spec.minReplicas)
  }
  for (const { spec } of ofKind(manifests, 'Ingress')) {
    for (const { backend } of spec.rules.flatMap(({ http }) => http.paths)) {
      const service = services.find(({ metadata }) => metadata.name === backend.service.name)
      expect(service?.spec.ports.map(({ name }) => name)).toContain(backend.service.port.name)
    }
  }
}

/** The profile `restricted` of the Pod Security Standards, and a root that cannot be written. */
function expectContained(manifests: readonly Manifest[]): void {
  const { spec } = workloadOf(manifests).spec.template
  expect(spec).toMatchObject({
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
  })
  for (const container of spec.containers) {
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(container.resources.requests).toMatchObject({ cpu: expect.any(String), memory: expect.any(String) })
    expect(container.resources.limits?.memory).toBeDefined()
    expect(container.image).toMatch(/(?::\d[\w.-]*|@sha256:[0-9a-f]{64})$/)
    const writable = container.volumeMounts.filter(({ readOnly }) => readOnly !== true).map(({ mountPath }) => mountPath)
    expect(writable.toSorted()).toEqual(['/data', '/tmp'])
  }
}

function expectProbed(manifests: readonly Manifest[]): void {
  for (const container of workloadOf(manifests).spec.template.spec.containers) {
    const asked = [container.startupProbe, container.livenessProbe, container.readinessProbe].map(({ httpGet }) => httpGet)
    // Both answer without the token.
    expect(asked.map(({ path }) => path)).toEqual(['/healthz', '/healthz', '/readyz'])
    expect(new Set(asked.map(({ port }) => port))).toEqual(new Set(['admin']))
  }
}

/** Each volume, account and file that is named is there, and the configuration is one that the gateway takes. */
function expectReferences(manifests: readonly Manifest[], secretName: string): void {
  const workload = workloadOf(manifests)
  const { spec } = workload.spec.template
  const claims = workload.kind === 'StatefulSet' ? workload.spec.volumeClaimTemplates.map(({ metadata }) => metadata.name) : []
  const volumes = [...spec.volumes.map(({ name }) => name), ...claims]
  for (const { volumeMounts } of spec.containers) {
    expect(volumeMounts.filter(({ name }) => !volumes.includes(name))).toEqual([])
    expect(new Set(volumeMounts.map(({ mountPath }) => mountPath)).size).toBe(volumeMounts.length)
  }
  const accounts = ofKind(manifests, 'ServiceAccount').map(({ metadata }) => metadata.name)
  if (accounts.length > 0) expect(accounts).toContain(spec.serviceAccountName)
  for (const volume of spec.volumes) {
    if ('secret' in volume && volume.name === 'secrets') {
      expect(volume.secret).toEqual({ secretName, defaultMode: 0o440 })
    }
    if ('configMap' in volume)
      expect(ofKind(manifests, 'ConfigMap').map(({ metadata }) => metadata.name)).toContain(volume.configMap.name)
  }
  if (workload.kind === 'StatefulSet') {
    const governing = ofKind(manifests, 'Service').find(({ metadata }) => metadata.name === workload.spec.serviceName)
    expect(governing?.spec.clusterIP).toBe('None')
  }
  for (const { spec: monitor } of ofKind(manifests, 'ServiceMonitor')) {
    for (const { authorization } of monitor.endpoints)
      expect(authorization.credentials).toEqual({ name: secretName, key: 'admin-token' })
  }
  const { listeners } = configOf(manifests)
  const ports = spec.containers.flatMap((one) => one.ports)
  expect(ports.map(({ name, containerPort }) => [name, containerPort])).toEqual([
    ['http', listeners.public.port],
    ['admin', listeners.admin.port],
  ])
}

/** The configuration as the gateway of these manifests reads it. */
export function configOf(manifests: readonly Manifest[]): Config {
  const { spec } = workloadOf(manifests).spec.template
  const [container] = spec.containers
  const pathOf = (volume: string) => container?.volumeMounts.find(({ name }) => name === volume)?.mountPath ?? ''
  const text = ofKind(manifests, 'ConfigMap')[0]?.data['gateway.yaml'] ?? ''
  expect(container?.args).toEqual(['start', '--config', `${pathOf('config')}/gateway.yaml`])
  const variables = (container?.env ?? []).map((one) => [one.name, 'value' in one ? one.value : ''])
  const config = parseConfig(text, `${pathOf('config')}/gateway.yaml`, {
    environment: Object.fromEntries(variables),
    readFile(path) {
      const secret = path.startsWith(`${pathOf('secrets')}/`) ? SECRETS[path.slice(pathOf('secrets').length + 1)] : undefined
      if (secret === undefined) throw new Error(`${path} is not mounted`)
      return secret
    },
  })
  expect(config.storage.directory.startsWith(`${pathOf('data')}/`)).toBe(true)
  return config
}

/** Who still sends clients has time to learn that they shall go elsewhere, and nothing is killed before its time is up. */
function expectToStop(manifests: readonly Manifest[]): void {
  const { timeouts } = configOf(manifests).listeners.public
  const { terminationGracePeriodSeconds, containers } = workloadOf(manifests).spec.template.spec
  expect(timeouts.drainDelayMs).toBeGreaterThanOrEqual(5_000)
  expect(terminationGracePeriodSeconds - SLACK_SECONDS).toBeGreaterThanOrEqual((timeouts.drainDelayMs + timeouts.drainMs) / 1000)
  for (const { readinessProbe } of containers) {
    const unreadySeconds = (readinessProbe.periodSeconds ?? 10) * (readinessProbe.failureThreshold ?? 3)
    expect(unreadySeconds).toBeLessThanOrEqual(timeouts.drainDelayMs / 1000)
  }
}
