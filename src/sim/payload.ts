/** Message bodies whose every byte follows from who sent them and when, so that a receiver can tell damage and mix-ups. */

/** `count` messages of the given sizes as one segment body: each [u32 LE length][bytes]. */
export function makeBody(session: string, firstSequence: number, sizes: readonly number[]): Uint8Array {
  const total = sizes.reduce((sum, size) => sum + 4 + size, 0)
  const body = new Uint8Array(total)
  const view = new DataView(body.buffer)
  let at = 0
  sizes.forEach((size, index) => {
    view.setUint32(at, size, true)
    at += 4
    fill(body, at, size, seedOf(session, firstSequence + index))
    at += size
  })
  return body
}

/** @returns what is wrong with a received body, or null. */
export function checkBody(
  session: string,
  firstSequence: number,
  count: number,
  slices: readonly Uint8Array[],
): string | null {
  const body = join(slices)
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  let at = 0
  for (let index = 0; index < count; index++) {
    if (at + 4 > body.length) return `message ${index} of ${count} is missing in ${body.length} bytes`
    const size = view.getUint32(at, true)
    at += 4
    if (at + size > body.length) return `message ${index} says ${size} bytes, ${body.length - at} are left`
    let value = seedOf(session, firstSequence + index)
    for (let offset = 0; offset < size; offset++) {
      if (body[at + offset] !== (value & 255)) return `message ${index} differs at byte ${offset}`
      value = (value + 7) | 0
    }
    at += size
  }
  return at === body.length ? null : `${body.length - at} bytes too many`
}

export function join(slices: readonly Uint8Array[]): Uint8Array {
  const first = slices[0]
  if (slices.length === 1 && first !== undefined) return first
  const joined = new Uint8Array(slices.reduce((sum, slice) => sum + slice.length, 0))
  let at = 0
  for (const slice of slices) {
    joined.set(slice, at)
    at += slice.length
  }
  return joined
}

function fill(body: Uint8Array, from: number, size: number, seed: number): void {
  let value = seed
  for (let at = from; at < from + size; at++) {
    body[at] = value & 255
    value = (value + 7) | 0
  }
}

/** Of the session's daemon and number; its name is not known everywhere. */
function seedOf(session: string, sequence: number): number {
  let seed = Math.imul(sequence, 0x9e3779b1)
  for (let index = session.indexOf('@'); index < session.length; index++)
    seed = Math.imul(seed ^ session.charCodeAt(index), 31)
  return seed | 0
}
