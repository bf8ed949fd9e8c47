/**
 * Makes `dist/`, which is what the package ships: Node runs TypeScript everywhere but in `node_modules`, so there it needs
 * JavaScript, and whoever uses the library its types. `npm pack` and `npm publish` call this.
 *
 *     node build.mjs [FOLDER]
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'

const root = import.meta.dirname
const target = resolve(process.argv[2] ?? join(root, 'dist'))
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

rmSync(target, { recursive: true, force: true })
execFileSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', target], { stdio: 'inherit' })
// What is read at run time and is no code: the steps of the schema of accounts.
cpSync(join(root, 'src'), target, { recursive: true, filter: (path) => statSync(path).isDirectory() || !path.endsWith('.ts') })
chmodSync(join(target, 'main.js'), 0o755)
