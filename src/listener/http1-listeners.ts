type Event = 'close' | 'drain' | 'finish'

interface Listener {
  readonly event: Event
  readonly run: () => void
  readonly isOnce: boolean
}

/** Something that is listened to. */
export interface Heard {
  listeners: Listener[] | undefined
}

/** Tells whoever listens. */
export function tell(heard: Heard, event: Event): void {
  if (heard.listeners === undefined) return
  for (const one of heard.listeners) {
    if (one.event !== event) continue
    if (one.isOnce) off.call(heard, event, one.run)
    one.run()
  }
}

export function on(this: Heard, event: Event, run: () => void): void {
  add(this, { event, run, isOnce: false })
}

export function once(this: Heard, event: Event, run: () => void): void {
  add(this, { event, run, isOnce: true })
}

export function off(this: Heard, event: Event, run: () => void): void {
  this.listeners = this.listeners?.filter((one) => one.event !== event || one.run !== run)
}

function add(heard: Heard, one: Listener): void {
  if (heard.listeners === undefined) heard.listeners = [one]
  else heard.listeners.push(one)
}
