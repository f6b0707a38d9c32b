/**
 * Reads one zstd frame (RFC 8878): all that a bundle needs of the format. Node has a decoder of its own only from 22.15 on.
 *
 * Every size is checked before anything is written, so that bytes made to harm end in a `CorruptFrame`.
 */

const MAGIC = 0xfd2fb528;
const BLOCK_BYTES_MAX = 128 * 1024;
const HUFFMAN_BITS_MAX = 11;
const HUFFMAN_SYMBOLS_MAX = 255;

/** The bytes are no whole zstd frame. */
export class CorruptFrame extends Error {}

/** A state of a finite state entropy table: what it stands for, and how the next one is reached. */
interface State {
  readonly symbol: number;
  readonly bits: number;
  readonly base: number;
}

interface Table {
  readonly log: number;
  readonly states: readonly State[];
}

interface HuffmanCode {
  readonly symbol: number;
  readonly bits: number;
}

interface Huffman {
  readonly log: number;
  readonly codes: readonly HuffmanCode[];
}

/** What one block leaves to the next. */
interface Memory {
  huffman: Huffman | null;
  tables: { literals: Table | null; offsets: Table | null; matches: Table | null };
  offsets: [number, number, number];
}

/** Literal lengths and match lengths: for each code the least length, and how many bits are added to it. */
const LITERALS_BASE = [...range(0, 16), 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
const LITERALS_BITS = [...Array<number>(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_BASE = [...range(3, 35), 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539];
const MATCH_BITS = [...Array<number>(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const OFFSET_CODE_MAX = 31;

// The distributions every decoder knows (RFC 8878, 3.1.1.3.2.2).
const LITERALS_DEFAULT = tableOf(
  [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
  6,
);
const MATCHES_DEFAULT = tableOf(
  [
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    -1, -1, -1, -1, -1, -1, -1,
  ],
  6,
);
const OFFSETS_DEFAULT = tableOf([1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5);

/** Return what a frame holds. Throws `CorruptFrame` for one that is not whole, states no size or one above `bytesMax`, or is followed by anything. */
export function decompress(frame: Uint8Array, { bytesMax }: { bytesMax: number }): Uint8Array {
  const reader = new ForwardReader(frame);
  if (reader.number(4) !== MAGIC) throw new CorruptFrame("no zstd frame");
  const { size, hasChecksum } = header(reader);
  if (size > bytesMax) throw new CorruptFrame(`expands to ${size} bytes, expected at most ${bytesMax}`);
  const output = new Output(size);
  const memory: Memory = { huffman: null, tables: { literals: null, offsets: null, matches: null }, offsets: [1, 4, 8] };
  for (let isLast = false; !isLast; ) {
    const head = reader.number(3);
    isLast = (head & 1) === 1;
    block((head >> 1) & 3, head >> 3, reader, output, memory);
  }
  if (hasChecksum) reader.bytes(4); // the SHA-256 behind the frame, which is checked before, says more
  if (reader.left !== 0) throw new CorruptFrame("bytes behind the frame");
  return output.whole();
}

function header(reader: ForwardReader): { size: number; hasChecksum: boolean } {
  const descriptor = reader.number(1);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) throw new CorruptFrame("a reserved bit is set");
  if (!isSingleSegment) reader.number(1); // the window: all of the output is kept anyway
  if ((descriptor & 3) !== 0) throw new CorruptFrame("it needs a dictionary");
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6];
  if (sizeBytes === 0) throw new CorruptFrame("it does not state its size");
  return { size: reader.number(sizeBytes) + (sizeBytes === 2 ? 256 : 0), hasChecksum: (descriptor & 4) !== 0 };
}

function block(type: number, size: number, reader: ForwardReader, output: Output, memory: Memory): void {
  if (size > BLOCK_BYTES_MAX) throw new CorruptFrame("a block that is too large");
  if (type === 0) output.add(reader.bytes(size));
  else if (type === 1) output.repeat(reader.number(1), size);
  else if (type === 2) compressedBlock(new ForwardReader(reader.bytes(size)), output, memory);
  else throw new CorruptFrame("a block of an unknown type");
}

function compressedBlock(reader: ForwardReader, output: Output, memory: Memory): void {
  const literals = readLiterals(reader, memory);
  let count = reader.number(1);
  if (count >= 255) count = reader.number(2) + 0x7f00;
  else if (count >= 128) count = ((count - 128) << 8) + reader.number(1);
  if (count === 0) {
    if (reader.left !== 0) throw new CorruptFrame("bytes behind the literals");
    output.add(literals);
    return;
  }
  const modes = reader.number(1);
  const { tables } = memory;
  tables.literals = readTable(modes >> 6, reader, tables.literals, { symbolMax: 35, logMax: 9, byDefault: LITERALS_DEFAULT });
  tables.offsets = readTable((modes >> 4) & 3, reader, tables.offsets, { symbolMax: OFFSET_CODE_MAX, logMax: 8, byDefault: OFFSETS_DEFAULT });
  tables.matches = readTable((modes >> 2) & 3, reader, tables.matches, { symbolMax: 52, logMax: 9, byDefault: MATCHES_DEFAULT });
  carryOut(count, literals, new BackwardReader(reader.bytes(reader.left)), output, memory);
}

/** Carry out the sequences of a block: so many literals, then a copy of what was written before. */
function carryOut(count: number, literals: Uint8Array, bits: BackwardReader, output: Output, memory: Memory): void {
  const { literals: literalTable, offsets: offsetTable, matches: matchTable } = memory.tables as Record<string, Table>;
  let literalState = stateAt(literalTable, bits.read(literalTable.log));
  let offsetState = stateAt(offsetTable, bits.read(offsetTable.log));
  let matchState = stateAt(matchTable, bits.read(matchTable.log));
  let used = 0;
  for (let left = count; left > 0; left--) {
    const offsetValue = 2 ** offsetState.symbol + bits.read(offsetState.symbol);
    const matchLength = MATCH_BASE[matchState.symbol] + bits.read(MATCH_BITS[matchState.symbol]);
    const literalLength = LITERALS_BASE[literalState.symbol] + bits.read(LITERALS_BITS[literalState.symbol]);
    if (used + literalLength > literals.length) throw new CorruptFrame("more literals than there are");
    output.add(literals.subarray(used, used + literalLength));
    used += literalLength;
    output.copy(offsetOf(offsetValue, literalLength, memory), matchLength);
    if (left === 1) break;
    literalState = stateAt(literalTable, literalState.base + bits.read(literalState.bits));
    matchState = stateAt(matchTable, matchState.base + bits.read(matchState.bits));
    offsetState = stateAt(offsetTable, offsetState.base + bits.read(offsetState.bits));
  }
  if (bits.left !== 0) throw new CorruptFrame("bits behind the sequences");
  output.add(literals.subarray(used));
}

/** Return how far back a copy begins: a new distance, or one of the last three. */
function offsetOf(value: number, literalLength: number, memory: Memory): number {
  const [first, second, third] = memory.offsets;
  if (value > 3) {
    memory.offsets = [value - 3, first, second];
    return value - 3;
  }
  const which = value + (literalLength === 0 ? 1 : 0);
  if (which === 1) return first;
  const offset = which === 2 ? second : which === 3 ? third : first - 1;
  memory.offsets = which === 2 ? [offset, first, third] : [offset, first, second];
  return offset;
}

function readLiterals(reader: ForwardReader, memory: Memory): Uint8Array {
  const first = reader.number(1);
  const [type, format] = [first & 3, (first >> 2) & 3];
  if (type < 2) {
    const size = (format & 1) === 0 ? first >> 3 : format === 1 ? (first >> 4) + reader.number(1) * 16 : (first >> 4) + reader.number(2) * 16;
    if (size > BLOCK_BYTES_MAX) throw new CorruptFrame("too many literals");
    return type === 0 ? reader.bytes(size) : new Uint8Array(size).fill(reader.number(1));
  }
  const sizeBits = format < 2 ? 10 : format === 2 ? 14 : 18;
  const sizes = first + reader.number((sizeBits * 2 + 4) / 8 - 1) * 256;
  const size = Math.floor(sizes / 16) % 2 ** sizeBits;
  const compressedSize = Math.floor(sizes / 2 ** (4 + sizeBits));
  if (size > BLOCK_BYTES_MAX) throw new CorruptFrame("too many literals");
  const own = new ForwardReader(reader.bytes(compressedSize));
  if (type === 2) memory.huffman = readHuffman(own);
  if (memory.huffman === null) throw new CorruptFrame("literals of a table that was never given");
  return format === 0 ? huffmanStream(own.bytes(own.left), size, memory.huffman) : fourStreams(own, size, memory.huffman);
}

function fourStreams(reader: ForwardReader, size: number, huffman: Huffman): Uint8Array {
  const sizes = [reader.number(2), reader.number(2), reader.number(2)];
  const each = Math.floor((size + 3) / 4);
  const last = size - 3 * each;
  if (last < 0) throw new CorruptFrame("too few literals for four streams");
  const literals = new Uint8Array(size);
  for (let stream = 0; stream < 4; stream++) {
    const bytes = reader.bytes(stream < 3 ? sizes[stream] : reader.left);
    literals.set(huffmanStream(bytes, stream < 3 ? each : last, huffman), stream * each);
  }
  return literals;
}

function huffmanStream(bytes: Uint8Array, size: number, { log, codes }: Huffman): Uint8Array {
  const bits = new BackwardReader(bytes);
  const literals = new Uint8Array(size);
  for (let at = 0; at < size; at++) {
    const code = codes[bits.peek(log)];
    bits.skip(code.bits);
    literals[at] = code.symbol;
  }
  if (bits.left !== 0) throw new CorruptFrame("bits behind the literals");
  return literals;
}

function readHuffman(reader: ForwardReader): Huffman {
  const head = reader.number(1);
  const weights = head >= 128 ? directWeights(reader, head - 127) : compressedWeights(new ForwardReader(reader.bytes(head)));
  let sum = 0;
  for (const weight of weights) sum += weight === 0 ? 0 : 2 ** (weight - 1);
  const log = sum === 0 ? 0 : bitLength(sum);
  if (log === 0 || log > HUFFMAN_BITS_MAX) throw new CorruptFrame("codes that are too long");
  weights.push(bitLength(2 ** log - sum)); // the last one is what is missing to a power of two
  const codes: HuffmanCode[] = [];
  for (let weight = 1; weight <= log; weight++) {
    weights.forEach((own, symbol) => {
      if (own === weight) for (let place = 0; place < 2 ** (weight - 1); place++) codes.push({ symbol, bits: log + 1 - weight });
    });
  }
  if (codes.length !== 2 ** log) throw new CorruptFrame("codes that do not add up");
  return { log, codes };
}

function directWeights(reader: ForwardReader, count: number): number[] {
  const bytes = reader.bytes(Math.ceil(count / 2));
  return range(0, count).map((at) => (at % 2 === 0 ? bytes[at >> 1] >> 4 : bytes[at >> 1] & 15));
}

/** Read weights by two states in turn, until the bits are at their end. */
function compressedWeights(reader: ForwardReader): number[] {
  const table = readDistribution(reader, { symbolMax: HUFFMAN_SYMBOLS_MAX, logMax: 6 });
  const bits = new BackwardReader(reader.bytes(reader.left));
  const weights: number[] = [];
  let [state, other] = [stateAt(table, bits.read(table.log)), stateAt(table, bits.read(table.log))];
  for (;;) {
    weights.push(state.symbol);
    if (weights.length > HUFFMAN_SYMBOLS_MAX) throw new CorruptFrame("too many codes");
    if (bits.left < state.bits) {
      weights.push(other.symbol);
      return weights;
    }
    [state, other] = [other, stateAt(table, state.base + bits.read(state.bits))];
  }
}

interface TableLimits {
  readonly symbolMax: number;
  readonly logMax: number;
}

function readTable(mode: number, reader: ForwardReader, before: Table | null, limits: TableLimits & { byDefault: Table }): Table {
  if (mode === 0) return limits.byDefault;
  if (mode === 1) {
    const symbol = reader.number(1);
    if (symbol > limits.symbolMax) throw new CorruptFrame("an unknown code");
    return { log: 0, states: [{ symbol, bits: 0, base: 0 }] };
  }
  if (mode === 2) return readDistribution(reader, limits);
  if (before === null) throw new CorruptFrame("a table that was never given");
  return before;
}

/** Read how often each symbol comes (RFC 8878, 4.1.1), and return the table that follows. */
function readDistribution(reader: ForwardReader, { symbolMax, logMax }: TableLimits): Table {
  const bits = new ForwardBits(reader);
  const log = bits.read(4) + 5;
  if (log > logMax) throw new CorruptFrame("a table that is too large");
  const counts: number[] = [];
  let left = 2 ** log + 1;
  while (left > 1) {
    if (counts.length > symbolMax) throw new CorruptFrame("too many symbols");
    const width = bitLength(left);
    const small = 2 ** width - 1 - left; // so many values are written with one bit less
    let value = bits.peek(width - 1);
    if (value < small) bits.skip(width - 1);
    else {
      value = bits.read(width);
      if (value >= 2 ** (width - 1)) value -= small;
    }
    const count = value - 1;
    counts.push(count);
    left -= Math.abs(count);
    if (count === 0) {
      for (let zeros = 3; zeros === 3; ) {
        zeros = bits.read(2);
        for (let each = 0; each < zeros; each++) counts.push(0);
      }
    }
  }
  if (left !== 1 || counts.length > symbolMax + 1) throw new CorruptFrame("symbols that do not add up");
  bits.end();
  return tableOf(counts, log);
}

/** Spread the symbols over the states by their counts (RFC 8878, 4.1.1); a count of -1 is less than one. */
function tableOf(counts: readonly number[], log: number): Table {
  const size = 2 ** log;
  const symbols = new Array<number>(size).fill(-1);
  let high = size;
  counts.forEach((count, symbol) => {
    if (count === -1) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let place = 0;
  counts.forEach((count, symbol) => {
    for (let each = 0; each < count; each++) {
      symbols[place] = symbol;
      do place = (place + step) & (size - 1);
      while (place >= high);
    }
  });
  const next = counts.map((count) => (count === -1 ? 1 : count));
  const states = symbols.map((symbol) => {
    const number = next[symbol]++;
    const bits = log + 1 - bitLength(number);
    return { symbol, bits, base: number * 2 ** bits - size };
  });
  return { log, states };
}

function stateAt({ states }: Table, place: number): State {
  return states[place];
}

function bitLength(number: number): number {
  return 32 - Math.clz32(number);
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, place) => first + place);
}

/** What is written: exactly as many bytes as the frame states. */
class Output {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
  }

  add(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  repeat(byte: number, count: number): void {
    this.#reserve(count);
    this.#bytes.fill(byte, this.#at, this.#at + count);
    this.#at += count;
  }

  copy(offset: number, count: number): void {
    if (offset < 1 || offset > this.#at) throw new CorruptFrame("a copy of what was never written");
    this.#reserve(count);
    for (const end = this.#at + count; this.#at < end; this.#at++) this.#bytes[this.#at] = this.#bytes[this.#at - offset];
  }

  whole(): Uint8Array {
    if (this.#at !== this.#bytes.length) throw new CorruptFrame("fewer bytes than it states");
    return this.#bytes;
  }

  #reserve(count: number): void {
    if (this.#at + count > this.#bytes.length) throw new CorruptFrame("more bytes than it states");
  }
}

/** Reads bytes, and little-endian numbers of them, from the front. */
class ForwardReader {
  #at = 0;

  constructor(readonly data: Uint8Array) {}

  get left(): number {
    return this.data.length - this.#at;
  }

  bytes(count: number): Uint8Array {
    if (count > this.left) throw new CorruptFrame("cut short");
    this.#at += count;
    return this.data.subarray(this.#at - count, this.#at);
  }

  number(count: number): number {
    return this.bytes(count).reduceRight((number, byte) => number * 256 + byte, 0);
  }
}

/** Reads bits from the front, the lowest of each byte first; what is left of the last byte is passed over. */
class ForwardBits {
  #kept = 0;
  #count = 0;

  constructor(readonly reader: ForwardReader) {}

  /** Return the next bits without taking them; behind the end there are zeros. */
  peek(count: number): number {
    while (this.#count < count && this.reader.left > 0) {
      this.#kept += this.reader.number(1) * 2 ** this.#count;
      this.#count += 8;
    }
    return this.#kept % 2 ** count;
  }

  skip(count: number): void {
    this.peek(count);
    if (count > this.#count) throw new CorruptFrame("cut short");
    this.#kept = Math.floor(this.#kept / 2 ** count);
    this.#count -= count;
  }

  read(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  end(): void {
    if (this.#count >= 8) throw new CorruptFrame("bits behind a table");
  }
}

/** Reads bits from the back, the highest first; the highest 1 of the last byte only marks where they end. */
class BackwardReader {
  /** How many bits are there to be read. */
  left: number;

  constructor(readonly data: Uint8Array) {
    const last = data[data.length - 1] ?? 0;
    if (last === 0) throw new CorruptFrame("bits without an end");
    this.left = data.length * 8 - (Math.clz32(last) - 24) - 1;
  }

  read(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  skip(count: number): void {
    if (count > this.left) throw new CorruptFrame("cut short");
    this.left -= count;
  }

  /** Return the next bits without taking them; before the front there are zeros. */
  peek(count: number): number {
    if (count === 0) return 0;
    const missing = Math.max(0, count - this.left);
    const first = this.left - (count - missing); // the lowest bit that is read
    let value = 0;
    for (let at = (this.left - 1) >> 3; at >= first >> 3 && at >= 0; at--) value = value * 256 + this.data[at];
    const unread = ((((this.left - 1) >> 3) + 1) << 3) - this.left; // high bits of the first byte, read before
    const width = ((((this.left - 1) >> 3) - (first >> 3) + 1) << 3) - unread;
    value %= 2 ** width;
    return Math.floor(value / 2 ** (first & 7)) * 2 ** missing;
  }
}
