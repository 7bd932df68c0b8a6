import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../rules/errors.ts';

/** Transfers of one process at once: more share the same line and hold more of it in memory. */
const AT_ONCE_MAX = 8;
const TRIES_MAX = 4;
const PAUSE_MS = 200;
/** Waiting transfers; more than this is a defect of the caller, not load. */
const WAITING_MAX = 100_000;

/** Bounds requests to a bucket and tries the ones again that may succeed; what still fails is tried again by the step. */
export class Transfers {
  #free = AT_ONCE_MAX;
  readonly #waiting: (() => void)[] = [];

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter();
    try {
      return await persistently(work, signal);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  async #enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    if (this.#waiting.length >= WAITING_MAX)
      throw new HeadwaterError('INTERNAL', `more than ${WAITING_MAX} transfers wait for a bucket`);
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

async function persistently<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      const again = error instanceof HeadwaterError && error.retryable;
      if (!again || attempt >= TRIES_MAX) throw error;
    }
    const pauseMs = PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
    await sleep(pauseMs, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
  }
}
