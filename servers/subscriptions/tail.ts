import { setTimeout as sleep } from 'node:timers/promises';
import type { Entity } from '../../schemas/entities/entity.ts';
import type { Claims, OutboxRow } from '../../stores/claims/claims.ts';
import type { Log } from '../services.ts';
import { toldBy, type Told } from './told.ts';

const ROWS_MAX = 200;
const LOOK_EVERY_MS = 20;
const RETRY_MS = 500;

export interface Listener {
  /** Rows that concern nobody are not read. */
  wants(row: OutboxRow): boolean;
  hear(told: Told): void;
}

/** Follows the outbox once for all who listen, and not at all while nobody does. */
export class Tail {
  readonly #claims: () => Promise<Claims>;
  readonly #entities: ReadonlyMap<string, Entity>;
  readonly #log: Log;
  readonly #listeners = new Set<Listener>();
  readonly #ended = new AbortController();
  #position: number | null = null;
  /** The end of what is being handed on. */
  #reading = 0;
  #running: Promise<void> | undefined;

  constructor(claims: () => Promise<Claims>, entities: ReadonlyMap<string, Entity>, log: Log) {
    this.#claims = claims;
    this.#entities = entities;
    this.#log = log;
  }

  /** Everything up to here has been handed on; null: nobody listens, so nothing is followed. */
  get position(): number | null {
    return this.#position;
  }

  async newest(): Promise<number> {
    const claims = await this.#claims();
    return await claims.outboxEnd();
  }

  /** What lies between a position and this one, for one listener that comes later than the others. */
  async page(
    after: number,
    wants: (row: OutboxRow) => boolean,
  ): Promise<{ told: Told[]; last: number | null }> {
    const claims = await this.#claims();
    const rows = await claims.outbox(after, ROWS_MAX);
    const told = await toldBy(claims, this.#entities, rows.filter(wants));
    return { told, last: rows.at(-1)?.position ?? null };
  }

  /** False: the others are ahead of this position; read on with `page`. */
  join(listener: Listener, position: number): boolean {
    if (this.#ended.signal.aborted) return false;
    if (this.#position !== null && Math.max(this.#position, this.#reading) > position) return false;
    this.#listeners.add(listener);
    this.#position ??= position;
    this.#running ??= this.#follow();
    return true;
  }

  leave(listener: Listener): void {
    this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    this.#listeners.clear();
    await this.#running;
  }

  async #follow(): Promise<void> {
    let failed = false;
    while (!this.#ended.signal.aborted && this.#listeners.size > 0) {
      let waitMs = LOOK_EVERY_MS;
      try {
        if (await this.#step()) waitMs = 0;
        failed = false;
      } catch (error) {
        const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
        if (!failed) this.#log('warn', 'listeners wait: the profiles cannot be read', { code });
        failed = true;
        waitMs = RETRY_MS;
      }
      if (waitMs > 0) await sleep(waitMs, undefined, { signal: this.#ended.signal }).catch(() => undefined);
    }
    // In one turn with the last look: whoever joins from here on begins anew.
    this.#position = null;
    this.#reading = 0;
    this.#running = undefined;
  }

  /** True when there may be more at once. */
  async #step(): Promise<boolean> {
    const claims = await this.#claims();
    const rows = await claims.outbox(this.#position ?? 0, ROWS_MAX);
    const last = rows.at(-1);
    if (last === undefined) return false;
    // In one turn: whoever joins from here on has not been asked what it wants, so it must stand behind these rows.
    this.#reading = last.position;
    const wanted = rows.filter((row) => [...this.#listeners].some((listener) => listener.wants(row)));
    const told = await toldBy(claims, this.#entities, wanted);
    for (const one of told) for (const listener of this.#listeners) listener.hear(one);
    this.#position = last.position;
    return rows.length === ROWS_MAX;
  }
}
