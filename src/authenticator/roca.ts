/**
 * The fingerprint of RSA moduli made by the Infineon library of CVE-2017-15361: modulo each of these primes such a modulus
 * is a power of 65537. By chance that is so for fewer than one modulus in 2^27.
 */

const PRIMES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157] as const

const POWERS: ReadonlyMap<bigint, ReadonlySet<bigint>> = new Map(
  PRIMES.map((prime) => [BigInt(prime), powersOf65537(BigInt(prime))]),
)

export function hasRocaFingerprint(modulus: bigint): boolean {
  for (const [prime, powers] of POWERS) {
    if (!powers.has(modulus % prime)) return false
  }
  return true
}

function powersOf65537(prime: bigint): ReadonlySet<bigint> {
  const powers = new Set<bigint>()
  for (let power = 1n; !powers.has(power); power = (power * 65_537n) % prime) powers.add(power)
  return powers
}
