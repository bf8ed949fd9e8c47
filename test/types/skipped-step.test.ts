/** What the types of the path are for: the real pipeline with a step left out is compiled, and must not compile. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { run, temporaryFolder } from '../support/process.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PIPELINE = readFileSync(join(ROOT, 'src/pipeline.ts'), 'utf8')

/** Each step of the path: its call, what is there without it, and the fact that nobody established then. */
const STEPS = [
  {
    step: 'router',
    call: 'router.match(arrived)',
    instead: 'arrived',
    missing: /'Arrived' is missing .* 'Routed': route, path,/,
  },
  {
    step: 'networks',
    call: 'networks.admit(routed)',
    instead: 'routed',
    missing: /Property '\[entered\]' is missing in type 'Routed' but required in type 'Entered'/,
  },
  {
    step: 'arrival',
    call: 'quota.arrive(entered, record)',
    instead: 'entered',
    missing: /Property '\[paced\]' is missing in type 'Entered' but required in type 'Paced'/,
  },
  {
    step: 'authenticator',
    call: 'authenticator.authenticate(paced)',
    instead: 'paced',
    missing: /Property 'principal' is missing in type 'Paced' but required in type 'Authenticated'/,
  },
  {
    step: 'revocation',
    call: 'revocation.check(authenticated)',
    instead: 'authenticated',
    missing: /Property 'revocation' is missing in type 'Authenticated' but required in type 'Unrevoked'/,
  },
  {
    step: 'policy',
    call: 'policy.admit(unrevoked)',
    instead: 'unrevoked',
    missing: /'Unrevoked' is not assignable to .* 'Permitted'/,
  },
  {
    step: 'quota',
    call: 'quota.spend(permitted, record)',
    instead: 'permitted',
    missing: /'Uncounted' is not assignable to .* 'Counted'/,
  },
  {
    step: 'replay',
    call: 'replay.spend(counted)',
    instead: 'counted',
    missing: /Property 'admitted' is missing in type 'Unspent' but required in type 'Admitted'/,
  },
] as const

let errors: string[] = []

beforeAll(async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'pipelines'))
  const write = (name: string, text: string): void =>
    writeFileSync(join(folder, 'pipelines', `${name}.ts`), text.replaceAll("from './", `from '${ROOT}/src/`))
  write('complete', PIPELINE)
  for (const { step, call, instead } of STEPS) write(`without-${step}`, PIPELINE.replace(call, instead))
  const compilerOptions = { typeRoots: [join(ROOT, 'node_modules/@types')], noUnusedLocals: false, rootDir: '/' }
  const project = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: ['pipelines', join(ROOT, 'src/**/*.d.ts')] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const { stdout, stderr } = await run(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder })
  expect(stderr).toBe('')
  // An error begins its line with the file; what belongs to it is indented.
  errors = stdout.split(/\n(?! )/).filter((line) => line !== '')
})

it('compiles the whole pipeline', () => {
  expect(errors.filter((error) => !error.startsWith('pipelines/without-'))).toEqual([])
})

it.each(STEPS)('does not compile it without its $step', ({ step, call, missing }) => {
  expect(PIPELINE).toContain(call)
  const found = errors.filter((error) => error.startsWith(`pipelines/without-${step}.ts`))
  expect(found.length).toBeGreaterThan(0)
  expect(found.filter((error) => !missing.test(error))).toEqual([])
})
