/** The kinds of Kubernetes that this repository writes, as strict as they can be: a key that is not here, or of another type, is a fault. */
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'

const name = z
  .string()
  .regex(/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/)
  .max(63)
const labels = z.record(
  z.string().regex(/^(?:[a-z0-9.-]+\/)?[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?$/),
  z
    .string()
    .regex(/^(?:[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?)?$/)
    .max(63),
)
const annotations = z.record(z.string(), z.string())
const metadata = z.strictObject({
  name,
  labels: labels.optional(),
  annotations: annotations.optional(),
  namespace: name.optional(),
})
const selector = z.strictObject({ matchLabels: labels })
const quantity = z.string().regex(/^\d+(?:m|Ki|Mi|Gi)?$/)
const quantities = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional(), storage: quantity.optional() })
const resources = z.strictObject({ requests: quantities.optional(), limits: quantities.optional() })
const portNumber = z.int().min(1).max(65_535)
const portName = z
  .string()
  .regex(/^[a-z](?:[-a-z0-9]*[a-z0-9])?$/)
  .max(15)
const port = z.union([portNumber, portName])

const probe = z.strictObject({
  httpGet: z.strictObject({ path: z.string().startsWith('/'), port }),
  initialDelaySeconds: z.int().optional(),
  periodSeconds: z.int().min(1).optional(),
  timeoutSeconds: z.int().min(1).optional(),
  failureThreshold: z.int().min(1).optional(),
})
const mount = z.strictObject({
  name,
  mountPath: z.string().startsWith('/'),
  readOnly: z.boolean().optional(),
  subPath: z.string().optional(),
})
const volume = z.union([
  z.strictObject({ name, configMap: z.strictObject({ name }) }),
  z.strictObject({ name, secret: z.strictObject({ secretName: name, defaultMode: z.int().min(0).max(0o777) }) }),
  z.strictObject({ name, emptyDir: z.strictObject({ sizeLimit: quantity }) }),
])
const reference = z.strictObject({ name, key: z.string().min(1) })
const variable = z.union([
  z.strictObject({ name: z.string(), value: z.string() }),
  z.strictObject({ name: z.string(), valueFrom: z.strictObject({ secretKeyRef: reference }) }),
])
const container = z.strictObject({
  name,
  image: z.string(),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
  args: z.array(z.string()),
  env: z.array(variable).optional(),
  envFrom: z.array(z.strictObject({ secretRef: z.strictObject({ name }) })).optional(),
  ports: z.array(z.strictObject({ name: portName, containerPort: portNumber, protocol: z.literal('TCP') })),
  startupProbe: probe,
  livenessProbe: probe,
  readinessProbe: probe,
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.boolean(),
    readOnlyRootFilesystem: z.boolean(),
    capabilities: z.strictObject({ drop: z.array(z.string()) }),
  }),
  resources,
  volumeMounts: z.array(mount),
})
const pod = z.strictObject({
  metadata: z.strictObject({ labels, annotations: annotations.optional() }),
  spec: z.strictObject({
    imagePullSecrets: z.array(z.strictObject({ name })).optional(),
    serviceAccountName: name,
    automountServiceAccountToken: z.boolean(),
    enableServiceLinks: z.boolean(),
    priorityClassName: name.optional(),
    terminationGracePeriodSeconds: z.int(),
    securityContext: z.strictObject({
      runAsNonRoot: z.boolean(),
      runAsUser: z.int(),
      runAsGroup: z.int(),
      fsGroup: z.int(),
      fsGroupChangePolicy: z.enum(['OnRootMismatch', 'Always']),
      seccompProfile: z.strictObject({ type: z.string() }),
    }),
    containers: z.array(container),
    volumes: z.array(volume),
    nodeSelector: labels.optional(),
    tolerations: z
      .array(
        z.strictObject({
          key: z.string(),
          operator: z.enum(['Exists', 'Equal']),
          value: z.string().optional(),
          effect: z.string(),
        }),
      )
      .optional(),
    affinity: z.record(z.enum(['nodeAffinity', 'podAffinity', 'podAntiAffinity']), z.unknown()).optional(),
    topologySpreadConstraints: z
      .array(
        z.strictObject({
          maxSkew: z.int().min(1),
          topologyKey: z.string(),
          whenUnsatisfiable: z.enum(['ScheduleAnyway', 'DoNotSchedule']),
          labelSelector: selector,
        }),
      )
      .optional(),
  }),
})
const claim = z.strictObject({
  metadata: z.strictObject({ name }),
  spec: z.strictObject({
    accessModes: z.array(z.string()).min(1),
    storageClassName: name.optional(),
    resources: z.strictObject({ requests: quantities }),
  }),
})
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
