/** What tests measure and print, and do not judge: the machine decides about it, too. */

/** Prints a line `figure: kill -9 → view: 132 ms`. */
export function figure(what: string, value: number | string, unit: string = ''): void {
  const text = typeof value === 'number' ? String(Math.round(value * 10) / 10) : value
  process.stderr.write(`figure: ${what}: ${text}${unit === '' ? '' : ` ${unit}`}\n`)
}

/** A watch that began now: ms since then. */
export function stopwatch(): () => number {
  const began = performance.now()
  return () => performance.now() - began
}
