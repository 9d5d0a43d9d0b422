/**
 * What a decoder can object to.
 *
 * | code | meaning |
 * |---|---|
 * | `magic` | these bytes are not a frame of ours |
 * | `version` | a frame of a version that this decoder does not speak |
 * | `crc` | the checksum does not match: damaged on the way |
 * | `cell` | a frame of another cell |
 * | `sender` | a frame of another sender, or of another incarnation of it |
 * | `kind` | an unknown or reserved kind, with everything else in order: newer peers may send it |
 * | `flags` | a flag that must be understood and is not |
 * | `sealed` | a key id where no key is known |
 * | `truncated` | the bytes end before the value does |
 * | `length` | a length or count that cannot be |
 * | `value` | a value outside its range |
 * | `text` | not UTF-8, or characters that a name must not have |
 * | `trailing` | bytes left over after the last value |
 */
export type CodecErrorCode =
  | 'magic'
  | 'version'
  | 'crc'
  | 'cell'
  | 'sender'
  | 'kind'
  | 'flags'
  | 'sealed'
  | 'truncated'
  | 'length'
  | 'value'
  | 'text'
  | 'trailing'

/** The only error a decoder throws: what is wrong, with what, and where. */
export class CodecError extends Error {
  override readonly name = 'CodecError'
  readonly code: CodecErrorCode
  /** Bytes from the start of the frame. */
  readonly offset: number

  constructor(code: CodecErrorCode, what: string, offset: number) {
    super(`${what} (at byte ${offset})`)
    this.code = code
    this.offset = offset
  }
}
