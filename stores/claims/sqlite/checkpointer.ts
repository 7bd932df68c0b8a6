import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

/** Moving pages from the log into the file begins at this size of the log, and bulk work waits for it at the second. */
const BEGIN_BYTES = 16 * 1024 ** 2;
const WAIT_BYTES = 128 * 1024 ** 2;

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

/**
 * Checkpoints of bulk work in a thread of their own: on the main thread each would stop a webhook for as long as the disk takes,
 * and cost an eighth of the time. Started at the first need; SQLite's own checkpoints remain behind it for a far larger log.
 */
export class Checkpointer {
  readonly #path: string;
  #worker: Worker | null = null;
  #running: Promise<void> | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** After a commit. Resolves at once unless the log has become so long that writers must let it be emptied. */
  async relieve(): Promise<void> {
    const bytes = this.#logBytes();
    if (bytes < BEGIN_BYTES) return;
    this.#running ??= this.#checkpoint();
    if (bytes < WAIT_BYTES) return;
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

  #logBytes(): number {
    return statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#worker?.terminate();
    this.#worker = null;
  }
}
