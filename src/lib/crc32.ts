/** Checksum of a run of bytes; with `seed`, the result of an earlier call, it goes on where that call ended. */
export type Crc32 = (data: Uint8Array, seed?: number) => number

const TABLES: readonly Uint32Array[] = makeTables()

/** Eight tables: table k gives the effect of a byte that is followed by k zero bytes ("slicing by eight"). */
function makeTables(): Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256))
  const first = tables[0] as Uint32Array
  for (let value = 0; value < 256; value++) {
    let remainder = value
    for (let bit = 0; bit < 8; bit++) {
      remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1
    }
    first[value] = remainder
  }
  for (let k = 1; k < 8; k++) {
    const before = tables[k - 1] as Uint32Array
    const table = tables[k] as Uint32Array
    for (let value = 0; value < 256; value++) {
      const remainder = before[value] as number
      table[value] = (remainder >>> 8) ^ (first[remainder & 0xff] as number)
    }
  }
  return tables
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

/**
 * CRC-32 with the polynomial of IEEE 802.3, as zlib, PNG and gzip use it; equal to `zlib.crc32` for every input.
 *
 * For places where `zlib` does not exist (simulator, browser). Runs through eight bytes a turn.
 */
export function crc32(data: Uint8Array, seed = 0): number {
  let crc = ~seed
  let at = 0
  const blocks = data.length - (data.length & 7)
  while (at < blocks) {
    const low =
      crc ^
      ((data[at] as number) |
        ((data[at + 1] as number) << 8) |
        ((data[at + 2] as number) << 16) |
        ((data[at + 3] as number) << 24))
    crc =
      (T7[low & 0xff] as number) ^
      (T6[(low >>> 8) & 0xff] as number) ^
      (T5[(low >>> 16) & 0xff] as number) ^
      (T4[low >>> 24] as number) ^
      (T3[data[at + 4] as number] as number) ^
      (T2[data[at + 5] as number] as number) ^
      (T1[data[at + 6] as number] as number) ^
      (T0[data[at + 7] as number] as number)
    at += 8
  }
  while (at < data.length) {
    crc = (crc >>> 8) ^ (T0[(crc ^ (data[at] as number)) & 0xff] as number)
    at++
  }
  return ~crc >>> 0
}
