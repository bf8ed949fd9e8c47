/** Pods of Kubernetes as this repository writes them, as strict as they can be. */
import { z } from 'zod'

export const name = z
  .string()
  .regex(/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/)
  .max(63)
export const labels = z.record(
  z.string().regex(/^(?:[a-z0-9.-]+\/)?[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?$/),
  z
    .string()
    .regex(/^(?:[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?)?$/)
    .max(63),
)
const annotations = z.record(z.string(), z.string())
export const metadata = z.strictObject({
  name,
  labels: labels.optional(),
  annotations: annotations.optional(),
  namespace: name.optional(),
})
export const selector = z.strictObject({ matchLabels: labels })
const quantity = z.string().regex(/^\d+(?:m|Ki|Mi|Gi)?$/)
const quantities = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional(), storage: quantity.optional() })
const resources = z.strictObject({ requests: quantities.optional(), limits: quantities.optional() })
export const portNumber = z.int().min(1).max(65_535)
export const portName = z
  .string()
  .regex(/^[a-z](?:[-a-z0-9]*[a-z0-9])?$/)
  .max(15)
export const port = z.union([portNumber, portName])

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
export const reference = z.strictObject({ name, key: z.string().min(1) })
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
export const pod = z.strictObject({
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
export const claim = z.strictObject({
  metadata: z.strictObject({ name }),
  spec: z.strictObject({
    accessModes: z.array(z.string()).min(1),
    storageClassName: name.optional(),
    resources: z.strictObject({ requests: quantities }),
  }),
})
