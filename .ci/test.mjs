#!/usr/bin/env node
/**
 * Runs every test. Where few files fail they are run once more, one after the other in processes of their own: a machine that stood
 * still for a moment is no fault, and what a first try has left in a file's servers cannot make the second one fail. Both are told.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
/** More are no accident. */
const MOST = 8

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-ci-'))
const list = join(folder, 'failed')
const code = runTests(['--reporter=default', '--reporter=./.ci/failed-files.mjs'])
const files = code === 0 ? [] : failedFiles()
rmSync(folder, { recursive: true, force: true })
process.exitCode = code
if (files.length > MOST) say(`${files.length} files failed: none is run again`)
else if (files.length > 0) {
  say(`run again: ${files.join(' ')}`)
  process.exitCode = runTests(['--maxWorkers=1', '--retry=0', ...files])
  if (process.exitCode === 0) say(`passed only when run again, and is to be mended: ${files.join(' ')}`)
}

function runTests(args) {
  const env = { ...process.env, GATEHOUSE_FAILED_FILES: list }
  return spawnSync('npm', ['test', '--silent', '--', ...args], { cwd: ROOT, stdio: 'inherit', env }).status ?? 1
}

function failedFiles() {
  try {
    return readFileSync(list, 'utf8').split('\n').filter(Boolean)
  } catch {
    return []
  }
}

function say(text) {
  process.stderr.write(`ci: ${text}\n`)
}
