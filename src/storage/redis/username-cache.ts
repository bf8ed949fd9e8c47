import type { NameCache } from '../../services/usernames/usernames.ts'
import type { Connection } from './connection.ts'
import { list } from './replies.ts'

export interface UsernameCacheNeeds {
  readonly connection: Connection
  /** Keys of one command may be on several servers there. */
  readonly isCluster: boolean
  /** From 0, below 1. */
  random(): number
}

const DEFAULT_TENANT = 'default'
/** Lives differ by up to a tenth each way, so that what was written together does not end together. */
const SPREAD = 0.1

/**
 * `username_exists:<name>` of the tenant `default`, `username_exists:<tenant>:<name>` of others: `1` taken, `0` free. Readers put
 * an entry only where there is none, writers in place of whatever is there, and nobody deletes one: a reader that was slow
 * cannot undo what a writer said.
 *
 * @param seconds - life of an entry, give or take a tenth
 */
export function createUsernameCache({ connection, isCluster, random }: UsernameCacheNeeds, seconds: number): NameCache {
  return {
    async read(tenant, folded) {
      const keys = folded.map((name) => keyOf(tenant, name))
      const values = isCluster
        ? await Promise.all(keys.map((key) => connection.send('GET', key)))
        : list(await connection.send('MGET', ...keys))
      return values.map(takenOf)
    },
    async fill(tenant, found) {
      const commands = found.map(([name, isTaken]) => ['SET', keyOf(tenant, name), digit(isTaken), 'NX', 'EX', life(seconds)])
      if (isCluster) await Promise.all(commands.map((command) => connection.send(...command)))
      else if (commands.length > 0) await connection.sendTogether(commands)
    },
    async write(tenant, folded, isTaken, forSeconds) {
      await connection.send('SET', keyOf(tenant, folded), digit(isTaken), 'EX', forSeconds ?? life(seconds))
    },
  }

  function life(middle: number): number {
    return Math.max(1, Math.round(middle * (1 - SPREAD + 2 * SPREAD * random())))
  }
}

function keyOf(tenant: string, folded: string): string {
  return tenant === DEFAULT_TENANT ? `username_exists:${folded}` : `username_exists:${tenant}:${folded}`
}

/** Undefined: Redis does not know. */
function takenOf(value: unknown): boolean | undefined {
  if (value === '1') return true
  return value === '0' ? false : undefined
}

function digit(isTaken: boolean): '0' | '1' {
  return isTaken ? '1' : '0'
}
