/** Test vectors made elsewhere: read from the folder `GATEHOUSE_VECTORS` (default `../shared/vectors`), never copied in here. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export interface Vectors {
  /** The parsed file, or undefined where the folder is missing. */
  readonly data: unknown
  /** Why a suite is skipped; undefined where it is not. */
  readonly missing: string | undefined
}

/** Reads one vector file. On CI a missing folder is a failure, elsewhere the suite is skipped with the reason. */
export function readVectors(name: string): Vectors {
  const folder = resolve(process.env['GATEHOUSE_VECTORS'] ?? '../shared/vectors')
  const file = resolve(folder, name)
  if (existsSync(file)) return { data: JSON.parse(readFileSync(file, 'utf8')), missing: undefined }
  const missing = `vectors not found at ${folder}, set GATEHOUSE_VECTORS`
  if (process.env['CI'] === 'true') throw new Error(missing)
  return { data: undefined, missing }
}
