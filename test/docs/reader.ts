/**
 * Somebody who reads a document and does what it says: every block of shell in the order of the page, in one shell, so that what a block sets the
 * next one sees. A block says what is special about it behind `sh`:
 *
 * - `terminal NAME`: goes on in a terminal of its own, until `stops NAME`,
 * - `stops NAME`: that one is stopped first, as by Ctrl+C,
 * - `soon`: the page says that it happens within seconds: tried again until it has,
 * - anything else, such as `elsewhere`: is not for the machine of the reader, and is left out.
 *
 * The block of `text` behind it is what the reader sees, where `…` stands for what is left out and ids and times are others.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { freePort } from '../support/ports.ts'
import { pause } from '../support/process.ts'
import { until } from '../support/until.ts'
import { ROOT, type Page } from './documents.ts'

export interface Reader {
  /** Runs every block of a page, and holds what comes of it against what the page says. */
  follow(page: Page): Promise<void>
  /** Runs commands in the shell of the reader, to their end; the last one has to succeed. */
  run(text: string): Promise<string>
  /** Goes on in a terminal of its own; what it has said so far. */
  open(name: string, text: string): Promise<() => string>
  close(): Promise<void>
}

/** The folder of a reader has the shipped configuration and `./gatehouse`; its ports, and those of pages, become free ones. */
export async function createReader(): Promise<Reader> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-reader-'))
  const ports = new Map<string, string>()
  for (const port of ['8080', '9901', '9001']) ports.set(port, String(await freePort()))
  symlinkSync(join(ROOT, 'gatehouse'), join(folder, 'gatehouse'))
  writeFileSync(join(folder, 'gateway.yaml'), here(readFileSync(join(ROOT, 'gateway.yaml'), 'utf8')))

  // Terminals beside the shell are of its group, and end with it.
  const shell = spawn('bash', [], { cwd: folder, detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
  let printed = ''
  let opened = 0
  shell.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
  })
  return { follow, run, open, close }

  async function follow(page: Page): Promise<void> {
    for (const [position, { info, text }] of page.blocks.entries()) {
      const [language, role, name = ''] = info.split(' ')
      if (language !== 'sh') continue
      const next = page.blocks[position + 1]
      const said = next?.info === 'text' ? next.text : undefined
      if (role === 'terminal') await openAndSee(name, text, said)
      else if (role === undefined || role === 'soon') await runAndSee(text, said, role === 'soon' ? 30_000 : 0)
      else if (role === 'stops') {
        await run(`kill "$${name}"; wait "$${name}"; true`)
        await runAndSee(text, said, 0)
      }
    }
  }

  async function openAndSee(name: string, text: string, said: string | undefined): Promise<void> {
    const output = await open(name, text)
    if (said !== undefined) await until(() => output().includes(here(said).trim()), `${text}: ${said}`, 60_000)
  }

  async function runAndSee(text: string, said: string | undefined, limitMs: number): Promise<void> {
    const wanted = patternOf(masked(here(said ?? '…')))
    const deadline = performance.now() + limitMs
    let seen = masked(await run(text))
    while (!wanted.test(seen) && performance.now() < deadline) {
      await pause(200)
      seen = masked(await run(text))
    }
    expect(seen, text).toMatch(wanted)
  }

  async function open(name: string, text: string): Promise<() => string> {
    // Each time another file: what the last one of this name has said must not be taken for this one's.
    const file = join(folder, `${name}-${++opened}.out`)
    writeFileSync(file, '')
    await run(`${text.trim()} >> '${file}' 2>&1 & ${name}=$!`)
    return () => readFileSync(file, 'utf8')
  }

  async function run(text: string): Promise<string> {
    const mark = `-- ${Math.random()} --`
    printed = ''
    shell.stdin.write(`{ ${here(text)}\n} 2>&1\necho "${mark} $? --"\n`)
    await until(() => / \d+ --\n$/.test(printed) && printed.includes(mark), `it does not end: ${text}`, 60_000)
    const [output = '', code = ''] = printed.split(mark)
    expect(code.trim(), `${text}\n${output}`).toBe('0 --')
    return output
  }

  async function close(): Promise<void> {
    const closed = once(shell, 'close')
    if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL')
    await closed
    rmSync(folder, { recursive: true, force: true })
  }

  function here(text: string): string {
    return text
      .replace(/\b(?:8080|9901|9001)\b/g, (port) => ports.get(port) ?? port)
      .replace('npm start', './gatehouse start')
      .replace(/^gatehouse /gm, './gatehouse ')
  }
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
