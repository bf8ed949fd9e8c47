/**
 * Opens what operators see of a gateway and do to it: the admin listener, and the console that it shows.
 *
 * @module
 */
import { createAdmin, type Admin, type AdminNeeds, type TenantCalls } from './admin/admin.ts'
import type { Arrangement } from './arrangement.ts'
import { describeConfig, describeRoutes } from './config/config.ts'
import { createConsole, type Console } from './console/console.ts'
import type { Foundation } from './foundation.ts'
import { SDL } from './services/graphql/graphql.ts'
import { deviceName } from './services/sessions/sessions.ts'
import { createTenantCalls } from './upkeep.ts'
import { schedule } from './world.ts'

/** The admin listener shows and changes what is in force at the time. */
export function openAdmin(
  foundation: Foundation,
  inForce: () => Arrangement,
  gateway: Pick<AdminNeeds, 'readiness' | 'reload' | 'console'>,
): Admin {
  const { telemetry, stores } = foundation
  return createAdmin(
    {
      ...gateway,
      failed: (cause) => telemetry.log.error('the admin listener failed', { cause }),
      scrape: telemetry.scrape,
      routes: () => describeRoutes(inForce().router.routes),
      config: () => describeConfig(inForce().config),
      explain: (question) => inForce().explain(question),
      upstreams: () => inForce().upstreams.describe(),
      isUnconfirmed: () => stores.unconfirmed() > 0,
      tenants: openTenantCalls(foundation, inForce),
      graphql: { sdl: SDL, ask: (body, tenant) => inForce().builtIns.graphql.ask(body, tenant) },
      usernames: () => inForce().usernames.analytics(),
      async openApi() {
        // Its schemas take 25 ms of a start.
        const { openApiDocument } = await import('./services/openapi/openapi.ts')
        return openApiDocument(inForce().router.routes, inForce().config.listeners.public.origin)
      },
    },
    inForce().config.listeners.admin,
  )
}

/** The services are those in force at the time of a call. */
function openTenantCalls(
  { tenants, tenantRecords, sessions: store, record, world }: Foundation,
  inForce: () => Arrangement,
): TenantCalls {
  const users = (): Arrangement['builtIns']['users'] => inForce().builtIns.users
  const sessions = (): Arrangement['builtIns']['sessions'] => inForce().builtIns.sessions
  return createTenantCalls(
    {
      tenants,
      records: tenantRecords,
      users: { setStatus: (...change) => users().setStatus(...change), find: (...whom) => users().find(...whom) },
      store,
      sessions: {
        list: async (user) => (await sessions().list(user)).map((one) => ({ ...one, deviceName: deviceName(one.device) })),
        endSession: (...ending) => sessions().endSession(...ending),
        endAll: (...ending) => sessions().endAll(...ending),
      },
      record,
      world,
    },
    () => inForce().config,
  )
}

/** The console of a gateway that is one process. */
export function openConsole(
  { telemetry, world }: Foundation,
  inForce: () => Arrangement,
  readiness: AdminNeeds['readiness'],
): Console {
  return createConsole({
    nowMs: world.nowMs,
    // Not that of the world, whose time may pass at another pace: people watch.
    schedule,
    pulses: async () => [{ life: 0, ...(await telemetry.pulse()) }],
    overview: async () => ({ readiness: readiness(), upstreams: inForce().upstreams.describe() }),
    failed: (cause) => telemetry.log.error('the console failed', { cause }),
  })
}
