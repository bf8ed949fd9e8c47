/**
 * Looks after the file of the configuration: when it or a file that it names is another, or somebody asks for it, it is read
 * again and put in force.
 *
 * Looking is comparing what the file system says, again and again: notices of changes are lost on mounted volumes and where a
 * name is pointed at another file. This room knows no grammar and touches no file and no gateway itself; what cannot be read,
 * or put in force, it tells, and leaves everything as it is.
 *
 * @module
 */

/** A configuration as it was read. */
export interface Reading<C> {
  /** Absolute paths of all that was read. */
  readonly files: readonly string[]
  /** Tells one content of these files from another. */
  readonly digest: string
  /** Absent when it has faults. */
  readonly config?: C
  /** Why there is no configuration. */
  readonly fault?: unknown
}

export interface ReloadNeeds<C> {
  /** Reads the configuration. Never throws. */
  read(): Reading<C>
  /** Puts it in force. @throws Error that says why it is not; nothing has changed then */
  apply(config: C): Promise<void>
  /** Tells one state of a file from another without reading it; undefined: it cannot be told. Never rejects. */
  look(path: string): Promise<string | undefined>
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  readonly events: ReloadEvents<C>
}

export interface ReloadEvents<C> {
  /** It is in force. */
  reloaded(config: C): void
  /** It has faults, or could not be put in force: what was in force before still is. */
  refused(cause: unknown): void
}

export interface ReloadConfig {
  /** Whether files are looked at. */
  readonly watch: boolean
  readonly intervalMs: number
}

/** What came of it. */
export type Outcome<C> =
  | { readonly outcome: 'reloaded'; readonly config: C }
  | { readonly outcome: 'refused'; readonly cause: unknown }
  /** Nobody asked, and it says what is in force already, or what was refused last. */
  | { readonly outcome: 'unchanged' }

export interface Reloads<C> {
  /** Begins to look. */
  start(): void
  /** Reads it again, changed or not. Never rejects. */
  reload(): Promise<Outcome<C>>
  /** Looks no more. Resolves when what was begun is over. */
  stop(): Promise<void>
}

/** Who writes a file in several steps is done by then. */
const SETTLE_MS = 250
/** What could not be put in force because of something else than the files is tried again. */
const RETRY_MS = 2000
const LONGEST_RETRY_MS = 60_000

/**
 * @param first What is in force.
 * @param settings How to look, asked each time.
 */
export function createReloads<C>(needs: ReloadNeeds<C>, first: Reading<C>, settings: () => ReloadConfig): Reloads<C> {
  let files = first.files
  /** Of what is in force, or was refused last. */
  let digest = first.digest
  /** How the files looked when they were read; of the first reading nobody knows. */
  let seen: string | undefined
  let changing: string | undefined
  let failures = 0
  let isStopped = false
  let cancel: (() => void) | undefined
  let tail: Promise<unknown> = Promise.resolve()
  return { start: () => plan(settings().intervalMs), reload: () => oneAtATime('asked'), stop }

  function plan(delayMs: number): void {
    if (!isStopped) cancel = needs.schedule(delayMs, () => void look().then(plan))
  }

  /** Returns after how long to look again. */
  async function look(): Promise<number> {
    const { watch, intervalMs } = settings()
    if (!watch) return intervalMs
    if (failures > 0) {
      await oneAtATime('retry')
      return failures === 0 ? intervalMs : Math.min(RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS)
    }
    const now = await state()
    if (now === seen) return intervalMs
    if (now !== changing) {
      changing = now
      return Math.min(SETTLE_MS, intervalMs)
    }
    seen = now
    await oneAtATime('changed')
    return intervalMs
  }

  async function state(): Promise<string> {
    const states = await Promise.all(files.map(async (file) => `${file} ${(await needs.look(file)) ?? 'none'}`))
    return states.join('\n')
  }

  function oneAtATime(why: 'asked' | 'changed' | 'retry'): Promise<Outcome<C>> {
    const work = tail.then(() => read(why))
    tail = work
    return work
  }

  async function read(why: 'asked' | 'changed' | 'retry'): Promise<Outcome<C>> {
    const reading = needs.read()
    if (reading.files.join('\n') !== files.join('\n')) {
      // What was not looked at before may have changed since: it is compared by its content once more.
      files = reading.files
      seen = undefined
    }
    if (why === 'changed' && reading.digest === digest) return { outcome: 'unchanged' }
    digest = reading.digest
    if (reading.config === undefined) return refused(reading.fault)
    return apply(reading.config)
  }

  async function apply(config: C): Promise<Outcome<C>> {
    try {
      if (isStopped) throw new Error('the gateway is stopping')
      await needs.apply(config)
    } catch (cause) {
      failures += 1
      return told(cause)
    }
    failures = 0
    needs.events.reloaded(config)
    return { outcome: 'reloaded', config }
  }

  /** Only another file makes it better. */
  function refused(fault: unknown): Outcome<C> {
    failures = 0
    return told(fault)
  }

  function told(cause: unknown): Outcome<C> {
    needs.events.refused(cause)
    return { outcome: 'refused', cause }
  }

  async function stop(): Promise<void> {
    isStopped = true
    cancel?.()
    await tail
  }
}
