/**
 * Takes a byte stream of the client protocol apart, incrementally: frames without a payload are handed over as one
 * contiguous range, frames with a payload as a contiguous header and the payload as slices of the chunks. Nothing is
 * allocated because a length says so: only what has arrived is kept.
 */

import { ClientProtocolError } from './client-bytes.ts'
import { FRAME_PREFIX_BYTES } from './client.ts'

export interface StreamLimits {
  /** Largest frame without payload, and largest header of one with a payload. Bytes. */
  maxControlBytes: number
  /** Largest payload of one frame. Bytes. */
  maxPayloadBytes: number
}

/** What a splitter needs to know of the frames; `Frame` is what it produces. */
export interface FrameShapes<Frame> {
  /** 'from client' or 'from daemon', for error messages. */
  readonly direction: string
  /** False for an unknown kind, otherwise what follows the prefix. */
  shapeOf(kind: number): 'control' | 'bulk' | false
  control(kind: number, bytes: Uint8Array, view: DataView, start: number, end: number): Frame
  /** Decodes the header; `payload` is filled with the slices before the frame is handed over. */
  bulk(
    kind: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    payload: Uint8Array[],
    payloadBytes: number,
  ): Frame
}

type Stage = 'prefix' | 'control' | 'headerLength' | 'header' | 'payload'

const NO_BYTES = new Uint8Array(0)
const NO_VIEW = new DataView(NO_BYTES.buffer)

export class FrameSplitter<Frame> {
  /** May be changed between two chunks, e.g. widened after the handshake. */
  readonly limits: StreamLimits
  /** Length of the first frame of the stream, with its prefix; 0 before it has begun. */
  firstFrameBytes = 0
  private readonly shapes: FrameShapes<Frame>
  private stage: Stage = 'prefix'
  /** Bytes that the stage needs in one piece (or, for the payload, that are still to come). */
  private need = FRAME_PREFIX_BYTES
  private kind = 0
  /** Bytes of the current frame after the kind. */
  private bodyBytes = 0
  /** Pieces of a range that did not end within one chunk. */
  private partial: Uint8Array[] = []
  private partialBytes = 0
  private payload: Uint8Array[] = []
  private frame: Frame | null = null
  private failed = false

  /* The contiguous range found last. */
  private bytes: Uint8Array = NO_BYTES
  private view: DataView = NO_VIEW
  private start = 0

  constructor(shapes: FrameShapes<Frame>, limits: StreamLimits) {
    this.shapes = shapes
    this.limits = { ...limits }
  }

  /** True if the stream stands between two frames. */
  get idle(): boolean {
    return this.stage === 'prefix' && this.partialBytes === 0
  }

  /**
   * Append the frames that `chunk` completes to `out`.
   *
   * @throws ClientProtocolError on the first malformed frame; `out` then holds those before it, and the stream
   *   cannot be resumed.
   */
  push(chunk: Uint8Array, out: Frame[]): void {
    if (this.failed) throw this.error('the stream was already broken')
    try {
      this.split(chunk, out)
    } catch (error) {
      this.failed = true
      throw error
    }
  }

  private split(chunk: Uint8Array, out: Frame[]): void {
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let at = 0
    for (;;) {
      if (this.stage === 'payload') {
        const taken = Math.min(this.need, chunk.length - at)
        if (taken > 0) {
          this.payload.push(taken === chunk.length ? chunk : chunk.subarray(at, at + taken))
          at += taken
          this.need -= taken
        }
        if (this.need > 0) return
        out.push(this.frame!)
        this.frame = null
        this.payload = []
        this.expect('prefix', FRAME_PREFIX_BYTES)
        continue
      }
      const next = this.gather(chunk, view, at)
      if (next < 0) return
      at = next
      this.advance(out)
    }
  }

  /** Find `need` contiguous bytes; returns where the chunk goes on, or -1 if it ends before. */
  private gather(chunk: Uint8Array, view: DataView, at: number): number {
    const missing = this.need - this.partialBytes
    const available = chunk.length - at
    if (available < missing) {
      if (available > 0) {
        this.partial.push(chunk.subarray(at))
        this.partialBytes += available
      }
      return -1
    }
    if (this.partialBytes === 0) {
      this.bytes = chunk
      this.view = view
      this.start = at
      return at + missing
    }
    const joined = new Uint8Array(this.need)
    let offset = 0
    for (const piece of this.partial) {
      joined.set(piece, offset)
      offset += piece.length
    }
    joined.set(chunk.subarray(at, at + missing), offset)
    this.partial = []
    this.partialBytes = 0
    this.bytes = joined
    this.view = new DataView(joined.buffer)
    this.start = 0
    return at + missing
  }

  private expect(stage: Stage, need: number): void {
    this.stage = stage
    this.need = need
  }

  private advance(out: Frame[]): void {
    switch (this.stage) {
      case 'prefix':
        return this.onPrefix()
      case 'control':
        out.push(
          this.shapes.control(this.kind, this.bytes, this.view, this.start, this.start + this.bodyBytes),
        )
        return this.expect('prefix', FRAME_PREFIX_BYTES)
      case 'headerLength':
        return this.onHeaderLength()
      case 'header':
        return this.onHeader()
      default:
        throw this.error('impossible stage')
    }
  }

  private onPrefix(): void {
    const length = this.view.getUint32(this.start, true)
    this.kind = this.view.getUint8(this.start + 4)
    const shape = this.shapes.shapeOf(this.kind)
    if (shape === false) throw this.error(`unknown frame kind ${this.kind}`)
    if (length < 1) throw this.error('a frame of length 0')
    this.bodyBytes = length - 1
    if (this.firstFrameBytes === 0) this.firstFrameBytes = length + 4
    const most = this.limits.maxControlBytes + (shape === 'bulk' ? this.limits.maxPayloadBytes + 2 : 0)
    if (this.bodyBytes > most) {
      throw this.error(`a frame of ${length} bytes (kind ${this.kind}); at most ${most + 1} are allowed`)
    }
    if (shape === 'control') return this.expect('control', this.bodyBytes)
    if (this.bodyBytes < 2) throw this.error(`frame kind ${this.kind} is too short`)
    this.expect('headerLength', 2)
  }

  private onHeaderLength(): void {
    const headerBytes = this.view.getUint16(this.start, true)
    if (headerBytes > this.bodyBytes - 2) {
      throw this.error(`a header of ${headerBytes} bytes in a frame of ${this.bodyBytes + 1}`)
    }
    const payloadBytes = this.bodyBytes - 2 - headerBytes
    if (headerBytes > this.limits.maxControlBytes || payloadBytes > this.limits.maxPayloadBytes) {
      throw this.error(
        `a payload of ${payloadBytes} bytes, at most ${this.limits.maxPayloadBytes} are allowed`,
      )
    }
    this.expect('header', headerBytes)
  }

  private onHeader(): void {
    const headerBytes = this.need
    const payloadBytes = this.bodyBytes - 2 - headerBytes
    const end = this.start + headerBytes
    this.frame = this.shapes.bulk(
      this.kind,
      this.bytes,
      this.view,
      this.start,
      end,
      this.payload,
      payloadBytes,
    )
    this.expect('payload', payloadBytes)
  }

  private error(what: string): ClientProtocolError {
    return new ClientProtocolError(`client protocol, ${this.shapes.direction}: ${what}`)
  }
}
