import { refuseEmpty } from './build.ts'
import type { Build } from './build.ts'
import type { UpstreamConfig } from './config.ts'
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
  const { connect, response, idle } = draft.timeouts
  return {
    name,
    targets: buildTargets([...path, 'targets'], draft.targets, build),
    connections: draft.connections,
    timeouts: { connectMs: connect, responseMs: response, idleMs: idle },
    tls: buildTls([...path, 'tls'], draft.tls, build),
  }
}

function buildTargets(path: Path, drafts: UpstreamDraft['targets'], build: Build): readonly URL[] {
  if (drafts === undefined) build.report(path, 'is required: write a list such as [http://127.0.0.1:9001]')
  else refuseEmpty(drafts, path, 'write a list such as [http://127.0.0.1:9001]', build)
  const targets: URL[] = []
  for (const { at, value } of drafts ?? []) {
    const url = value instanceof URL ? value : value.url
    if (url === undefined) build.report([...path, at, 'url'], 'is required: write a URL such as http://127.0.0.1:9001')
    else targets.push(url)
  }
  return targets
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
