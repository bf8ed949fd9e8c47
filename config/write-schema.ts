// Writes config/gateway.schema.json from the grammar: node config/write-schema.ts
import { writeFileSync } from 'node:fs'
import { schemaFileText } from '../src/config/schema-file.ts'

writeFileSync(new URL('gateway.schema.json', import.meta.url), schemaFileText())
