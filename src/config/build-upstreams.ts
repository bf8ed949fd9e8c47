import { refuseEmpty } from './build.ts'
import type { Build } from './build.ts'
import type { BalanceConfig, HealthConfig, RetriesConfig, TargetConfig, UpstreamConfig } from './config.ts'
import type { Path } from './faults.ts'
import type { UpstreamDraft } from './schema.ts'

export function buildUpstreams(
  drafts: Readonly<Record<string, UpstreamDraft>>,
  build: Build,
): ReadonlyMap<string, UpstreamConfig> {
  return new Map(Object.entries(drafts).map(([name, draft]) => [name, buildUpstream(name, draft, build)]))
}

function buildUpstream(name: string, draft: UpstreamDraft, build: Build): UpstreamConfig {
  const path = ['upstreams', name]
  const { connect, response, idle, request } = draft.timeouts
  const { retries, outliers, breaker } = draft
  const health = buildHealth([...path, 'health'], draft.health, build)
  return {
    name,
    targets: buildTargets([...path, 'targets'], draft.targets, build),
    balance: buildBalance(path, draft, build),
    protocol: draft.protocol,
    client: draft.client,
    ...(!draft.passport && { passport: false }),
    connections: draft.connections,
    timeouts: { connectMs: connect, responseMs: response, idleMs: idle, ...(request !== undefined && { requestMs: request }) },
    ...(retries !== undefined && { retries: buildRetries([...path, 'retries'], retries, build) }),
    ...(health !== undefined && { health }),
    ...(outliers !== undefined && {
      outliers: {
        consecutiveFailures: outliers.consecutiveFailures,
        ejectForMs: outliers.ejectFor,
        maxEjected: outliers.maxEjected,
      },
    }),
    ...(breaker !== undefined && {
      breaker: {
        maxRequests: breaker.maxRequests,
        maxPending: breaker.maxPending,
        errorThreshold: breaker.errorThreshold,
        minRequests: breaker.minRequests,
        windowMs: breaker.window,
        resetAfterMs: breaker.resetAfter,
      },
    }),
    tls: buildTls([...path, 'tls'], draft.tls, build),
  }
}

function buildTargets(path: Path, drafts: UpstreamDraft['targets'], build: Build): readonly TargetConfig[] {
  if (drafts === undefined) build.report(path, 'is required: write a list such as [http://127.0.0.1:9001]')
  else refuseEmpty(drafts, path, 'write a list such as [http://127.0.0.1:9001]', build)
  const targets: TargetConfig[] = []
  for (const { at, value } of drafts ?? []) {
    const { url, weight } = value instanceof URL ? { url: value, weight: 1 } : value
    if (url === undefined) build.report([...path, at, 'url'], 'is required: write a URL such as http://127.0.0.1:9001')
    else targets.push({ url, weight })
  }
  if (targets.length > 0 && targets.every(({ weight }) => weight === 0) && !build.isFaulty(path))
    build.report(path, 'must not all have weight 0: nothing could be forwarded')
  return targets
}

function buildBalance(path: Path, { balance, hashBy }: UpstreamDraft, build: Build): BalanceConfig {
  if (balance !== 'hash') {
    if (hashBy !== undefined) build.report([...path, 'hashBy'], 'has no effect without balance: hash: write that, or remove it')
    return { kind: balance }
  }
  if (hashBy !== undefined) return { kind: 'hash', ...hashBy }
  if (!build.isFaulty([...path, 'hashBy']))
    build.report([...path, 'hashBy'], 'is required beside balance: hash: write user, ip or header:NAME')
  return { kind: 'hash', by: 'ip' }
}

function buildRetries(path: Path, draft: NonNullable<UpstreamDraft['retries']>, build: Build): RetriesConfig {
  refuseEmpty(draft.on, [...path, 'on'], 'write a list such as [connect, reset], or remove retries', build)
  return { attempts: draft.attempts, budget: draft.budget, on: new Set(draft.on.map(({ value }) => value)) }
}

function buildHealth(path: Path, draft: UpstreamDraft['health'], build: Build): HealthConfig | undefined {
  if (draft === undefined) return undefined
  if (draft.path === undefined && !build.isFaulty([...path, 'path']))
    build.report([...path, 'path'], 'is required: write a path such as /healthz')
  return {
    path: draft.path ?? '/',
    intervalMs: draft.interval,
    timeoutMs: draft.timeout,
    healthyAfter: draft.healthyAfter,
    unhealthyAfter: draft.unhealthyAfter,
  }
}

function buildTls(path: Path, draft: UpstreamDraft['tls'], build: Build): UpstreamConfig['tls'] {
  const { ca, certificate, key, serverName } = draft
  if (certificate !== undefined && key === undefined)
    build.report([...path, 'key'], 'is required beside certificate: write the path of its key')
  if (key !== undefined && certificate === undefined)
    build.report([...path, 'certificate'], 'is required beside key: write the path of its certificate')
  const pem = (file: string | undefined, name: string) => {
    const text = file === undefined ? undefined : build.readText(file, [...path, name])
    if (text !== undefined && !text.includes('-----BEGIN ')) build.report([...path, name], 'is not a PEM file')
    return text
  }
  const texts = { ca: pem(ca, 'ca'), certificate: pem(certificate, 'certificate'), key: pem(key, 'key') }
  return {
    verify: draft.verify,
    ...(texts.ca !== undefined && { ca: texts.ca }),
    ...(texts.certificate !== undefined && { certificate: texts.certificate }),
    ...(texts.key !== undefined && { key: texts.key }),
    ...(serverName !== undefined && { serverName }),
  }
}
