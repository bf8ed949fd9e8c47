/**
 * Sets up what the commands of package.json need: the packages of the lock file with the pinned Node among them and, for
 * `test`, the servers that the tests talk to, for `bench`, what is measured beside the gateway. Runs on the Node that the
 * machine has (20 and newer), does nothing when there is nothing to do, and says what it does.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(fileURLToPath(import.meta.url))
const pinnedNode = join(root, 'node_modules', '.bin', 'node')
const stamp = join(root, 'node_modules', '.gatehouse-setup')
/** Program → Debian package. */
const TEST_PROGRAMS = {
  nginx: 'nginx-light',
  haproxy: 'haproxy',
  python3: 'python3',
  curl: 'curl',
  openssl: 'openssl',
  'redis-server': 'redis-server',
  postgres: 'postgresql',
  mariadbd: 'mariadb-server',
  chromium: 'chromium',
  promtool: 'prometheus',
  go: 'golang-go',
}
/** The load, and what is measured beside the gateway. Apache's module is known by its file. */
const BENCH_PROGRAMS = {
  wrk: 'wrk',
  nginx: 'nginx-light',
  haproxy: 'haproxy',
  apache2: 'apache2',
  '../lib/apache2/modules/mod_oauth2.so': 'libapache2-mod-oauth2',
  caddy: 'caddy',
  'redis-server': 'redis-server',
  postgres: 'postgresql',
}

installPackages()
if (process.argv[2] === 'test') installPrograms(TEST_PROGRAMS, 'tests')
if (process.argv[2] === 'bench') installPrograms(BENCH_PROGRAMS, 'benchmarks')

function installPackages() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && nodeRuns()) return
  say('installing the packages of package-lock.json and the pinned Node')
  // Not `npm ci`: the lock file holds the binaries of the platforms it was made on, and `ci` insists on those of all.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'])
  if (!nodeRuns())
    fail('the pinned Node does not run: were install scripts switched off? Try: npm install --no-save --ignore-scripts=false')
  // Leaves the code compiled: the first start is as quick as all others.
  run(pinnedNode, ['src/main.ts', '--version'])
  writeFileSync(stamp, wanted)
}

function nodeRuns() {
  const pinned = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies.node
  const result = spawnSync(pinnedNode, ['--version'], { encoding: 'utf8' })
  return result.status === 0 && result.stdout.trim() === `v${pinned}`
}

function installPrograms(programs, users) {
  const missing = Object.keys(programs).filter((program) => !isOnPath(program))
  if (missing.length === 0) return
  const packages = missing.map((program) => programs[program])
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (!isOnPath('apt-get')) fail(`the ${users} need ${missing.join(', ')}: install them`)
  say(`installing for the ${users}: ${packages.join(', ')}`)
  // Run level 1 keeps the packages from starting their services: the tests start their own, on free ports.
  const apt = [...sudo, 'env', 'RUNLEVEL=1', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=120']
  run(...command([...apt, 'update']))
  run(...command([...apt, 'install', '-y', '--no-install-recommends', ...packages]))
}

function command([program, ...args]) {
  return [program, args]
}

function isOnPath(program) {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', ...postgresFolders()]
  return folders.some((folder) => existsSync(join(folder, program)))
}

/** Debian keeps the programs of each version in a folder of their own. */
function postgresFolders() {
  const folder = '/usr/lib/postgresql'
  return existsSync(folder) ? readdirSync(folder).map((version) => join(folder, version, 'bin')) : []
}

function run(program, args) {
  const result = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  if (result.status !== 0) fail(`${program} ${args.join(' ')} failed`)
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
