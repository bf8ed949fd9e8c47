import { beforeEach, describe, expect, it } from 'vitest'
import { createAnomalies, type AnomalyEvent, type KnownDevice } from '../../../../src/services/accounts/accounts.ts'
import type { Login } from '../../../../src/services/accounts/anomalies.ts'
import type { TenantConfig } from '../../../../src/config/config.ts'
import { Problem } from '../../../../src/problem/problem.ts'
import { deviceName } from '../../../../src/services/device-name.ts'
import { admittedFrom } from '../../../support/clients.ts'
import { testConfig } from '../../../support/config.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0'
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1'
const START = 1_800_000_000
const HOUR = 3_600

const REFUSE = '{ impossibleTravel: refuse }'

let now = START
let known: Map<string, KnownDevice>
let told: AnomalyEvent[]
let counted: string[]
beforeEach(() => {
  now = START
  known = new Map()
  told = []
  counted = []
})

function room(country: () => string | undefined, kept = known) {
  return createAnomalies({
    devices: {
      list: async () => [...kept.values()],
      async note(_, device) {
        kept.set(device.id, { ...device, firstSeen: kept.get(device.id)?.firstSeen ?? device.lastSeen })
      },
    },
    countryOf: country,
    nowSeconds: () => now,
    record: (event) => void told.push(event),
    count: (tenant, event) => void counted.push(`${tenant} ${event}`),
  })
}

interface From {
  readonly agent?: string
  readonly client?: string
  readonly country?: string | undefined
  readonly proved?: string
  readonly rules?: string
}

function tenantWith(anomalies: string): TenantConfig {
  const config = testConfig(
    `listeners: { public: { trustedProxies: [10.0.0.0/8] } }\ngeography: { header: x-country }\ntenants: { acme: { anomalies: ${anomalies} } }\nroutes: []\n`,
  )
  const tenant = config.tenants.get('acme')
  if (tenant === undefined) throw new Error('there is a tenant')
  return tenant
}

/** One login; the id of its device, or the refusal. */
async function login({ agent = FIREFOX, client = '192.0.2.1', country, proved, rules }: From = {}): Promise<string | undefined> {
  const tenant = tenantWith(rules ?? '{ newDevice: record, impossibleTravel: record }')
  const asked: Login = { tenant, user: 'usr_1', proved, admitted: admittedFrom(['User-Agent', agent], { client }) }
  try {
    const visit = await room(() => country).begin(asked)
    await visit?.done()
    return visit?.device
  } catch (error) {
    return Problem.from(error).kind
  }
}

describe('a device', () => {
  it('is no news at the first login of all, nor when it comes again from its network', async () => {
    const first = await login()
    now += HOUR
    expect(await login({ client: '192.0.2.1' })).toBe(first)
    expect([told, [...known.values()]]).toEqual([
      [],
      [{ id: first, name: 'Firefox on Linux', firstSeen: START, lastSeen: START + HOUR }],
    ])
  })

  it('is news when it is of another kind, or on another network', async () => {
    await login({ country: 'NO' })
    await login({ agent: IPHONE, country: 'NO' })
    await login({ client: '198.51.100.1' })
    const about = { event: 'authn_new_device', tenant: 'acme', user: 'usr_1', requestId: 'r1' }
    expect(told).toEqual([
      { ...about, ip: '192.0.2.1', reason: 'Safari on iPhone, in NO' },
      { ...about, ip: '198.51.100.1', reason: 'Firefox on Linux, in an unknown country' },
    ])
    expect(counted).toEqual(['acme new_device', 'acme new_device'])
    expect(known.size).toBe(3)
  })

  it('is known by its token wherever it goes, and whatever it calls itself then', async () => {
    const id = await login()
    expect(await login({ ...(id !== undefined && { proved: id }), agent: IPHONE, client: '198.51.100.1' })).toBe(id)
    expect([told, known.size]).toEqual([[], 1])
  })

  it('stays the same when its browser is updated', async () => {
    const id = await login()
    expect(await login({ agent: FIREFOX.replaceAll('141', '150') })).toBe(id)
  })

  it('is a stranger to another user: nobody learns from its id who else has it', async () => {
    const config = testConfig('tenants: { acme: { anomalies: { newDevice: record } } }\nroutes: []\n')
    const tenant = config.tenants.get('acme')
    if (tenant === undefined) throw new Error('there is a tenant')
    const idOf = async (user: string) =>
      (await room(() => undefined).begin({ tenant, user, proved: undefined, admitted: admittedFrom(['User-Agent', FIREFOX]) }))
        ?.device
    expect(await idOf('usr_1')).toMatch(/^[0-9a-f]{32}$/)
    expect(await idOf('usr_1')).not.toBe(await idOf('usr_2'))
  })

  it('is remembered, and not told of, where only travel is looked for', async () => {
    await login()
    await login({ agent: IPHONE, rules: '{ impossibleTravel: record }' })
    expect([told, known.size]).toEqual([[], 2])
  })

  it('is nobody’s business where nothing is looked for', async () => {
    expect(await login({ rules: '{}' })).toBeUndefined()
    expect(known.size).toBe(0)
  })
})

describe('travel', () => {
  it('that nobody can make is recorded, and let in', async () => {
    await login({ country: 'NO' })
    now += HOUR
    await login({ country: 'AU' })
    expect(told).toEqual([
      {
        event: 'authn_impossible_travel',
        tenant: 'acme',
        user: 'usr_1',
        ip: '192.0.2.1',
        requestId: 'r1',
        reason: expect.stringMatching(/^NO to AU, 1[12]\d{3} km in 3600 s$/) as string,
      },
    ])
    expect(counted).toEqual(['acme impossible_travel'])
  })

  it('that nobody can make is refused where the tenant says so, again and again, and from home it goes on', async () => {
    await login({ country: 'NO', rules: REFUSE })
    now += 60
    expect(await login({ country: 'AU', rules: REFUSE })).toBe('travel_refused')
    expect(await login({ country: 'AU', rules: REFUSE })).toBe('travel_refused')
    expect(await login({ country: 'NO', rules: REFUSE })).toMatch(/^[0-9a-f]{32}$/)
    expect(counted).toEqual(['acme travel_refused', 'acme travel_refused'])
    expect(told.every(({ reason }) => reason.endsWith(': refused'))).toBe(true)
  })

  it('is refused on a device that is known, too: its token may be stolen with it', async () => {
    const id = await login({ country: 'NO', rules: REFUSE })
    expect(await login({ country: 'AU', rules: REFUSE, ...(id !== undefined && { proved: id }) })).toBe('travel_refused')
  })

  it.each([
    ['NO', 'AU', 15 * HOUR],
    ['NO', 'SE', 0],
    ['US', 'CA', 0],
    ['DE', 'FR', 0],
    ['NO', undefined, 0],
    [undefined, 'AU', 0],
    ['NO', 'NO', 0],
  ])('from %s to %s in %d s is none', async (from, to, seconds) => {
    await login({ country: from, rules: REFUSE })
    now += seconds
    expect(await login({ country: to, rules: REFUSE })).toMatch(/^[0-9a-f]{32}$/)
    expect(told).toEqual([])
  })

  it('is held against the last login, from whichever device', async () => {
    await login({ country: 'NO' })
    now += 20 * HOUR
    await login({ agent: IPHONE, country: 'AU', rules: REFUSE })
    now += HOUR
    expect(await login({ country: 'NO', rules: REFUSE })).toBe('travel_refused')
  })

  it('does not go faster because a clock went back', async () => {
    await login({ country: 'NO' })
    now -= 30 * HOUR
    expect(await login({ country: 'AU', rules: REFUSE })).toBe('travel_refused')
  })
})

describe('a session that goes on', () => {
  const BOTH = '{ newDevice: record, impossibleTravel: record }'

  interface Going extends Omit<From, 'proved'> {
    /** Absent: it was begun by a login with Firefox. */
    readonly device?: string | undefined
    readonly session?: string
  }

  async function refresh({ agent = FIREFOX, country, rules = BOTH, session = 's1', ...more }: Going = {}): Promise<string> {
    const tenant = tenantWith(rules)
    const device = 'device' in more ? more.device : FIREFOX
    const place = new Map<string, KnownDevice>()
    try {
      const done = await room(() => country, places.get(session) ?? place).renew({
        tenant,
        session: { id: session, user: 'usr_1', device, country: 'NO', createdAt: START },
        admitted: admittedFrom(['User-Agent', agent], { client: '192.0.2.1' }),
      })
      if (!places.has(session)) places.set(session, place)
      await done?.()
      return 'good'
    } catch (error) {
      return Problem.from(error).kind
    }
  }

  const places = new Map<string, Map<string, KnownDevice>>()
  beforeEach(() => places.clear())

  it('is no news where it began, however often', async () => {
    for (let time = 0; time < 3; time += 1) {
      now += HOUR
      expect(await refresh({ country: 'NO' })).toBe('good')
    }
    expect(told).toEqual([])
  })

  it('is told of once when it goes on with another kind of device, and again when it comes back', async () => {
    await refresh({ agent: 'curl/8' })
    await refresh({ agent: 'curl/8' })
    await refresh()
    expect(told.map(({ event, user, reason }) => [event, user, reason])).toEqual([
      ['session_device_changed', 'usr_1', 'Firefox on Linux to curl'],
      ['session_device_changed', 'usr_1', 'curl to Firefox on Linux'],
    ])
    expect(counted).toEqual(['acme device_changed', 'acme device_changed'])
  })

  it('is held against its own last place, not against where the user is with another one', async () => {
    now += HOUR
    expect(await refresh({ country: 'AU', rules: REFUSE })).toBe('travel_refused')
    now += 30 * HOUR
    expect(await refresh({ country: 'AU', rules: REFUSE })).toBe('good')
    now += HOUR
    expect(await refresh({ country: 'NO', session: 's2', rules: REFUSE })).toBe('good')
    expect(await refresh({ country: 'AU', rules: REFUSE })).toBe('good')
    expect(await refresh({ country: 'NO', rules: REFUSE })).toBe('travel_refused')
  })

  it('makes no flight of the time in which nobody knew where it was', async () => {
    await refresh({ country: 'NO' })
    now += 20 * HOUR
    await refresh()
    now += 10 * HOUR
    expect(await refresh({ country: 'AU', rules: REFUSE })).toBe('good')
  })

  it('that a client began is known from its first refresh on', async () => {
    expect(await refresh({ agent: 'curl/8', country: 'AU', device: undefined, rules: REFUSE })).toBe('good')
    expect(told).toEqual([])
    expect(await refresh({ agent: 'curl/8', country: 'NO', device: undefined, rules: REFUSE })).toBe('travel_refused')
  })

  it('is not looked at where the tenant does not look', async () => {
    expect(await refresh({ country: 'AU', agent: 'curl/8', rules: '{}' })).toBe('good')
    expect([told, places.get('s1')?.size]).toEqual([[], 0])
  })
})

it.each([
  [FIREFOX, 'Firefox on Linux'],
  [IPHONE, 'Safari on iPhone'],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
    'Chrome on Windows',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0',
    'Edge on Windows',
  ],
  [
    'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36',
    'Chrome on Android',
  ],
  [
    'Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/141.0 Mobile/15E148 Safari/604.1',
    'Chrome on iPad',
  ],
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15',
    'Safari on macOS',
  ],
  ['curl/8.14.1', 'curl'],
  ['', 'unknown'],
  ['<script>alert(1)</script>', 'unknown'],
  ['x'.repeat(100_000), 'unknown'],
])('%s is %s', (agent, name) => {
  expect(deviceName(agent)).toBe(name)
})
