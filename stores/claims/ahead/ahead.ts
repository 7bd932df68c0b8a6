import { Worker } from 'node:worker_threads';
import { HeadwaterError } from '../../../rules/errors.ts';
import type { Observation } from '../../../schemas/observation.ts';
import { contentOf } from '../engine/content.ts';
import { linkingOf } from '../engine/identifiers.ts';
import { idPrefix, prepare, type Prepared } from '../engine/prepare.ts';
import type { Context } from '../engine/world.ts';
import { ID_CHARACTERS, SALT_BYTES } from '../vault.ts';
import type { Sealed, SealRequest } from './messages.ts';

/** Fewer observations are prepared at once: asking the thread would take longer. */
const ROWS_MIN = 1_000;
const CHUNK_ROWS = 500;
/** Chunks that wait for the thread or for the writer: bounds the memory. */
const CHUNKS_MAX = 4;

/** In a checkout and in the package. */
const PROGRAM = import.meta.url.endsWith('.ts')
  ? new URL('./thread.ts', import.meta.url)
  : new URL('./thread.js', import.meta.url);

interface Waiting {
  resolve: (sealed: Sealed) => void;
  reject: (error: unknown) => void;
}

/**
 * Hashes and seals the next rows of a large batch in a thread while this one writes those before them. Most records of a large
 * batch are new, and their keys depend on nothing stored; for a record that turns out to be known, only its hashes are used.
 */
export class Ahead {
  readonly #context: Context;
  #worker: Worker | null = null;
  #sent = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** The rows of one batch, to be taken from its beginning to its end. */
  batch(observations: readonly Observation[]): Batch {
    return new Batch(this.#context, observations, async (request) => await this.#ask(request));
  }

  async #ask(request: Omit<SealRequest, 'number'>): Promise<Sealed> {
    const worker = this.#started();
    this.#sent += 1;
    const number = this.#sent;
    const answer = new Promise<Sealed>((resolve, reject) => this.#waiting.set(number, { resolve, reject }));
    worker.ref();
    worker.postMessage({ number, ...request } satisfies SealRequest);
    return await answer;
  }

  #started(): Worker {
    if (this.#worker !== null) return this.#worker;
    const worker = new Worker(PROGRAM, { workerData: this.#context.vault.masterCopy() });
    worker.on('message', (sealed: Sealed) => {
      this.#waiting.get(sealed.number)?.resolve(sealed);
      this.#waiting.delete(sealed.number);
      if (this.#waiting.size === 0) worker.unref();
    });
    const end = (cause: unknown) => {
      if (this.#worker === worker) this.#worker = null;
      const error = new HeadwaterError('INTERNAL', 'the thread that seals claims ended', { cause });
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    worker.on('error', end).on('exit', end);
    this.#worker = worker;
    return worker;
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }
}

/** Rows are asked for a few chunks before they are taken. */
export class Batch {
  readonly #context: Context;
  readonly #observations: readonly Observation[];
  readonly #ask: (request: Omit<SealRequest, 'number'>) => Promise<Sealed>;
  readonly #chunks: Promise<Prepared[]>[] = [];
  #ready: Prepared[] = [];
  #asked = 0;

  constructor(
    context: Context,
    observations: readonly Observation[],
    ask: (request: Omit<SealRequest, 'number'>) => Promise<Sealed>,
  ) {
    this.#context = context;
    this.#observations = observations;
    this.#ask = ask;
  }

  /** Whether all rows were taken. */
  get isEmpty(): boolean {
    return this.#asked === this.#observations.length && this.#ready.length + this.#chunks.length === 0;
  }

  /** The next rows, at least one of those that are left, and at most so many. */
  async take(rowsMax: number): Promise<Prepared[]> {
    if (!this.#isLarge) return this.#here(rowsMax);
    // The first rows at once: the thread begins behind them.
    if (this.#asked === 0) this.#ready = this.#here(CHUNK_ROWS);
    this.askOn();
    while (this.#ready.length < rowsMax) {
      const next = this.#chunks.shift();
      if (next === undefined) break;
      this.#ready.push(...(await next));
      this.askOn();
    }
    return this.#ready.splice(0, rowsMax);
  }

  get #isLarge(): boolean {
    return this.#observations.length >= ROWS_MIN;
  }

  #here(rowsMax: number): Prepared[] {
    const from = this.#asked;
    this.#asked = Math.min(this.#observations.length, from + rowsMax);
    const { vault } = this.#context;
    return this.#observations.slice(from, this.#asked).map((one) => prepare(vault, this.#context, one));
  }

  /** Sends more rows to the thread; also of use while the database is busy. */
  askOn(): void {
    while (this.#isLarge && this.#chunks.length < CHUNKS_MAX && this.#asked < this.#observations.length) {
      const rows = this.#observations.slice(this.#asked, this.#asked + CHUNK_ROWS);
      this.#asked += rows.length;
      const chunk = this.#seal(rows);
      // Whoever takes it hears of an error; one that is never taken must not end the process.
      chunk.catch(() => null);
      this.#chunks.push(chunk);
    }
  }

  async #seal(rows: readonly Observation[]): Promise<Prepared[]> {
    const texts = rows.map(contentOf);
    const linking = rows.map(({ entity, identifiers }) => linkingOf(this.#context, entity, identifiers));
    const parts: string[] = [];
    for (const [index, row] of rows.entries()) parts.push(idPrefix(row), texts[index] ?? '');
    for (const list of linking) for (const { said } of list) parts.push(said);
    const lengths = new Uint32Array(parts.length);
    for (const [index, part] of parts.entries()) lengths[index] = part.length;
    const sealed = await this.#ask({ all: parts.join(''), lengths, rows: rows.length });
    let hash = 0;
    let start = 0;
    return rows.map((observation, index) => {
      const end = sealed.ends[index] ?? start;
      const body = sealed.bodies.subarray(start, end);
      start = end;
      const identifiers = (linking[index] ?? []).map(({ kind }) => ({
        hash: nth(sealed.hashes, hash++, ID_CHARACTERS),
        kind,
      }));
      return {
        observation,
        text: texts[index] ?? '',
        id: nth(sealed.ids, index, ID_CHARACTERS),
        identifiers,
        ahead: { salt: nth(sealed.salts, index, SALT_BYTES * 2), body },
      };
    });
  }
}

function nth(all: string, place: number, length: number): string {
  return all.slice(place * length, (place + 1) * length);
}
