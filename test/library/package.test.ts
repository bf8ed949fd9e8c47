/** The package as `npm pack` makes it, put where npm would put it: the commands, the library and its types are taken from there. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { readPage, ROOT } from '../docs/documents.ts'
import { bearer } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { run, startProgram, temporaryFolder, waitFor, type Program } from '../support/process.ts'

const BLOCKS = [...readPage('docs/validator.md').blocks, ...readPage('docs/client.md').blocks].flatMap(({ info, text }) =>
  info.startsWith('ts ') ? [{ file: info.slice(3), text }] : [],
)
/** What the code in the pages imports besides, and what types need. */
const FOR_THE_PAGES = ['express', 'fastify', '@types/node', '@types/express', '@types/express-serve-static-core']
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly dependencies: Record<string, string>
}

let app: string
let files: readonly string[]

beforeAll(() => {
  app = temporaryFolder()
  execFileSync('npm', ['pack', '--silent', '--pack-destination', app], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
  const [tarball = ''] = readdirSync(app).filter((name) => name.endsWith('.tgz'))
  const installed = join(app, 'node_modules', 'gatehouse')
  mkdirSync(join(app, 'node_modules', '.bin'), { recursive: true })
  mkdirSync(installed)
  execFileSync('tar', ['-xzf', join(app, tarball), '-C', installed, '--strip-components=1'])
  symlinkSync('../gatehouse/dist/main.js', join(app, 'node_modules', '.bin', 'gatehouse'))
  files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).toSorted()
  // What npm would fetch: the packages of the lock file are here already.
  for (const name of [...Object.keys(MANIFEST.dependencies), ...FOR_THE_PAGES]) {
    const place = join(app, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), place)
  }
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }))
}, 240_000)

function startApp(file: string, changes: readonly (readonly [string, string])[]): Program {
  let text = BLOCKS.find((block) => block.file === file)?.text ?? ''
  for (const [from, to] of changes) text = text.replaceAll(from, to)
  writeFileSync(join(app, `run-${file}`), text)
  return startProgram(process.execPath, [`run-${file}`], { cwd: app })
}

describe('the package', () => {
  it('has JavaScript and its types, what they read, and nothing of the repository besides', () => {
    for (const file of [
      'dist/main.js',
      'dist/validator/validator.js',
      'dist/validator/validator.d.ts',
      'dist/client/client.d.ts',
    ]) {
      expect(files).toContain(file)
    }
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'gateway.yaml',
        'config/gateway.schema.json',
        'config/reserved-usernames.txt',
      ]),
    )
    expect(files.filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))).toEqual([])
    expect(files.filter((file) => /^(src|test|bench|data|node_modules|\.)/.test(file))).toEqual([])
  })

  it('is typed: all code of the two pages compiles, strictly, library types included', async () => {
    for (const { file, text } of BLOCKS) writeFileSync(join(app, file), text)
    const options = {
      strict: true,
      module: 'nodenext',
      target: 'esnext',
      noEmit: true,
      types: ['node'],
      exactOptionalPropertyTypes: true,
    }
    // What Express and Fastify say of themselves is theirs to mend.
    const files = BLOCKS.map(({ file }) => file)
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, skipLibCheck: true }, files }))
    const own = ['server.ts', 'tokens.ts', 'client.ts', 'fresh.ts']
    writeFileSync(join(app, 'tsconfig.own.json'), JSON.stringify({ compilerOptions: options, files: own }))
    const compiler = join(ROOT, 'node_modules', '.bin', 'tsc')
    for (const project of ['tsconfig.json', 'tsconfig.own.json']) {
      const { code, stdout } = await run(compiler, ['-p', project], { cwd: app })
      expect([project, code, stdout]).toEqual([project, 0, ''])
    }
  }, 120_000)

  it('knows an error of the one part in the other', async () => {
    const code = `
      import * as validator from 'gatehouse/validator'
      import * as client from 'gatehouse/client'
      console.log(validator.TokenRevokedError === client.TokenRevokedError, new client.TokenRevokedError().code)`
    const output = await run(process.execPath, ['--input-type=module', '-e', code], { cwd: app })
    expect(output).toMatchObject({ code: 0, stdout: 'true token_revoked\n', stderr: '' })
  })

  it('opens no other door', async () => {
    const output = await run(process.execPath, ['--input-type=module', '-e', "import 'gatehouse/dist/gateway.js'"], { cwd: app })
    expect([output.code, output.stderr.includes('ERR_PACKAGE_PATH_NOT_EXPORTED')]).toEqual([1, true])
  })

  it('takes no client of Redis for passports, and keeps no process alive', async () => {
    const code = `
      import { createValidator } from 'gatehouse/validator'
      import { createRequire } from 'node:module'
      createValidator({ origin: 'http://localhost:1', service: 'orders' })
      console.log(Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes('ioredis')).length)`
    const output = await run(process.execPath, ['--input-type=module', '-e', code], { cwd: app })
    expect(output).toMatchObject({ code: 0, stdout: '0\n', stderr: '' })
  })

  it('lets a program that does nothing but wait for the keys wait to the end', async () => {
    const code = `
      import { createValidator } from 'gatehouse/validator'
      const gate = createValidator({ origin: 'http://localhost:1', service: 'orders' })
      await gate.ready(600).catch((error) => console.log(error.code))`
    const output = await run(process.execPath, ['--input-type=module', '-e', code], { cwd: app })
    expect(output).toMatchObject({ code: 0, stdout: 'keys_unavailable\n', stderr: '' })
  })

  it('runs: the command starts a gateway, the first lines of the two pages work with it', async () => {
    const [port, adminPort, servicePort] = [await freePort(), await freePort(), await freePort()]
    const origin = `http://localhost:${port}`
    writeFileSync(
      join(app, 'gateway.yaml'),
      `listeners:
  public: { address: "127.0.0.1:${port}", origin: "${origin}" }
  admin: { address: "127.0.0.1:${adminPort}" }
storage: { directory: ./data }
upstreams: { orders: { targets: ["http://127.0.0.1:${servicePort}"] } }
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: discovery, match: { path: /.well-known/* }, service: discovery }
  - { name: orders, match: { path: /orders/* }, auth: required, upstream: orders }
`,
    )
    const command = join(app, 'node_modules', '.bin', 'gatehouse')
    expect(await run(command, ['check', '--config', 'gateway.yaml'], { cwd: app })).toMatchObject({ code: 0 })
    const gateway = startProgram(command, ['start', '--config', 'gateway.yaml'], { cwd: app })
    await waitFor(() => gateway.stderr().includes('gatehouse is ready at'), gateway, 60_000)

    const client = startApp('client.ts', [['http://localhost:8080', origin]])
    expect(await client.exited).toMatchObject({ code: 0 })
    expect(client.stdout()).toMatch(/id: 'usr_[0-9a-f]{32}'[^]*email: 'ada@example\.com'/)

    const service = startApp('server.ts', [
      ['http://localhost:8080', origin],
      ['9001', String(servicePort)],
    ])
    await waitFor(
      async () => (await fetch(`http://127.0.0.1:${servicePort}`).catch(() => undefined))?.status === 401,
      service,
      30_000,
    )
    const login = await fetch(`${origin}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'ada@example.com', password: 'correct horse battery staple' }),
    })
    const { access_token: token } = (await login.json()) as { readonly access_token: string }
    const answer = await fetch(`${origin}/orders`, { headers: bearer(token) })
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringMatching(/^Hello usr_[0-9a-f]{32}$/)])
    expect(await gateway.end()).toMatchObject({ code: 0 })
  }, 120_000)
})
