import { KeySetFault, readKeySet } from './key-set.ts'

export interface FetcherNeeds {
  readonly fetch: typeof globalThis.fetch
  /** Runs `run` after `delayMs`; returns the way to cancel it. */
  schedule(delayMs: number, run: () => void): () => void
}

/** A key set is a few KiB; an issuer that sends more is lying or broken. */
export const MAX_KEY_SET_BYTES = 512 * 1024

const HEADERS = Object.freeze({ accept: 'application/json, application/jwk-set+json' })

/**
 * One attempt to get the unscreened keys of an issuer. Settles within `timeoutMs`, whatever the issuer does.
 *
 * Rejects on any answer but a 200 with a bounded JWK Set; redirects are not followed.
 */
export async function fetchKeySet(needs: FetcherNeeds, uri: string, timeoutMs: number): Promise<readonly unknown[]> {
  const controller = new AbortController()
  const late = Promise.withResolvers<never>()
  const cancel = needs.schedule(timeoutMs, () => {
    late.reject(new KeySetFault('the key set did not arrive in time'))
    controller.abort()
  })
  try {
    return await Promise.race([download(needs.fetch, uri, controller.signal), late.promise])
  } finally {
    cancel()
  }
}

async function download(fetch: typeof globalThis.fetch, uri: string, signal: AbortSignal): Promise<readonly unknown[]> {
  const response = await fetch(uri, { redirect: 'error', headers: HEADERS, signal })
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel()
    throw new KeySetFault('the issuer did not answer with a key set')
  }
  return readKeySet(await readBounded(response.body))
}

async function readBounded(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  // Leaving the loop cancels the stream.
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > MAX_KEY_SET_BYTES) throw new KeySetFault('the key set is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
