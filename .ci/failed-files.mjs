/**
 * A reporter of vitest that writes the files in which something failed, one a line, to the file that GATEHOUSE_FAILED_FILES names.
 * Nothing is written when a failure belongs to no file.
 */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'

export default class FailedFiles {
  onInit({ config }) {
    this.root = config.root
  }

  onTestRunEnd(modules, unhandledErrors, reason) {
    const file = process.env['GATEHOUSE_FAILED_FILES']
    if (file === undefined || reason === 'interrupted') return
    const failed = modules.filter((module) => !module.ok()).map(({ moduleId }) => moduleId)
    const paths = new Set([...failed, ...unhandledErrors.map((error) => error.VITEST_TEST_PATH)])
    if (paths.has(undefined)) return
    writeFileSync(file, [...paths].map((path) => `${relative(this.root, path)}\n`).join(''))
  }
}
