/** A TCP relay on loopback that a test breaks in the ways in which networks and servers break. */
import { once } from 'node:events'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'

export type Disturbance =
  /** Passes everything on. */
  | { readonly kind: 'none' }
  /**
   * Nothing arrives, in either direction, and nothing is closed. As with lost packets, what was sent is not forgotten: what
   * both ends still wait for arrives when the hole is gone.
   */
  | { readonly kind: 'hole' }
  /** New connections are closed at once; with {@link FaultProxy.cut} nobody is there. */
  | { readonly kind: 'refuse' }
  /** What the server says arrives so much later. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** This share of what the server says arrives with random octets before it, after it, or in its place. */
  | { readonly kind: 'garbage'; readonly share: number; random(): number }

export interface FaultProxy {
  readonly port: number
  disturb(disturbance: Disturbance): void
  /** Says this to every client now, in the name of the server. */
  inject(octets: Buffer): void
  /** Leads new connections there; those that are there stay. */
  lead(port: number): void
  /** Breaks connections, all or each with this chance; what they hold is lost. Returns how many. */
  cut(share?: number, random?: () => number): number
  close(): Promise<void>
}

const NONE: Disturbance = { kind: 'none' }

interface Delayed {
  readonly dueMs: number
  act(): void
}

interface Link {
  readonly near: Socket
  readonly far: Socket
  /** What is delayed, in its order. */
  readonly queue: Delayed[]
}

/** @param target - the port on loopback that it leads to */
export async function startFaultProxy(target: number): Promise<FaultProxy> {
  const links = new Set<Link>()
  let to = target
  let disturbance = NONE
  const server = createServer((near) => {
    near.on('error', ignore)
    if (disturbance.kind === 'refuse') near.destroy()
    else add(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    disturb(next) {
      disturbance = next
      for (const link of links) hold(link)
    },
    inject(octets) {
      for (const { near } of links) near.write(octets)
    },
    lead(port) {
      to = port
    },
    cut,
    async close() {
      const closed = once(server, 'close')
      server.close()
      cut()
      await closed
    },
  }

  function add(near: Socket): void {
    const link: Link = { near, far: connect(to, '127.0.0.1'), queue: [] }
    const { far } = link
    links.add(link)
    near.setNoDelay(true)
    far.setNoDelay(true)
    far.on('error', ignore)
    near.on('data', (chunk: Buffer) => far.write(chunk))
    far.on('data', (chunk: Buffer) => answer(link, chunk))
    near.on('close', () => drop(link))
    far.on('close', () => later(link, () => drop(link)))
    hold(link)
  }

  /** In a hole nothing is read, so that it waits in the buffers of the system, closings too. */
  function hold({ near, far }: Link): void {
    for (const socket of [near, far]) {
      if (disturbance.kind === 'hole') socket.pause()
      else socket.resume()
    }
  }

  function answer(link: Link, chunk: Buffer): void {
    const what = disturbance.kind === 'garbage' ? spoilt(chunk, disturbance) : chunk
    later(link, () => link.near.write(what))
  }

  /** Now, or when it is due, and never before what came earlier. */
  function later(link: Link, act: () => void): void {
    const delayMs = disturbance.kind === 'slow' ? disturbance.delayMs : 0
    if (delayMs === 0 && link.queue.length === 0) {
      act()
      return
    }
    link.queue.push({ act, dueMs: performance.now() + delayMs })
    if (link.queue.length === 1) setTimeout(() => catchUp(link), delayMs)
  }

  function catchUp(link: Link): void {
    for (let [first] = link.queue; first !== undefined; [first] = link.queue) {
      const leftMs = first.dueMs - performance.now()
      if (leftMs > 0) {
        setTimeout(() => catchUp(link), leftMs)
        return
      }
      link.queue.shift()
      first.act()
    }
  }

  function cut(share = 1, random: () => number = Math.random): number {
    const broken = [...links].filter(() => random() < share)
    for (const { near, far } of broken) {
      // A reset, so that what waits in the buffers is lost as well.
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
    return broken.length
  }

  function drop(link: Link): void {
    links.delete(link)
    link.near.destroy()
    link.far.destroy()
  }
}

const MOST_OCTETS = 40

function spoilt(chunk: Buffer, { share, random }: Disturbance & { readonly kind: 'garbage' }): Buffer {
  if (random() >= share) return chunk
  const noise = Buffer.from(Array.from({ length: 1 + Math.floor(random() * MOST_OCTETS) }, () => Math.floor(random() * 256)))
  const place = Math.floor(random() * 4)
  if (place === 0) return Buffer.concat([noise, chunk])
  if (place === 1) return Buffer.concat([chunk, noise])
  if (place === 2) return noise
  const at = Math.floor(random() * chunk.length)
  return Buffer.concat([chunk.subarray(0, at), noise, chunk.subarray(at)])
}

/** A connection that breaks is what this is for. */
function ignore(): void {
  return undefined
}
