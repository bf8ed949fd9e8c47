/** Variables that a file stands for, as containers are given secrets. */
import { expect, it } from 'vitest'
import { ConfigError, parseConfig, type Config } from '../../../src/config/config.ts'

const FILES: Readonly<Record<string, string>> = {
  '/run/secrets/password': 'from-a-file\n',
  '/run/secrets/two-lines': 'one\ntwo\n',
  '/run/secrets/reference': '${OTHER}',
  '/run/secrets/empty': '\n',
}

function parse(yaml: string, environment: Readonly<Record<string, string>>): Config {
  return parseConfig(yaml, '/etc/gatehouse/gateway.yaml', {
    environment,
    readFile(path) {
      const text = FILES[path]
      if (text === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' })
      return text
    },
  })
}

const audienceOf = (text: string, environment: Readonly<Record<string, string>>) =>
  parse(`tenants: { default: { audience: '${text}' } }`, environment).tenants.get('default')?.audience

it('takes the text of the file that NAME_FILE names, without its last line break', () => {
  expect(audienceOf('${NAME}', { NAME_FILE: '/run/secrets/password' })).toBe('from-a-file')
  expect(audienceOf('a ${NAME} b', { NAME: '', NAME_FILE: '/run/secrets/password' })).toBe('a from-a-file b')
  expect(audienceOf('${NAME:-default}', { NAME_FILE: '/run/secrets/password' })).toBe('from-a-file')
  expect(audienceOf('${NAME:-default}', { NAME_FILE: '/run/secrets/empty' })).toBe('default')
  expect(audienceOf('${NAME:-default}', { NAME_FILE: '' })).toBe('default')
})

it('takes the variable itself where both are set, and no reference out of a file', () => {
  expect(audienceOf('${NAME}', { NAME: 'said', NAME_FILE: '/run/secrets/none' })).toBe('said')
  expect(audienceOf('${NAME}', { NAME_FILE: '/run/secrets/reference', OTHER: 'no' })).toBe('${OTHER}')
})

it('counts as no password in the file', () => {
  const yaml = 'storage: { sessions: "redis://:${REDIS_PASSWORD}@redis:6379" }\nmasterKey: { env: KEY }'
  const environment = { REDIS_PASSWORD_FILE: '/run/secrets/password', KEY: 'ab'.repeat(32) }
  expect(parse(yaml, environment).storage.sessions).toEqual({ kind: 'redis', url: 'redis://:from-a-file@redis:6379' })
})

it.each([
  ['/run/secrets/none', 'the file that the environment variable NAME_FILE names cannot be read: no such file'],
  ['/run/secrets/two-lines', undefined],
])('says what is wrong with %s, and nothing of what is in it', (file, message) => {
  const yaml = "upstreams: { app: { targets: ['http://${NAME}:80'] } }"
  try {
    parse(yaml, { NAME_FILE: file })
    expect.fail('it was taken')
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const [fault, ...others] = error.faults
    expect(others).toEqual([])
    expect(fault).toMatchObject({ line: 1, column: 31, path: 'upstreams.app.targets.0' })
    if (message !== undefined) expect(fault?.message).toBe(message)
    expect(fault?.message).not.toMatch(/one|two/)
  }
})
