#!/usr/bin/env node
/**
 * The bill of materials of what runs, CycloneDX as JSON, from the lock file: .ci/sbom.mjs > sbom.cdx.json
 *
 * `npm sbom --omit dev` also leaves out what the product and a tool have in common, so tools are taken out here.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const TOOL = 'cdx:npm:package:development'

const { name, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const args = ['sbom', '--silent', '--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application']
const bill = JSON.parse(execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 }))

const root = bill.metadata.component['bom-ref']
const isTool = ({ properties = [] }) => properties.some((one) => one.name === TOOL && one.value === 'true')
const components = bill.components.filter((one) => !isTool(one))
const kept = new Set([root, ...components.map((one) => one['bom-ref'])])
const dependencies = bill.dependencies
  .filter(({ ref }) => kept.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((one) => kept.has(one)) }))
const component = { ...bill.metadata.component, name, version, purl: `pkg:npm/${name}@${version}` }
process.stdout.write(
  `${JSON.stringify({ ...bill, metadata: { ...bill.metadata, component }, components, dependencies }, null, 2)}\n`,
)
