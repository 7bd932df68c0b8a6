import { Worker } from 'node:worker_threads';

/**
 * Moving pages from the log into the file begins when so many of the log's pages are not in it yet, and writers wait for it
 * when the log has grown to the second. A page that many transactions changed is moved once, so a longer log is less work.
 */
export interface LogLimits {
  beginFrames: number;
  waitFrames: number;
}

/** Bulk work: at most 192 MB of disk. */
const BULK: LogLimits = { beginFrames: 16 * 1024, waitFrames: 48 * 1024 };

/** As text, so that it runs the same in a checkout and in the package. PASSIVE: neither waits for others nor makes them wait. */
const PROGRAM = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { DatabaseSync } = require('node:sqlite');
  const db = new DatabaseSync(workerData);
  parentPort.on('message', () => {
    let moved = true;
    try { db.exec('PRAGMA wal_checkpoint(PASSIVE)'); } catch { moved = false; }
    parentPort.postMessage(moved);
  });
`;

/** Pages in the log since it was last used from its start, and how many of them are in the file already. */
export interface LogFill {
  frames: number;
  moved: number;
}

/**
 * Checkpoints in a thread of their own: on the main thread each would stop a webhook for as long as the disk takes, and cost bulk
 * work an eighth of its time. Started at the first need; SQLite's own checkpoints remain behind it for a far larger log.
 */
export class Checkpointer {
  readonly #path: string;
  readonly #fill: () => LogFill;
  readonly #limits: LogLimits;
  #worker: Worker | null = null;
  #running: Promise<void> | null = null;

  constructor(path: string, fill: () => LogFill, limits: LogLimits = BULK) {
    this.#path = path;
    this.#fill = fill;
    this.#limits = limits;
  }

  /** After a commit. Resolves at once unless the log has become so long that writers must let it be emptied. */
  async relieve(): Promise<void> {
    const { frames, moved } = this.#fill();
    const { beginFrames, waitFrames } = this.#limits;
    if (frames - moved >= beginFrames) this.#running ??= this.#checkpoint();
    if (frames < waitFrames) return;
    await this.#running;
    // What was written meanwhile; with nobody writing, the log is then used from its start again.
    this.#running ??= this.#checkpoint();
    await this.#running;
  }

  async #checkpoint(): Promise<void> {
    this.#worker ??= new Worker(PROGRAM, { eval: true, workerData: this.#path });
    const worker = this.#worker;
    worker.unref();
    await new Promise<void>((resolve) => {
      const end = () => {
        worker.off('message', end).off('error', end);
        resolve();
      };
      worker.on('message', end).on('error', end);
      worker.ref();
      worker.postMessage(null);
    });
    worker.unref();
    this.#running = null;
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#worker?.terminate();
    this.#worker = null;
  }
}
