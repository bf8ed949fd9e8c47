import { describe, expect, it } from 'vitest'
import { testConfig } from '../../support/config.ts'
import { faultsOf, marked } from './faults-of.ts'

describe('the keys of usernames', () => {
  it('are read', () => {
    const written = `
usernames: { cache: 90s }
tenants:
  acme: { throttle: { usernames: 1/s, usernamesTotal: 600/m }, usernames: { reserved: [brand], protected: [Ann_Other] } }`
    const { usernames, tenants } = testConfig(written)
    expect(usernames).toEqual({ cacheSeconds: 90 })
    expect(tenants.get('acme')).toMatchObject({
      throttle: { usernamesPerMinute: 60, usernamesTotalPerMinute: 600 },
      usernames: { reserved: ['brand'], protected: ['Ann_Other'] },
    })
  })

  it.each([
    [
      'tenants: { a: { usernames: { reserved: [§no] } } }',
      'tenants.a.usernames.reserved.0: must be a username: 3 to 30 letters, digits, _ and -',
    ],
    [
      'tenants: { a: { usernames: { protected: [fine, §"a b"] } } }',
      'tenants.a.usernames.protected.1: must be a username: 3 to 30 letters, digits, _ and -',
    ],
    [
      'tenants: { a: { throttle: { usernames: §0/m } } }',
      'tenants.a.throttle.usernames: must be a rate: write a number and /s, /m or /h, such as 20/m',
    ],
    ['usernames: { cache: §1s }', 'usernames.cache: must be between 10s and 1h'],
  ])('refuse what they cannot be: %s', (text, fault) => {
    const { yaml, faults } = marked(text, [fault])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})
