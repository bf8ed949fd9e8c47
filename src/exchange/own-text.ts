/**
 * The same text in memory of its own: a part of a text keeps all of it, and what is remembered of a request must not keep its head.
 *
 * @param text octets, a character each
 */
export function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
