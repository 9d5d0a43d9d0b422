/** Standard input, taken apart into lines without looking into them. */

const NEWLINE = 0x0a

/** A line is longer than it may be; the rest of the input was not read. */
export class LineTooLongError extends Error {
  override readonly name = 'LineTooLongError'
}

/**
 * Lines of `input` without their ends, all that a chunk completes at a time. A last line without an end counts too.
 * @throws LineTooLongError for a line of more than `maximum` bytes.
 */
export async function* lineBatches(
  input: AsyncIterable<Uint8Array>,
  maximum: number,
): AsyncGenerator<Uint8Array[], void, undefined> {
  let pieces: Uint8Array[] = []
  let held = 0
  for await (const chunk of input) {
    const lines: Uint8Array[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const piece = chunk.subarray(start, end)
      check(held + piece.length, maximum)
      lines.push(held === 0 ? piece : join([...pieces, piece], held + piece.length))
      pieces = []
      held = 0
      start = end + 1
    }
    if (start < chunk.length) {
      // What is left of a chunk is kept beyond it, while its memory may be used again.
      pieces.push(chunk.slice(start))
      held += chunk.length - start
      check(held, maximum)
    }
    if (lines.length > 0) yield lines
  }
  if (held > 0) yield [join(pieces, held)]
}

/**
 * All of `input` as one run of bytes.
 * @throws LineTooLongError if it has more than `maximum` bytes.
 */
export async function whole(input: AsyncIterable<Uint8Array>, maximum: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let held = 0
  for await (const chunk of input) {
    held += chunk.length
    check(held, maximum)
    pieces.push(chunk.slice())
  }
  return join(pieces, held)
}

function check(bytes: number, maximum: number): void {
  if (bytes > maximum) throw new LineTooLongError(`a message of more than ${maximum} bytes`)
}

function join(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const joined = new Uint8Array(bytes)
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}
