/** The kinds of Kubernetes that this repository writes, as strict as they can be: a key that is not here, or of another type, is a fault. */
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { claim, labels, metadata, name, pod, port, portName, portNumber, reference, selector } from './kubernetes-pods.ts'

const workload = {
  apiVersion: z.literal('apps/v1'),
  metadata,
}
const workloadSpec = { replicas: z.int().min(1).optional(), revisionHistoryLimit: z.int(), selector, template: pod }

const KINDS = z.discriminatedUnion('kind', [
  z.strictObject({
    ...workload,
    kind: z.literal('Deployment'),
    spec: z.strictObject({
      ...workloadSpec,
      strategy: z.strictObject({
        type: z.literal('RollingUpdate'),
        rollingUpdate: z.strictObject({ maxSurge: z.int(), maxUnavailable: z.int() }),
      }),
    }),
  }),
  z.strictObject({
    ...workload,
    kind: z.literal('StatefulSet'),
    spec: z.strictObject({
      ...workloadSpec,
      serviceName: name,
      podManagementPolicy: z.enum(['Parallel', 'OrderedReady']),
      volumeClaimTemplates: z.array(claim),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal('v1'),
    kind: z.literal('Service'),
    metadata,
    spec: z.strictObject({
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).optional(),
      clusterIP: z.literal('None').optional(),
      publishNotReadyAddresses: z.boolean().optional(),
      sessionAffinity: z.literal('None').optional(),
      selector: labels,
      ports: z.array(z.strictObject({ name: portName, port: portNumber, targetPort: port, protocol: z.literal('TCP') })).min(1),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal('autoscaling/v2'),
    kind: z.literal('HorizontalPodAutoscaler'),
    metadata,
    spec: z.strictObject({
      scaleTargetRef: z.strictObject({ apiVersion: z.literal('apps/v1'), kind: z.enum(['Deployment', 'StatefulSet']), name }),
      minReplicas: z.int().min(1),
      maxReplicas: z.int().min(1),
      metrics: z.array(
        z.strictObject({
          type: z.literal('Resource'),
          resource: z.strictObject({
            name: z.enum(['cpu', 'memory']),
            target: z.strictObject({ type: z.literal('Utilization'), averageUtilization: z.int().min(1) }),
          }),
        }),
      ),
      behavior: z.strictObject({
        scaleUp: z.strictObject({ stabilizationWindowSeconds: z.int().max(3600) }),
        scaleDown: z.strictObject({ stabilizationWindowSeconds: z.int().max(3600) }),
      }),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal('policy/v1'),
    kind: z.literal('PodDisruptionBudget'),
    metadata,
    spec: z.strictObject({ maxUnavailable: z.union([z.int().min(1), z.string().regex(/^\d+%$/)]), selector }),
  }),
  z.strictObject({
    apiVersion: z.literal('networking.k8s.io/v1'),
    kind: z.literal('NetworkPolicy'),
    metadata,
    spec: z.strictObject({
      podSelector: selector,
      policyTypes: z.array(z.enum(['Ingress', 'Egress'])),
      ingress: z.array(rule('from')),
      egress: z.array(rule('to')).optional(),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal('networking.k8s.io/v1'),
    kind: z.literal('Ingress'),
    metadata,
    spec: z.strictObject({
      ingressClassName: name.optional(),
      tls: z.array(z.strictObject({ secretName: name, hosts: z.array(z.string()) })).optional(),
      rules: z
        .array(
          z.strictObject({
            host: z.string(),
            http: z.strictObject({
              paths: z.array(
                z.strictObject({
                  path: z.string().startsWith('/'),
                  pathType: z.enum(['Prefix', 'Exact']),
                  backend: z.strictObject({ service: z.strictObject({ name, port: z.strictObject({ name: portName }) }) }),
                }),
              ),
            }),
          }),
        )
        .min(1),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal('monitoring.coreos.com/v1'),
    kind: z.literal('ServiceMonitor'),
    metadata,
    spec: z.strictObject({
      jobLabel: z.string(),
      selector,
      endpoints: z.array(
        z.strictObject({
          port: portName,
          path: z.string(),
          interval: z.string().regex(/^\d+(?:ms|s|m)$/),
          authorization: z.strictObject({ type: z.literal('Bearer'), credentials: reference }),
        }),
      ),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal('monitoring.coreos.com/v1'),
    kind: z.literal('PrometheusRule'),
    metadata,
    spec: z.strictObject({
      groups: z.array(
        z.strictObject({
          name: z.string(),
          interval: z.string().optional(),
          rules: z.array(
            z.strictObject({
              alert: z.string().optional(),
              record: z.string().optional(),
              expr: z.string(),
              for: z.string().optional(),
              keep_firing_for: z.string().optional(),
              labels: z.record(z.string(), z.string()).optional(),
              annotations: z.record(z.string(), z.string()).optional(),
            }),
          ),
        }),
      ),
    }),
  }),
  z.strictObject({ apiVersion: z.literal('v1'), kind: z.literal('ConfigMap'), metadata, data: z.record(z.string(), z.string()) }),
  z.strictObject({
    apiVersion: z.literal('v1'),
    kind: z.literal('Secret'),
    metadata,
    type: z.literal('Opaque'),
    stringData: z.record(z.string(), z.string()),
  }),
  z.strictObject({
    apiVersion: z.literal('v1'),
    kind: z.literal('ServiceAccount'),
    metadata,
    automountServiceAccountToken: z.boolean(),
  }),
])

function rule(key: 'from' | 'to') {
  const peer = z.union([
    z.strictObject({ podSelector: selector, namespaceSelector: selector.optional() }),
    z.strictObject({ namespaceSelector: selector }),
    z.strictObject({ ipBlock: z.strictObject({ cidr: z.string(), except: z.array(z.string()).optional() }) }),
  ])
  const peers: Readonly<Record<string, z.ZodOptional<z.ZodArray<typeof peer>>>> = { [key]: z.array(peer).min(1).optional() }
  return z.strictObject({ ports: z.array(z.strictObject({ protocol: z.enum(['TCP', 'UDP']), port })).optional(), ...peers })
}

export type Manifest = z.output<typeof KINDS>
export type Kind<K extends Manifest['kind']> = Extract<Manifest, { readonly kind: K }>
export type Workload = Kind<'Deployment' | 'StatefulSet'>

/** @throws Error that names the file, the document and each key that is wrong in it */
export function readManifests(text: string, file: string): readonly Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true }).map((document, index) => {
    if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.join('; ')}`)
    const read = KINDS.safeParse(document.toJS())
    if (read.success) return read.data
    throw new Error(`${file}, document ${index + 1}: ${z.prettifyError(read.error)}`)
  })
}

export function ofKind<K extends Manifest['kind']>(manifests: readonly Manifest[], kind: K): readonly Kind<K>[] {
  return manifests.filter((one): one is Kind<K> => one.kind === kind)
}

export function workloadOf(manifests: readonly Manifest[]): Workload {
  const [one, ...others] = [...ofKind(manifests, 'Deployment'), ...ofKind(manifests, 'StatefulSet')]
  if (one === undefined || others.length > 0) throw new Error('not one workload')
  return one
}
