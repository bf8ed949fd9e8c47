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
/** Waits for other installations to end, and asks a mirror that breaks off again. */
const APT_OPTIONS = ['-qq', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3']
/** Between one attempt and the next. */
const PAUSES_SECONDS = [5, 20, 60]
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
  patiently('npm', () => succeeds('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']))
  if (!nodeRuns())
    fail('the pinned Node does not run: were install scripts switched off? Try: npm install --no-save --ignore-scripts=false')
  // Leaves the code compiled: the first start is as quick as all others.
  if (!succeeds(pinnedNode, ['src/main.ts', '--version'])) fail('the gateway does not start: see above')
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
  const [program, ...args] = [...sudo, 'env', 'RUNLEVEL=1', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...APT_OPTIONS]
  patiently('apt-get', () => {
    // Lists that could not be read anew may do all the same.
    succeeds(program, [...args, 'update'])
    return succeeds(program, [...args, 'install', '-y', '--no-install-recommends', ...packages])
  })
  const still = missing.filter((name) => !isOnPath(name))
  if (still.length > 0) fail(`${packages.join(', ')} came without ${still.join(', ')}: install them by hand`)
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

/** Registries and mirrors fail now and then, and another program may hold the lock of the packages. */
function patiently(name, attempt) {
  for (const seconds of PAUSES_SECONDS) {
    if (attempt()) return
    say(`${name} failed: trying again in ${seconds} s`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000)
  }
  if (!attempt()) fail(`${name} failed ${PAUSES_SECONDS.length + 1} times: see above`)
}

function succeeds(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  if (error !== undefined) say(`${program}: ${error.message}`)
  return status === 0
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
