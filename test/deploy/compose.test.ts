import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { parseConfig } from '../../src/config/config.ts'
import { freePort } from '../support/ports.ts'
import { run, startProgram, temporaryFolder, waitFor } from '../support/process.ts'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = join(ROOT, 'deploy/compose')

const duration = z.string().regex(/^\d+(?:ms|s|m)$/)
const texts = z.array(z.string())
const service = z.strictObject({
  build: z.string().optional(),
  image: z.string(),
  restart: z.literal('unless-stopped'),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.literal('service_healthy') })).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  entrypoint: texts.optional(),
  command: texts.optional(),
  secrets: texts.optional(),
  volumes: texts.optional(),
  ports: texts.optional(),
  networks: texts,
  read_only: z.boolean().optional(),
  tmpfs: texts.optional(),
  cap_drop: texts.optional(),
  security_opt: texts.optional(),
  stop_grace_period: duration.optional(),
  healthcheck: z.strictObject({ test: texts, interval: duration, timeout: duration, retries: z.int().optional() }).optional(),
})
const project = z.strictObject({
  name: z.string(),
  services: z.record(z.string(), service),
  networks: z.record(z.string(), z.strictObject({ internal: z.boolean().optional() })),
  volumes: z.record(z.string(), z.strictObject({})),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
})

const text = readFileSync(join(FOLDER, 'compose.yaml'), 'utf8')
const { services, networks, volumes, secrets } = project.parse(parse(text))
const all = Object.entries(services)
const { gateway, redis, orders, prometheus } = services

/** As one who makes them first. */
function withSecrets(): string {
  const folder = temporaryFolder()
  cpSync(join(FOLDER, 'secrets.sh'), join(folder, 'secrets.sh'))
  execFileSync(join(folder, 'secrets.sh'))
  return folder
}

describe('deploy/compose', () => {
  it('names networks, volumes, secrets, services and files that are there', () => {
    for (const [name, one] of all) {
      for (const network of one.networks) expect(networks, name).toHaveProperty(network)
      for (const secret of one.secrets ?? []) expect(secrets, name).toHaveProperty(secret)
      for (const other of Object.keys(one.depends_on ?? {})) expect(services, name).toHaveProperty(other)
      for (const [source = ''] of (one.volumes ?? []).map((volume) => volume.split(':'))) {
        if (source.startsWith('.')) expect(existsSync(resolve(FOLDER, source)), source).toBe(true)
        else expect(volumes, name).toHaveProperty(source)
      }
      if (one.build !== undefined) expect(existsSync(resolve(FOLDER, one.build, 'Dockerfile'))).toBe(true)
    }
    const used = (key: 'secrets' | 'networks') => new Set(all.flatMap(([, one]) => one[key] ?? []))
    expect(used('secrets')).toEqual(new Set(Object.keys(secrets)))
    expect(used('networks')).toEqual(new Set(Object.keys(networks)))
  })

  it('pins every image to a version, that of the gateway to the one of this repository', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }
    for (const [name, { image }] of all) expect(image, name).toMatch(/^[\w./-]+:v?\d+\.\d+(?:\.\d+)?(?:-alpine)?$/)
    expect([gateway?.image, orders?.image]).toEqual([`gatehouse:${version}`, `gatehouse:${version}`])
  })

  it('has no secret in it: each is a file that its service reads', () => {
    for (const [name, one] of all) {
      for (const [key, value] of Object.entries(one.environment ?? {})) {
        if (/PASSWORD|KEY|TOKEN|SECRET/.test(key)) expect(value, `${name} ${key}`).toMatch(/^\/run\/secrets\/[\w-]+$/)
        if (value.startsWith('/run/secrets/')) expect(one.secrets, name).toContain(value.slice('/run/secrets/'.length))
      }
      const words = [...(one.command ?? []), ...(one.healthcheck?.test ?? [])].join(' ')
      for (const [, secret = ''] of words.matchAll(/\/run\/secrets\/([\w-]+)/g)) expect(one.secrets, name).toContain(secret)
    }
    for (const { file } of Object.values(secrets)) expect(file).toMatch(/^\.\/secrets\//)
    expect(readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n')).toContain('deploy/compose/secrets/')
  })

  it('is told by each service how it is', () => {
    const checked = all.filter(([, one]) => one.healthcheck !== undefined || one.build !== undefined).map(([name]) => name)
    expect(checked).toEqual(Object.keys(services))
  })

  it('gives the gateway no right that it does not need, and lets nobody in but by it', () => {
    expect(gateway).toMatchObject({
      read_only: true,
      tmpfs: ['/tmp'],
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    })
    expect(networks['back']).toEqual({ internal: true })
    for (const name of ['redis', 'postgres', 'orders']) expect(services[name]).toMatchObject({ networks: ['back'] })
    const open = all.flatMap(([name, { ports }]) => (ports ?? []).map((port) => `${name} ${port}`))
    expect(open).toEqual(['gateway 8080:8080', 'prometheus 127.0.0.1:9090:9090', 'grafana 127.0.0.1:3000:3000'])
  })

  it('makes secrets that the configuration takes, once', () => {
    const folder = withSecrets()
    const read = (name: string) => readFileSync(join(folder, 'secrets', name), 'utf8')
    const before = Object.keys(secrets).map(read)
    execFileSync(join(folder, 'secrets.sh'))
    expect(Object.keys(secrets).map(read)).toEqual(before)
    expect(new Set(before).size).toBe(before.length)
    expect(statSync(join(folder, 'secrets')).mode & 0o777).toBe(0o700)

    const config = parseConfig(readFileSync(join(FOLDER, 'gateway.yaml'), 'utf8'), '/etc/gatehouse/gateway.yaml', {
      environment: gateway?.environment ?? {},
      readFile(path) {
        const name = path.replace('/run/secrets/', '')
        expect(gateway?.secrets).toContain(name)
        return read(name)
      },
    })
    expect(config.storage).toMatchObject({
      directory: '/data',
      sessions: { kind: 'redis', url: expect.stringMatching(/@redis:6379\/0$/) },
    })
    expect(config.listeners.public.timeouts.drainMs / 1000).toBeLessThan(Number.parseInt(gateway?.stop_grace_period ?? '', 10))
    expect(config.listeners).toMatchObject({ public: { port: 8080 }, admin: { port: 9901 } })
  })

  it('starts a Redis that keeps what it acknowledged, drops nothing and asks for the password', async () => {
    const folder = withSecrets()
    const port = await freePort()
    mkdirSync(join(folder, 'data'))
    const [shell = '', option = '', command = ''] = redis?.command ?? []
    const here = (line: string) => line.replaceAll('$$', '$').replaceAll('/run/secrets/', `${folder}/secrets/`)
    const settings = `--port ${port} --bind 127.0.0.1 --dir ${folder}/data - <<END`
    expect(command).toContain(' - <<END')
    const program = startProgram(shell, [option, here(command).replace('- <<END', settings)])
    const check = (redis?.healthcheck?.test[1] ?? '').replace('redis-cli', `redis-cli -p ${port}`)
    await waitFor(async () => (await run('sh', ['-c', here(check)])).code === 0, program)
    const ask = async (...words: readonly string[]) =>
      (
        await run('sh', [
          '-c',
          here(`REDISCLI_AUTH="$(cat /run/secrets/redis-password)" redis-cli -p ${port} ${words.join(' ')}`),
        ])
      ).stdout
    const wanted = { appendonly: 'yes', appendfsync: 'everysec', 'maxmemory-policy': 'noeviction' }
    for (const [key, value] of Object.entries(wanted)) expect(await ask('config', 'get', key)).toBe(`${key}\n${value}\n`)
    expect((await run('redis-cli', ['-p', String(port), 'ping'])).stdout).toContain('NOAUTH')
    const password = readFileSync(join(folder, 'secrets/redis-password'), 'utf8').trim()
    expect((await run('ps', ['-eo', 'args'])).stdout).not.toContain(password)
    // What a stop of the container signals is Redis itself.
    expect(await program.end()).toEqual({ code: 0, signal: null })
  })

  it('has an example service that answers whom the gateway names', async () => {
    const port = await freePort()
    const [node, file = ''] = orders?.entrypoint ?? []
    expect([node, orders?.volumes]).toEqual(['node', [`./orders.mjs:${file}:ro`]])
    const program = startProgram(process.execPath, [join(FOLDER, 'orders.mjs')], { environment: { PORT: String(port) } })
    await waitFor(
      () =>
        fetch(`http://127.0.0.1:${port}/healthz`).then(
          ({ ok }) => ok,
          () => false,
        ),
      program,
    )
    const answer = await fetch(`http://127.0.0.1:${port}/orders/1`, { headers: { 'x-user-id': 'ann', 'x-tenant-id': 'acme' } })
    expect(await answer.json()).toEqual({ orders: [], user: 'ann', tenant: 'acme' })
    expect(await program.end()).toEqual({ code: 0, signal: null })
  })

  it('scrapes the gateway with the token of its operators, by the rules of this repository', () => {
    const scrape = parse(readFileSync(join(FOLDER, 'prometheus.yaml'), 'utf8')) as Record<string, unknown>
    expect(scrape).toMatchObject({
      rule_files: ['rules.yaml'],
      scrape_configs: [
        { authorization: { credentials_file: '/run/secrets/admin-token' }, static_configs: [{ targets: ['gateway:9901'] }] },
      ],
    })
    expect(prometheus?.secrets).toEqual(['admin-token'])
  })
})
