import { Query, type Connection } from 'pg';

const FIRST_BYTES = 64 * 1024;
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const TWO_TO_32 = 2 ** 32;

/** Rows in the binary format of COPY: half the bytes of the text format, and nothing to escape. */
export class CopyRows {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;
  count = 0;

  constructor() {
    this.#at = SIGNATURE.copy(this.#buffer);
  }

  row(columns: number): this {
    this.#reserve(2);
    this.#at = this.#buffer.writeInt16BE(columns, this.#at);
    this.count += 1;
    return this;
  }

  /** `smallint`, `integer` */
  int2(value: number): this {
    this.#reserve(6);
    this.#at = this.#buffer.writeInt32BE(2, this.#at);
    this.#at = this.#buffer.writeInt16BE(value, this.#at);
    return this;
  }

  int4(value: number): this {
    this.#reserve(8);
    this.#at = this.#buffer.writeInt32BE(4, this.#at);
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
    return this;
  }

  /** `bigint`; whole numbers up to 2^53. */
  int8(value: number | null): this {
    if (value === null) return this.#nothing();
    const high = Math.floor(value / TWO_TO_32);
    this.#reserve(12);
    this.#at = this.#buffer.writeInt32BE(8, this.#at);
    this.#at = this.#buffer.writeInt32BE(high, this.#at);
    this.#at = this.#buffer.writeUInt32BE(value - high * TWO_TO_32, this.#at);
    return this;
  }

  bool(value: boolean): this {
    this.#reserve(5);
    this.#at = this.#buffer.writeInt32BE(1, this.#at);
    this.#at = this.#buffer.writeInt8(value ? 1 : 0, this.#at);
    return this;
  }

  text(value: string | null): this {
    if (value === null) return this.#nothing();
    // A UTF-16 unit never takes more than three bytes.
    this.#reserve(4 + value.length * 3);
    const length = this.#buffer.write(value, this.#at + 4, 'utf8');
    this.#buffer.writeInt32BE(length, this.#at);
    this.#at += 4 + length;
    return this;
  }

  bytes(value: Uint8Array | null): this {
    if (value === null) return this.#nothing();
    this.#reserve(4 + value.length);
    this.#at = this.#buffer.writeInt32BE(value.length, this.#at);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  /** All rows; nothing may be added after it. */
  end(): Buffer {
    this.#reserve(2);
    this.#at = this.#buffer.writeInt16BE(-1, this.#at);
    return this.#buffer.subarray(0, this.#at);
  }

  #nothing(): this {
    this.#reserve(4);
    this.#at = this.#buffer.writeInt32BE(-1, this.#at);
    return this;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const wider = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(wider, 0, 0, this.#at);
    this.#buffer = wider;
  }
}

/** What the driver's own types leave out of a connection. */
interface Wire extends Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/**
 * Several statements and the rows of their COPYs in one round trip: the server takes them in turn, and after a failure it drops
 * the rows that are still on their way.
 */
export class Script extends Query {
  readonly #text: string;
  readonly #rows: readonly Buffer[];
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;

  constructor(text: string, rows: readonly Buffer[], resolve: () => void, reject: (error: Error) => void) {
    super(text);
    this.#text = text;
    this.#rows = rows;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override submit = (connection: Connection): void => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see Wire.
    const wire = connection as Wire;
    wire.stream.cork();
    wire.query(this.#text);
    for (const rows of this.#rows) {
      wire.sendCopyFromChunk(rows);
      wire.endCopyFrom();
    }
    wire.stream.uncork();
  };

  handleError(error: Error): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve();
  }

  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
}
