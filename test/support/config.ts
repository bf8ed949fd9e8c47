import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../../src/config/config.ts'
import type { Config } from '../../src/config/config.ts'

/**
 * A configuration from a piece of YAML, as if it stood in `gateway.yaml` of a new temporary folder, which is removed when
 * the tests end. What the piece does not say has its default; `{}` is a whole configuration without routes.
 */
export function testConfig(yaml: string, environment: Readonly<Record<string, string | undefined>> = {}): Config {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return parseConfig(yaml, join(folder, 'gateway.yaml'), { environment, readFile: (path) => readFileSync(path, 'utf8') })
}
