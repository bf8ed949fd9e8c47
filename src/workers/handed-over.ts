import type { Worker } from 'node:cluster'

/**
 * Ends the connections that were handed over to a process and never arrived. Node lets go of a connection when the other process
 * says that it has it; of one that is gone before that nothing is heard, and whoever is at the other end would wait for ever.
 *
 * @returns to be called when the process is gone, and all that it has said was heard
 */
export function watchHandedOver(child: Worker['process']): () => void {
  /** By the number of the message that they went with. */
  const underWay = new Map<unknown, Connection>()
  const send: unknown = Reflect.get(child, 'send')
  Reflect.set(child, 'send', (...sent: readonly unknown[]): unknown => {
    const [message, connection] = sent
    const { seq } = fieldsOf(message)
    if (seq !== undefined && isConnection(connection)) underWay.set(seq, connection)
    return typeof send === 'function' ? Reflect.apply(send, child, sent) : false
  })
  child.on('internalMessage', (message: unknown) => void underWay.delete(fieldsOf(message).ack))
  return function letGo() {
    if (underWay.size === 0) return
    for (const connection of underWay.values()) connection.close()
    underWay.clear()
    // Node puts this off until what it sent has arrived, and has the process take part in the listening until then.
    if (!child.connected) child.emit('disconnect')
  }
}

/** As libuv has it; to close it twice does nothing. */
interface Connection {
  close(): void
}

function isConnection(value: unknown): value is Connection {
  return typeof value === 'object' && value !== null && 'close' in value && typeof value.close === 'function'
}

function fieldsOf(message: unknown): { readonly seq?: unknown; readonly ack?: unknown } {
  return typeof message === 'object' && message !== null ? message : {}
}
