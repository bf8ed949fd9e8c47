/** Waits until something is so, looking every few milliseconds; fails with `what` after a limit that only a fault reaches. */
export async function until(
  isSo: () => Promise<boolean> | boolean,
  what = 'it did not come to that',
  limitMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(what)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
