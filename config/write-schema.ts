// Writes config/gateway.schema.json and docs/configuration-reference.md from the grammar: node config/write-schema.ts
import { writeFileSync } from 'node:fs'
import { schemaFileText } from '../src/config/schema-file.ts'
import { referenceText } from './reference.ts'

writeFileSync(new URL('gateway.schema.json', import.meta.url), schemaFileText())
writeFileSync(new URL('../docs/configuration-reference.md', import.meta.url), referenceText())
