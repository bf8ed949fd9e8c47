import type { TenantConfig } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import type { Answer, Call, Service } from '../services.ts'
import { headerOf, json } from '../services.ts'
import { tenantInPath, tenantOf } from '../tenant-of-request.ts'
import type { Caller, Spent } from './budget.ts'
import type { Availability } from './checks.ts'
import { hashOf } from './holds.ts'
import type { Tickets } from './holds.ts'
import type { UsernamesConfig, UsernamesNeeds } from './needs.ts'
import type { UsernameKey } from './store.ts'
import type { Usernames } from './usernames.ts'

/** Carries the ticket of a hold: for the budget of its holder, and to hold another name with it. */
export const TICKET_HEADER = 'x-hold-ticket'

/** A hold costs as much as so many checks: it writes, and keeps a name from others. */
const HOLD_UNITS = 5

/** Longest name that is repeated in an answer. */
const SHOWN_CHARACTERS = 64

export interface EndpointsNeeds extends Pick<UsernamesNeeds, 'store' | 'nowSeconds'> {
  readonly tickets: Tickets
  readonly usernames: Pick<Usernames, 'check' | 'claimable' | 'suggest' | 'spend' | 'conflicted'>
  /** A hold was committed. */
  held(hold: UsernameKey & { readonly seconds: number }, source: string): void
}

export function createEndpoints(needs: EndpointsNeeds, config: Pick<UsernamesConfig, 'tenants'>): Service<'usernames'> {
  const { usernames, tickets } = needs
  return { name: 'usernames', endpoints: { availability: { handle: availability }, hold: { handle: hold } } }

  /** Most names are free and known to be: nothing is waited for then. */
  function availability(call: Call): Answer | Promise<Answer> {
    const tenant = tenantIn(call)
    const { source, headers } = usernames.spend(tenant, callerOf(call), 1)
    const name = nameOf(call)
    const answer = usernames.check(tenant.id, name, source)
    return answer instanceof Promise ? later(name, answer, headers) : said(name, answer, headers)
  }

  async function later(name: string, answer: Promise<Availability>, headers: Spent['headers']): Promise<Answer> {
    return said(name, await answer, headers)
  }

  async function hold(call: Call): Promise<Answer> {
    const tenant = tenantIn(call)
    const { source, headers } = usernames.spend(tenant, callerOf(call), HOLD_UNITS)
    const name = nameOf(call)
    const { folded } = usernames.claimable(tenant.id, name)
    const { ticket, seconds } = tickets.issue(headerOf(call.admitted, TICKET_HEADER))
    const now = needs.nowSeconds()
    const outcome = await needs.store.hold(
      { tenant: tenant.id, folded, ticketHash: hashOf(ticket), expiresAt: now + seconds },
      now,
    )
    if (outcome !== 'granted') {
      usernames.conflicted(tenant.id)
      throw new Problem('username_taken', { suggestions: await usernames.suggest(tenant.id, name), headers })
    }
    needs.held({ tenant: tenant.id, folded, seconds }, source)
    return json(201, { ticket, expires_in: seconds }, { 'cache-control': 'no-store', ...headers })
  }

  function tenantIn({ admitted }: Call): TenantConfig {
    return tenantOf(admitted, config.tenants, { path: tenantInPath(admitted.path) })
  }

  function callerOf({ admitted }: Call): Caller {
    const ticket = tickets.find(headerOf(admitted, TICKET_HEADER))
    return {
      ip: admitted.client,
      ...(admitted.principal.kind === 'identified' && { user: admitted.principal.user }),
      ...(ticket !== undefined && { ticket }),
    }
  }
}

/** As the client meant it; what cannot be decoded is no name anyway. */
function nameOf({ admitted }: Call): string {
  const written = admitted.params.get('name') ?? ''
  if (!written.includes('%')) return written
  try {
    return decodeURIComponent(written)
  } catch {
    return written
  }
}

function said(name: string, answer: Availability, limits: Spent['headers']): Answer {
  const headers = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ratelimit: limits.ratelimit,
    'ratelimit-policy': limits['ratelimit-policy'],
  }
  return { status: 200, headers, body: bodyOf(name, answer) }
}

function bodyOf(name: string, answer: Availability): string {
  // What can be had is a name by the rules, which needs no escapes.
  if (answer.available) return `{"username":"${name}","available":true}`
  return JSON.stringify({
    username: name.length > SHOWN_CHARACTERS ? name.slice(0, SHOWN_CHARACTERS).toWellFormed() : name,
    ...answer,
  })
}
