import cluster from 'node:cluster'
import { watchHandedOver } from './handed-over.ts'

/** Another process of the gateway, as this one sees it. */
export interface Process {
  readonly pid: number
  /** Never throws; a message to a process that is gone is lost. */
  send(message: unknown): void
  kill(signal: 'SIGKILL'): void
  onMessage(take: (message: unknown) => void): void
  /** Called once, when nothing of it is left. `signal` where one ended it. */
  onExit(take: (code: number, signal: string) => void): void
  /** Ends the connections that it was handed and never took; for when all that it has said was heard. */
  letGo(): void
}

/** The way from a worker to the process that started it. */
export interface Parent {
  send(message: unknown): void
  onMessage(take: (message: unknown) => void): void
  /** Called once, when that process is gone, or has let go of this one. */
  onGone(take: () => void): void
  /** Lets go, so that this process can end. */
  leave(): void
}

/**
 * Starts this very program again, with its arguments and its environment, as a worker.
 *
 * The primary takes connections and hands them out in turn: with kept connections, a listening socket that all workers share
 * gives most of them to one worker.
 */
export function startProcess(): Process {
  cluster.schedulingPolicy = cluster.SCHED_RR
  const worker = cluster.fork()
  const { process: child } = worker
  const letGo = watchHandedOver(child)
  // Told of what could not be sent; whoever waits for an answer learns of it by the exit.
  worker.on('error', ignore)
  return {
    pid: child.pid ?? 0,
    send(message) {
      if (worker.isConnected() && isSendable(message)) child.send(message, ignore)
    },
    kill: (signal) => void child.kill(signal),
    onMessage: (take) => void worker.on('message', take),
    onExit: (take) => void worker.once('exit', take),
    letGo,
  }
}

/** Undefined in a process that was not started by {@link startProcess}. */
export function parentProcess(): Parent | undefined {
  const { worker } = cluster
  if (!cluster.isWorker || worker === undefined) return undefined
  // Node would end the process the moment that the primary is gone; requests that are under way are to be finished.
  worker.exitedAfterDisconnect = true
  const { process: own } = worker
  worker.on('error', ignore)
  return {
    send(message) {
      if (worker.isConnected() && isSendable(message)) own.send(message, ignore)
    },
    onMessage: (take) => void worker.on('message', take),
    onGone: (take) => void worker.once('disconnect', take),
    leave() {
      if (worker.isConnected()) own.disconnect()
    },
  }
}

function isSendable(message: unknown): message is object {
  return typeof message === 'object' && message !== null
}

function ignore(): void {}
