/** Wrong usage that shows only with the configuration at hand. Its message says what to write. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
