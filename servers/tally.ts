import type { Log } from './services.ts';

const EVERY_MS = 1_000;
/** Kinds of answers that are told apart between two lines; the rest is one. */
const KINDS_MAX = 100;

/** What was answered, counted by kind, once a second: a flood of requests makes a few lines. */
export class Tally {
  readonly #log: Log;
  readonly #counts = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(log: Log) {
    this.#log = log;
    this.#timer = setInterval(() => this.flush(), EVERY_MS);
    this.#timer.unref();
  }

  /** `kind` is made of routes, names of the configuration and codes: never of what was sent (I5). */
  add(kind: string): void {
    const key = this.#counts.has(kind) || this.#counts.size < KINDS_MAX ? kind : 'other';
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  flush(): void {
    if (this.#counts.size === 0) return;
    this.#log('info', 'answered', Object.fromEntries(this.#counts));
    this.#counts.clear();
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
  }
}
