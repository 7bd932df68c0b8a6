import { setTimeout as sleep } from 'node:timers/promises';
import type { Claims, OutboxRow } from '../../stores/claims/claims.ts';
import type { Log } from '../services.ts';

export interface FeederOptions {
  claims: () => Promise<Claims | undefined>;
  /** Where all who share a cache stand; null: this process alone has it, empty at the start. */
  cursor: string | null;
  /** False: not taken, ask again. */
  take: (rows: OutboxRow[], claims: Claims) => Promise<boolean>;
  log: Log;
}

/** Rows of one question; more follow at once. */
const ROWS_MAX = 500;
/** While anything happens, and for a while after. */
const BUSY_POLL_MS = 5;
const IDLE_POLL_MS = 10;
const BUSY_FOR_MS = 1_000;
const RETRY_MS = 200;
/** Without a look at the outbox for so long nobody knows whether the cache still says the truth. */
const CURRENT_MS_MAX = 2_000;

/**
 * Follows the outbox of the claims and hands on what changed. Beginning anew at an older position repeats drops, which change
 * nothing.
 */
export class Feeder {
  readonly #options: FeederOptions;
  readonly #ended = new AbortController();
  #position: number | null = null;
  #currentAt = -Infinity;
  #running: Promise<void> | undefined;

  constructor(options: FeederOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  /** Whether everything up to a moment ago has been handed on. */
  isCurrent(): boolean {
    return performance.now() - this.#currentAt < CURRENT_MS_MAX;
  }

  async #follow(): Promise<void> {
    let busyUntil = 0;
    let failed = false;
    while (!this.#ended.signal.aborted) {
      let waitMs = performance.now() < busyUntil ? BUSY_POLL_MS : IDLE_POLL_MS;
      try {
        const moved = await this.#step();
        failed = false;
        if (moved) busyUntil = performance.now() + BUSY_FOR_MS;
        if (moved) waitMs = 0;
      } catch (error) {
        if (!failed) this.#options.log('warn', 'the cache does not follow the profiles', codeOf(error));
        failed = true;
        waitMs = RETRY_MS;
      }
      await sleep(waitMs, undefined, { signal: this.#ended.signal }).catch(() => undefined);
    }
  }

  /** True when there may be more at once. */
  async #step(): Promise<boolean> {
    const { cursor, take } = this.#options;
    const claims = await this.#options.claims();
    if (claims === undefined) return false;
    this.#position ??= cursor === null ? await claims.outboxEnd() : await claims.cursor(cursor);
    const asked = performance.now();
    const rows = await claims.outbox(this.#position, ROWS_MAX);
    const last = rows.at(-1);
    if (last === undefined) {
      this.#currentAt = asked;
      return false;
    }
    if (!(await take(rows, claims))) throw new Away();
    this.#position = last.position;
    if (rows.length < ROWS_MAX) this.#currentAt = asked;
    if (cursor !== null) await claims.moveCursor(cursor, last.position);
    return true;
  }
}

class Away extends Error {
  readonly code = 'CACHE_AWAY';
}

/** I5: a code, never a message. */
function codeOf(error: unknown): { code: string } {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return { code: typeof code === 'string' ? code : 'INTERNAL' };
}
