/** Checks of what applications hand in, for those whose compiler did not: each says what would be right. */

import type { Service } from '../core/types.ts'
import { AnasaziError } from '../lib/errors.ts'
import type { MessageData, SessionOptions } from './api.ts'

const SERVICES: ReadonlySet<unknown> = new Set<Service>(['fifo', 'causal', 'agreed', 'safe'])
/** Longest time that a timer can wait. Milliseconds. */
const LONGEST_MS = 2 ** 31 - 1

/** @throws AnasaziError `bad-argument`. */
export function checkData(data: MessageData): void {
  if (typeof data === 'string') return
  // Not `instanceof`: an array of another realm is as good.
  if (ArrayBuffer.isView(data) && (data as Partial<Uint8Array>).BYTES_PER_ELEMENT === 1) return
  throw new AnasaziError('bad-argument', `Data is a string or a Uint8Array, not ${kindOf(data)}.`)
}

/** @throws AnasaziError `bad-argument`. */
export function checkService(service: Service): void {
  if (SERVICES.has(service)) return
  throw new AnasaziError('bad-argument', `A service is ${[...SERVICES].join(', ')}, not ${String(service)}.`)
}

/** @throws AnasaziError `bad-argument`. */
export function checkOptions(options: SessionOptions): void {
  const { service, sendBufferBytes, queueBytes, handshakeTimeoutMs } = options
  for (const name of ['name', 'cluster', 'cell'] as const) {
    const value = options[name]
    if (value !== undefined && typeof value !== 'string') {
      throw new AnasaziError('bad-argument', `The option ${name} is a string, not ${kindOf(value)}.`)
    }
  }
  for (const name of ['trace', 'clock', 'onWarning', 'onClose', 'onCallbackError'] as const) {
    const value = options[name]
    if (value !== undefined && typeof value !== 'function') {
      throw new AnasaziError('bad-argument', `The option ${name} is a function, not ${kindOf(value)}.`)
    }
  }
  if (service !== undefined) checkService(service)
  checkQuantity('sendBufferBytes', sendBufferBytes, Number.MAX_SAFE_INTEGER)
  checkQuantity('queueBytes', queueBytes, Number.MAX_SAFE_INTEGER)
  checkQuantity('handshakeTimeoutMs', handshakeTimeoutMs, LONGEST_MS)
}

function checkQuantity(name: string, value: number | undefined, most: number): void {
  if (value === undefined || (typeof value === 'number' && value >= 1 && value <= most)) return
  throw new AnasaziError(
    'bad-argument',
    `The option ${name} is a number from 1 to ${most}, not ${String(value)}.`,
  )
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value === 'object' ? 'another object' : typeof value
}
