/** What stands in the first bytes of every message of the benchmark; the same for clients in any language. */

/** What a message is for. */
export const role = {
  /** Counted, and timed where times are taken. */
  probe: 0,
  /** Counted only. */
  load: 1,
  /** The last one of its sender. */
  farewell: 2,
} as const

/** Role (1 byte), three bytes of nothing, number at its sender (u32), time of its sending (f64, µs); little-endian. */
export const headBytes = 16

/** One message that is filled anew for each sending. */
export class Payload {
  readonly bytes: Uint8Array
  private readonly view: DataView

  constructor(size: number) {
    this.bytes = new Uint8Array(size).fill(65)
    this.view = new DataView(this.bytes.buffer)
  }

  /** @param sentAt µs; 0: nobody asks. */
  stamp(kind: number, sequence: number, sentAt: number): void {
    const { view } = this
    view.setUint8(0, kind)
    view.setUint32(4, sequence, true)
    if (sentAt !== 0) view.setFloat64(8, sentAt, true)
  }
}

/** When the message that begins at `start` was sent; µs. */
export function sentAt(chunk: Uint8Array, start: number): number {
  return new DataView(chunk.buffer, chunk.byteOffset + start).getFloat64(8, true)
}

/** The clock that all processes of a machine have in common; µs. */
export function nowMicros(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e6 + nanoseconds / 1e3
}
