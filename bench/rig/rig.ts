/** What every measurement stands on: an upstream on the second core, an issuer, tokens in files, and a folder that goes with the run. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, pinned } from '../support/processes.ts'
import { nginxUpstreamConfig } from './configs.ts'
import { createIssuer, type Issuer, type TokenAlgorithm } from './issuer.ts'
import { WRK_SCRIPT } from './load.ts'
import { findProgram, listens, startProgram, stopProgram } from './programs.ts'

export interface Rig {
  readonly folder: string
  readonly issuer: Issuer
  readonly upstream: { readonly port: number; readonly pid: number; readonly kind: 'nginx' | 'node' }
  readonly wrkScript: string
  /** A good token. */
  readonly token: string
  /** A file with it alone. */
  readonly oneToken: string
  /** 1,000 RS256 tokens, one in each line. */
  readonly warmTokens: string
  /** So many tokens that nobody has seen, in a file; made when first asked for. */
  coldTokens(algorithm: TokenAlgorithm, count: number): Promise<string>
  /** A new folder in that of the run. */
  newFolder(name: string): string
  /** What is ended with the run, the last first. */
  onStop(stop: () => Promise<void>): void
  stop(): Promise<void>
}

export const SMALL_ANSWER = '{"ok":true,"items":[1,2,3],"name":"a small answer of the size that services give"}'
export const WARM_TOKENS = 1000
export const CLIENTS = 64
/** nginx gives its worker away when root starts it; the folder of a run is its owner's alone. */
export const NGINX_USER = process.getuid?.() === 0 ? 'root' : undefined

export async function startRig(): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true })
  process.on('exit', removeFolder)
  const stops: (() => Promise<void>)[] = []
  let folders = 0
  const newFolder = (name: string): string => {
    folders += 1
    const path = join(folder, `${name}-${folders}`)
    mkdirSync(path, { recursive: true })
    return path
  }
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).toReversed()) await one()
    removeFolder()
    process.off('exit', removeFolder)
  }
  try {
    const issuer = createIssuer(folder)
    const tokens = await issuer.mint('RS256', WARM_TOKENS)
    const warmTokens = writeTokens(join(folder, 'warm.txt'), tokens)
    const upstream = await startUpstream(newFolder('upstream'), stops)
    const wrkScript = join(folder, 'load.lua')
    writeFileSync(wrkScript, WRK_SCRIPT)
    const cold = new Map<TokenAlgorithm, Promise<string>>()
    return {
      folder,
      issuer,
      upstream,
      wrkScript,
      token: tokens[0] ?? '',
      oneToken: writeTokens(join(folder, 'one.txt'), tokens.slice(0, 1)),
      warmTokens,
      coldTokens(algorithm, count) {
        const made = cold.get(algorithm) ?? mintInto(issuer, algorithm, count, join(folder, `cold-${algorithm}.txt`))
        cold.set(algorithm, made)
        return made
      },
      newFolder,
      onStop: (one) => void stops.push(one),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startUpstream(folder: string, stops: (() => Promise<void>)[]): Promise<Rig['upstream']> {
  const port = await freePort()
  const nginx = findProgram('nginx')
  if (nginx === undefined) {
    console.error('nginx is not installed: the upstream is a server of Node, which takes more of the second core')
    const child = pinned(1, ['upstream.ts', String(port)])
    stops.push(() => stopProgram(child))
    await listens(port, child, 'the upstream')
    return { port, pid: child.pid ?? 0, kind: 'node' }
  }
  writeFileSync(join(folder, 'nginx.conf'), nginxUpstreamConfig({ port, folder }, SMALL_ANSWER, NGINX_USER))
  writeFileSync(join(folder, 'mebibyte'), Buffer.alloc(1024 * 1024, 'x'))
  const command = [nginx, '-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')]
  const child = startProgram({ core: 1, command })
  stops.push(() => stopProgram(child))
  await listens(port, child, 'the upstream')
  return { port, pid: child.pid ?? 0, kind: 'nginx' }
}

async function mintInto(issuer: Issuer, algorithm: TokenAlgorithm, count: number, file: string): Promise<string> {
  console.error(`making ${count.toLocaleString('en-US')} ${algorithm} tokens`)
  return writeTokens(file, await issuer.mint(algorithm, count))
}

function writeTokens(file: string, tokens: readonly string[]): string {
  writeFileSync(file, `${tokens.join('\n')}\n`)
  return file
}
