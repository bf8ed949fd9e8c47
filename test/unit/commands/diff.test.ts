/** `gatehouse check` and `gatehouse diff` as they are typed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../../src/commands/command-line.ts'

const FILES = {
  'closed.yaml': 'routes: [{ name: api, match: { path: /api/* }, auth: required, service: echo }]',
  'renamed.yaml': 'routes: [{ name: other, match: { path: /api/* }, auth: required, service: echo }]',
  'open.yaml': 'routes: [{ name: api, match: { path: /api/* }, auth: public, service: echo }]',
  'odd.yaml': 'revocation: { whenStale: allow }\nroutes: [{ name: api, match: { path: /api/* }, auth: public, service: echo }]',
  'bad.yaml': 'routes: [{ name: api, match: { path: /api/* }, service: echo }]',
}
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-diff-'))
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Names of files stand for their paths, in the arguments and in what comes out. */
async function run(...args: readonly string[]) {
  let out = ''
  let err = ''
  const code = await runCommand(
    args.map((one) => (one.endsWith('.yaml') ? join(folder, one) : one)),
    {
      environment: {},
      write: (text) => void (out += text),
      say: (text) => void (err += text),
      onStop: () => undefined,
      onReload: () => undefined,
      onFault: () => undefined,
    },
  )
  const short = (text: string) => text.replaceAll(`${folder}/`, '')
  return { code, out: short(out), err: short(err) }
}

describe('diff', () => {
  it('ends with 1 where access is wider', async () => {
    expect(await run('diff', 'closed.yaml', 'open.yaml')).toEqual({
      code: 1,
      out: '       WHERE              WHAT  CHANGE\nWIDER  any method /api/*  auth  required → public\n1 change, 1 of them wider\n',
      err: '',
    })
  })

  it('ends with 0 where it is narrower or the same', async () => {
    const narrower =
      '          WHERE              WHAT  CHANGE\nnarrower  any method /api/*  auth  public → required\n1 change, 0 of them wider\n'
    expect(await run('diff', 'open.yaml', 'closed.yaml')).toEqual({ code: 0, out: narrower, err: '' })
    expect(await run('diff', 'closed.yaml', 'renamed.yaml')).toEqual({ code: 0, out: 'access is the same\n', err: '' })
  })

  it('says the same as JSON', async () => {
    const { code, out } = await run('diff', 'closed.yaml', 'open.yaml', '--json')
    const change = { effect: 'wider', where: 'any method /api/*', what: 'auth', before: 'required', after: 'public' }
    expect([code, JSON.parse(out)]).toEqual([1, { wider: true, changes: [change] }])
  })

  it('ends with 2 where one of them has faults', async () => {
    const fault = 'bad.yaml:1:10 routes.api.auth: is required: write required, optional or public\n'
    expect(await run('diff', 'closed.yaml', 'bad.yaml')).toEqual({ code: 2, out: '', err: fault })
    expect(await run('diff', 'bad.yaml', 'closed.yaml')).toEqual({ code: 2, out: '', err: fault })
  })
})

describe('check', () => {
  const WARNING = 'odd.yaml:1:26 revocation.whenStale: warning: lets revoked tokens in while the copy of the revocations is old\n'
  const out = `${WARNING}odd.yaml: fine, but for 1 warning (2 routes, 2 of them public: api.root, api.below)\n`

  it('ends with 0 in spite of a warning, unless it is strict', async () => {
    expect(await run('check', '--config', 'odd.yaml')).toEqual({ code: 0, out, err: '' })
    expect(await run('check', '--strict', '--config', 'odd.yaml')).toEqual({ code: 2, out, err: '' })
    expect((await run('check', '--strict', '--config', 'closed.yaml')).code).toBe(0)
  })

  it('says warnings and faults as JSON', async () => {
    const good = JSON.parse((await run('check', '--json', '--config', 'odd.yaml')).out) as { warnings: readonly object[] }
    expect(good).toMatchObject({
      ok: true,
      insecure: [],
      public: ['api.root', 'api.below'],
      warnings: [{ line: 1, column: 26, path: 'revocation.whenStale' }],
    })
    const bad = await run('check', '--json', '--config', 'bad.yaml')
    expect([bad.code, JSON.parse(bad.out)]).toMatchObject([
      2,
      { ok: false, faults: [{ line: 1, column: 10, path: 'routes.api.auth' }] },
    ])
  })
})
