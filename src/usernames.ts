/**
 * Opens the usernames service: its store, what Redis shares of it, the reserved words that come with the gateway, and where it
 * reports.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Config } from './config/config.ts'
import type { Quota } from './quota/quota.ts'
import { createUsernames, parseReserved, type UsernameRecord, type Usernames } from './services/usernames/usernames.ts'
import type { Stores } from './stores.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import { monotonicMs, type World } from './world.ts'

const RESERVED = new URL('../config/reserved-usernames.txt', import.meta.url)

export interface OpenUsernamesNeeds {
  readonly stores: Pick<Stores, 'usernames' | 'names'>
  readonly telemetry: Telemetry
  readonly counts: Pick<Quota, 'take'>
  readonly world: World
  /** Takes what is for the audit record. */
  record(event: UsernameRecord): void
}

/** @throws Error when the list of reserved words is missing or wrong */
export async function openUsernames(needs: OpenUsernamesNeeds, config: Config): Promise<Usernames> {
  const { stores, telemetry, counts, world, record } = needs
  const cache = stores.names(config.usernames.cacheSeconds)
  return createUsernames(
    {
      store: stores.usernames,
      ...(cache !== undefined && { cache }),
      counts,
      reserved: parseReserved(await readFile(RESERVED, 'utf8')),
      nowSeconds: world.nowSeconds,
      random: world.random,
      schedule: world.schedule,
      monotonicMs,
      randomBytes,
      events: telemetry.events.usernames,
      record,
    },
    config,
  )
}
