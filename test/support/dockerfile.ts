/**
 * Does what a Dockerfile says without an engine: each stage is a folder, and the commands run on this machine with every absolute
 * path below that folder. Of the images that it begins with nothing is there but Node.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, join, resolve } from 'node:path'

export interface Instruction {
  readonly name: string
  readonly text: string
}

export interface Stage {
  /** Its root. */
  readonly folder: string
  readonly instructions: readonly Instruction[]
}

/** Whether what must belong to another user can. */
export const IS_ROOT = process.getuid?.() === 0

export function readInstructions(file: string): readonly Instruction[] {
  return readFileSync(file, 'utf8')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, name = '', text = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? []
      if (name === '') throw new Error(`not an instruction: ${line}`)
      return { name, text }
    })
}

export function argumentsOf(instructions: readonly Instruction[], name: string): readonly string[] {
  return instructions.flatMap((one) => (one.name === name ? [one.text] : []))
}

/**
 * @param context - the folder that a build is given
 * @param root - an empty folder
 * @returns the last stage
 */
export function build(instructions: readonly Instruction[], context: string, root: string): Stage {
  chmodSync(root, 0o755)
  const stages = new Map<string, string>()
  let stage: Stage = { folder: root, instructions: [] }
  let [directory, user] = ['/', 0]
  for (const instruction of instructions) {
    const { name, text } = instruction
    if (name === 'FROM') {
      const alias = / AS (\S+)$/.exec(text)?.[1] ?? 'last'
      stage = { folder: join(root, alias), instructions: [] }
      stages.set(alias, stage.folder)
      ;[directory, user] = ['/', 0]
      for (const each of ['tmp', 'usr/local/bin', 'opt', 'etc']) mkdirSync(join(stage.folder, each), { recursive: true })
    }
    if (name === 'WORKDIR') {
      directory = text
      mkdirSync(join(stage.folder, directory), { recursive: true })
    }
    if (name === 'USER') user = Number(text.split(':')[0])
    if (name === 'COPY') copy(text, { context, stages, to: stage.folder, directory })
    if (name === 'RUN') execute(text, { root: stage.folder, directory, user })
    stage = { ...stage, instructions: [...stage.instructions, instruction] }
  }
  return stage
}

interface Copying {
  readonly context: string
  readonly stages: ReadonlyMap<string, string>
  readonly to: string
  readonly directory: string
}

function copy(text: string, { context, stages, to, directory }: Copying): void {
  const words = text.split(' ')
  const from = words.find((word) => word.startsWith('--from='))?.slice(7)
  const places = words.filter((word) => !word.startsWith('--'))
  const target = places.at(-1) ?? ''
  for (const source of places.slice(0, -1)) {
    const file = from === undefined ? join(context, source) : join(stages.get(from) ?? '', source)
    const isFolder = statSync(file).isDirectory()
    const place = join(to, resolve(directory, target), isFolder || !target.endsWith('/') ? '' : basename(source))
    mkdirSync(dirname(place), { recursive: true })
    cpSync(file, place, { recursive: true, verbatimSymlinks: true })
  }
}

interface Execution {
  readonly root: string
  readonly directory: string
  readonly user: number
}

function execute(text: string, { root, directory, user }: Execution): void {
  // Whoever is not root gives nothing away: all belongs to them.
  const command = IS_ROOT ? below(root, text) : below(root, text).replaceAll(/ -[og] \d+/g, '')
  // A registry breaks off now and then.
  const attempts = text.startsWith('npm ') ? 3 : 1
  for (let attempt = 1; ; attempt += 1) {
    const result = spawnSync('sh', ['-ec', command], {
      cwd: join(root, directory),
      env: {
        ...process.env,
        PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
        npm_config_prefer_offline: 'true',
        npm_config_loglevel: 'error',
      },
      encoding: 'utf8',
      ...(IS_ROOT && user !== 0 && { uid: user, gid: user }),
    })
    if (result.status === 0) return
    if (attempt === attempts) throw new Error(`${text}: ${result.stderr}${result.stdout}`)
  }
}

/** Every absolute path of a command, in that folder. */
export function below(root: string, text: string): string {
  const mapped = text
    .split(' ')
    .map((word) => (word.startsWith('/') ? join(root, word) : word))
    .join(' ')
  // Nothing of this machine may be touched.
  if (/[=:'"]\/\w/.test(text) || !existsSync(root)) throw new Error(`a path that cannot be mapped: ${text}`)
  return mapped
}
