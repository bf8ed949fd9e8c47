/**
 * The network that one customer holds: an IPv4 address, or the first 64 bits of an IPv6 address (RFC 6177 §2). What is counted
 * by address is counted by this: else whoever has a /64 has 2^64 budgets.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const plain = address.split('%', 1)[0] ?? address
  const mapped = mappedIpv4(plain)
  if (mapped !== undefined) return mapped
  const [head = '', tail] = plain.split('::', 2)
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = Math.max(0, 8 - front.length - back.length)
  const groups = [...front, ...Array.from({ length: gap }, () => '0'), ...back].map((group) => Number.parseInt(group, 16))
  return (
    mappedGroups(groups) ??
    `${groups
      .slice(0, 4)
      .map((group) => group.toString(16))
      .join(':')}::/64`
  )
}

/** The same as proxies may write it: `::ffff:c000:201`. */
function mappedGroups(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6)
  const isMapped = groups.length === 8 && groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
  return isMapped ? `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}` : undefined
}

/** RFC 4291 §2.5.5.2, as sockets write it: `::ffff:192.0.2.1`. */
function mappedIpv4(address: string): string | undefined {
  const lower = address.toLowerCase()
  return lower.startsWith('::ffff:') && lower.includes('.') ? lower.slice('::ffff:'.length) : undefined
}
