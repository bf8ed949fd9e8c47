/** docs/commands.md says of each command what its help says. `GATEHOUSE_WRITE=1` writes it anew. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { CATALOGUE } from '../../src/commands/catalogue.ts'
import { helpOf } from '../../src/commands/help.ts'
import { ROOT } from './documents.ts'

const FILE = join(ROOT, 'docs/commands.md')
/** What stands behind this line is made from the commands. */
const MARK = '## Every command\n'

it('has every command as its help has it, and no other', () => {
  const text = readFileSync(FILE, 'utf8')
  const [written = ''] = text.split(MARK)
  const sections = CATALOGUE.map(({ name }) => `### ${name}\n\n\`\`\`text\n${helpOf(name)}\`\`\`\n`)
  const wanted = `${written}${MARK}\n${sections.join('\n')}`
  if (process.env['GATEHOUSE_WRITE'] === '1') writeFileSync(FILE, wanted)
  expect(readFileSync(FILE, 'utf8')).toBe(wanted)
})
