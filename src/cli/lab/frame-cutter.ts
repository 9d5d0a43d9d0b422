/** Cuts what daemons say to each other into frames, for who wants to lose some. From `docs/wire.md`, not from the codec. */

const helloMagic = [0x41, 0x4e, 0x41, 0x48]
const frameMagic = [0x41, 0x4e, 0x41, 0x5a]
const lengthAt = 8
const kindAt = 17
/** What must be there to know the length. */
const prefixBytes = 12
const mostBytes = 1 << 26

/** Kinds of frames that change the membership, by name. */
export const frameKinds: Readonly<Record<string, number>> = {
  heartbeat: 16,
  challenge: 17,
  answer: 18,
  form: 32,
  refuse: 33,
  state: 34,
  plan: 35,
  recovered: 36,
  install: 37,
}

/** What is kept of one direction of one connection. */
export class FrameCutter {
  /** The beginning of a frame. */
  rest: Uint8Array = new Uint8Array(0)
  /** Once the stream is no sequence of frames, it is passed on as it comes. */
  lost = false
}

/** The kind of a frame; null for what is none. */
export function kindOf(piece: Uint8Array): number | null {
  return startsWith(piece, frameMagic) && piece.length > kindAt ? (piece[kindAt] as number) : null
}

/** The same frame with the bit for a mebibyte flipped in its length. */
export function stretched(frame: Uint8Array): Uint8Array {
  const bytes = frame.slice()
  bytes[lengthAt + 2] = (bytes[lengthAt + 2] as number) ^ 0x10
  return bytes
}

/**
 * What is complete with this chunk, in whole frames; the rest waits for the next one.
 * @param apart each frame by itself; otherwise all of them in one piece.
 */
export function cutFrames(chunk: Uint8Array, cutter: FrameCutter, apart: boolean): Uint8Array[] {
  if (cutter.lost) return [chunk]
  const bytes = cutter.rest.length === 0 ? chunk : joined(cutter.rest, chunk)
  const pieces: Uint8Array[] = []
  let at = 0
  while (at < bytes.length) {
    const length = lengthOf(bytes.subarray(at))
    if (length === null) {
      cutter.lost = true
      cutter.rest = new Uint8Array(0)
      return [...pieces, bytes.subarray(at)]
    }
    if (bytes.length - at < length) break
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  cutter.rest = bytes.slice(at)
  return apart || pieces.length < 2 ? pieces : [bytes.subarray(0, at)]
}

/** Infinity while too little of it is there, null if it is no frame, which the first wrong byte tells. */
function lengthOf(bytes: Uint8Array): number | null {
  const has = Math.min(4, bytes.length)
  if (!startsWith(bytes, helloMagic.slice(0, has)) && !startsWith(bytes, frameMagic.slice(0, has)))
    return null
  if (bytes.length < prefixBytes) return Number.POSITIVE_INFINITY
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(lengthAt, true)
  return length >= prefixBytes && length <= mostBytes ? length : null
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte)
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}
