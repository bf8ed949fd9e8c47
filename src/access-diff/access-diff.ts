/**
 * What changes in access when one configuration takes the place of another: who may reach what, and whose word counts for it.
 *
 * It asks the routers of both about every kind of request that one of them tells apart, so that a route which was renamed, moved in
 * the file or taken apart shows nothing, and one that is gone shows what the routes behind it now do with its requests. It opens
 * nothing, and never shows a secret.
 *
 * @module
 */
import type { Config } from '../config/config.ts'
import type { Change } from './change.ts'
import { compareRequests } from './requests.ts'
import { compareSettings } from './settings.ts'

export type { Change } from './change.ts'

/** Every change, the most dangerous ones first. */
export function compareAccess(before: Config, after: Config): readonly Change[] {
  const changes = [...compareRequests(before, after), ...compareSettings(before, after)]
  return changes.toSorted((a, b) => a.danger - b.danger || byText(a.where, b.where) || byText(a.what, b.what))
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
