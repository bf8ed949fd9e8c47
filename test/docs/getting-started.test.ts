/** Every command of docs/getting-started.md is run, in the order of the page, and what comes of it is what the page says. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { freePort, pause } from '../support/process.ts'
import { until } from '../support/until.ts'
import { readPage, ROOT, type Block } from './documents.ts'

const { blocks } = readPage('docs/getting-started.md')
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-started-'))
/** One shell, as the reader has one: what a block sets, the next one sees. The terminals beside it are of its group. */
const shell = spawn('bash', [], { cwd: folder, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
let printed = ''
shell.stdout.on('data', (chunk: Buffer) => {
  printed += chunk.toString()
})

afterAll(async () => {
  const closed = once(shell, 'close')
  if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL')
  await closed
  rmSync(folder, { recursive: true, force: true })
})

it('does what it says, command by command', { timeout: 120_000 }, async () => {
  const inPlace = await prepare()
  for (const [position, block] of blocks.entries()) {
    const [language, role, name] = block.info.split(' ')
    if (language !== 'sh') continue
    const said = saidAfter(position)
    if (role === 'terminal') {
      const output = await openTerminal(name ?? '', inPlace(block.text))
      if (said !== undefined) await until(() => output().includes(inPlace(said).trim()), `${name}: ${output()}`)
      continue
    }
    if (role === 'stops') await run(`kill "$${name}" && wait "$${name}"; true`)
    const wanted = patternOf(masked(inPlace(said ?? '…')))
    // What the page says happens within some seconds may take a few more here.
    const deadline = performance.now() + (role === 'soon' ? 30_000 : 0)
    let output = masked(await run(inPlace(block.text)))
    while (!wanted.test(output) && performance.now() < deadline) {
      await pause(200)
      output = masked(await run(inPlace(block.text)))
    }
    expect(output, block.text).toMatch(wanted)
  }
})

/** The folder of a reader: the shipped configuration, and the command beside it. Ports are free ones. */
async function prepare(): Promise<(text: string) => string> {
  const ports = new Map<string, string>()
  for (const port of ['8080', '9901', '9001']) ports.set(port, String(await freePort()))
  const inPlace = (text: string) =>
    text.replace(/\b(?:8080|9901|9001)\b/g, (port) => ports.get(port) ?? port).replace('npm start', './gatehouse start')
  symlinkSync(join(ROOT, 'gatehouse'), join(folder, 'gatehouse'))
  writeFileSync(join(folder, 'gateway.yaml'), inPlace(readFileSync(join(ROOT, 'gateway.yaml'), 'utf8')))
  return inPlace
}

/** The output that the page shows of a block: the block after it, where nothing but words stand between. */
function saidAfter(position: number): string | undefined {
  const next: Block | undefined = blocks[position + 1]
  return next?.info === 'text' ? next.text : undefined
}

async function openTerminal(name: string, text: string): Promise<() => string> {
  const file = join(folder, `${name}.out`)
  await run(`${text.trim()} > '${file}' 2>&1 & ${name}=$!`)
  return () => readFileSync(file, 'utf8')
}

/** Runs commands in the shell, to their end. */
async function run(text: string): Promise<string> {
  const mark = `-- ${Math.random()} --`
  printed = ''
  shell.stdin.write(`{ ${text}\n} 2>&1\necho "${mark}"\n`)
  await until(() => printed.includes(mark), `${text}: ${printed}`, 60_000)
  return printed.slice(0, printed.indexOf(mark))
}

/** Without what is another one each time. */
function masked(text: string): string {
  return text
    .replace(/\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b/g, 'UUID')
    .replace(/[\da-f]{32}/g, 'ID')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll('\r', '')
    .trim()
}

function patternOf(text: string): RegExp {
  const parts = text.split('…').map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^]*')}$`)
}
