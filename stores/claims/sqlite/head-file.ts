import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname, join, basename } from 'node:path';
import type { Link } from '../chain.ts';

const LINE_BYTES = 96;

/** I4: the end of the chain, kept outside the store, so that a log that was cut short or replaced is noticed. */
export class HeadFile {
  readonly #path: string;

  constructor(storePath: string) {
    this.#path = join(dirname(storePath), `${basename(storePath, '.db')}.head`);
  }

  /** Never back: of two processes the one with the older batch may come here later. */
  raise({ number, hash }: Pick<Link, 'number' | 'hash'>): void {
    const known = this.read();
    if (known !== null && known.number >= number) return;
    const file = openSync(this.#path, known === null ? 'w' : 'r+', 0o600);
    try {
      writeSync(file, `${number} ${hash}`.padEnd(LINE_BYTES - 1).concat('\n'), 0);
    } finally {
      closeSync(file);
    }
  }

  read(): { number: number; hash: string } | null {
    let file: number;
    try {
      file = openSync(this.#path, 'r');
    } catch {
      return null;
    }
    try {
      const line = Buffer.alloc(LINE_BYTES);
      const [number, hash] = line.toString('latin1', 0, readSync(file, line)).trim().split(' ');
      return number === undefined || hash === undefined ? null : { number: Number(number), hash };
    } finally {
      closeSync(file);
    }
  }
}
