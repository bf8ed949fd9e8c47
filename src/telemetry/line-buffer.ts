/** Where finished lines go. */
export interface LineBufferNeeds {
  /** Takes one or more whole lines, each with its newline. Must not block; may throw. */
  write(lines: string): void
  /** Runs once after the delay; returns the way to cancel. Need not keep the process alive. */
  schedule(delayMs: number, run: () => void): () => void
}

export interface LineBuffer {
  /** One line, without its newline. */
  add(line: string): void
  flush(): void
  /** Flushes; later lines are written at once. */
  stop(): void
}

// A write is a system call: one for many lines, and none of them older than a tenth of a second.
const BUFFER_CHARACTERS = 16 * 1024
const BUFFER_MS = 100

export function createLineBuffer(needs: LineBufferNeeds): LineBuffer {
  let pending = ''
  let cancel: (() => void) | undefined
  let stopped = false
  return { add, flush, stop }

  function add(line: string): void {
    pending += `${line}\n`
    if (stopped || pending.length >= BUFFER_CHARACTERS) {
      flush()
      return
    }
    cancel ??= needs.schedule(BUFFER_MS, flush)
  }

  function flush(): void {
    cancel?.()
    cancel = undefined
    if (pending === '') return
    const lines = pending
    pending = ''
    try {
      needs.write(lines)
    } catch {
      // The log cannot be written and there is nowhere to say so; requests go on.
    }
  }

  function stop(): void {
    stopped = true
    flush()
  }
}
