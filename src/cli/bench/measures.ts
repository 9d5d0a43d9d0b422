/** Everything that is measured: its unit, how it is written, and what is better. */

export interface Measure {
  readonly label: string
  readonly unit: string
  readonly better: 'more' | 'less'
  /** Digits behind the point. */
  readonly digits: number
}

function measure(label: string, unit: string, better: Measure['better'], digits: number): Measure {
  return { label, unit, better, digits }
}

export type MeasureName =
  | 'messages'
  | 'megabytes'
  | 'fairness'
  | 'daemonCpu'
  | 'clientCpu'
  | 'maximum'
  | 'offered'
  | 'ownP50'
  | 'ownP99'
  | 'ownP999'
  | 'crossP50'
  | 'crossP99'
  | 'crossP999'
  | 'stoppedP50'
  | 'stoppedP99'
  | 'stoppedChange'
  | 'viewChange'
  | 'besideMessages'
  | 'besideShare'
  | 'besideP50'
  | 'besideP99'
  | 'besideChange'
  | 'far'
  | 'join'
  | 'cut'
  | 'heal'
  | 'kill'
  | 'restart'
  | 'busy'
  | 'wakeUps'
  | 'daemonMemory'
  | 'clientMemory'
  | 'entered'

export const measures: Readonly<Record<MeasureName, Measure>> = {
  messages: measure('messages', '/s', 'more', 0),
  megabytes: measure('payload', 'MB/s', 'more', 1),
  fairness: measure('slowest/fastest sender', '%', 'more', 0),
  daemonCpu: measure('CPU a daemon', 's/million', 'less', 3),
  clientCpu: measure('CPU a client', 's/million', 'less', 3),
  maximum: measure('maximum of the others', '/s', 'more', 0),
  offered: measure('offered', '/s', 'more', 0),
  ownP50: measure('own p50', 'µs', 'less', 0),
  ownP99: measure('own p99', 'µs', 'less', 0),
  ownP999: measure('own p99.9', 'µs', 'less', 0),
  crossP50: measure('cross p50', 'µs', 'less', 0),
  crossP99: measure('cross p99', 'µs', 'less', 0),
  crossP999: measure('cross p99.9', 'µs', 'less', 0),
  stoppedP50: measure('stopped p50', 'µs', 'less', 0),
  stoppedP99: measure('stopped p99', 'µs', 'less', 0),
  stoppedChange: measure('p99 stopped/before', '×', 'less', 2),
  viewChange: measure('SIGSTOP → view', 'ms', 'less', 1),
  besideMessages: measure('messages, other cell disturbed', '/s', 'more', 0),
  besideShare: measure('messages disturbed/alone', '%', 'more', 0),
  besideP50: measure('p50, other cell disturbed', 'µs', 'less', 0),
  besideP99: measure('p99, other cell disturbed', 'µs', 'less', 0),
  besideChange: measure('p99 disturbed/alone', '×', 'less', 2),
  far: measure('messages of the other cell', '/s', 'more', 0),
  join: measure('client joins → view at all', 'ms', 'less', 2),
  cut: measure('cut → both sides', 'ms', 'less', 1),
  heal: measure('heal → one view', 'ms', 'less', 1),
  kill: measure('kill -9 → view', 'ms', 'less', 1),
  restart: measure('restart → one view', 'ms', 'less', 1),
  busy: measure('CPU of the busiest daemon', '%', 'less', 2),
  wakeUps: measure('wake-ups of the busiest daemon', '/s', 'less', 0),
  daemonMemory: measure('memory of a daemon', 'MB', 'less', 0),
  clientMemory: measure('memory of a client', 'MB', 'less', 0),
  entered: measure('until all is there', 'ms', 'less', 0),
}

/** What one run has measured. */
export type Values = { readonly [Name in MeasureName]?: number }

/** What was measured several times within one run. */
export type Samples = { readonly [Name in MeasureName]?: readonly number[] }

export const measureNames: readonly MeasureName[] = Object.keys(measures) as MeasureName[]

export function valueText(name: MeasureName, value: number): string {
  if (!Number.isFinite(value)) return '-'
  const { digits } = measures[name]
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
