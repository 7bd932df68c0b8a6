// Part of inbox: which waiting events are next. What could not be dealt with is passed over and comes again when it is due.
import type { Inbox, InboxRow } from '../stores/inbox/inbox.ts';

/** Events with a time of their own to come again; beyond it they come with the next look at everything. */
const LATER_MAX = 20_000;

/** Positions only, never an event: a million that wait cost nothing here. */
export class InboxQueue {
  readonly #inbox: Inbox;
  readonly #connection: string;
  /** Taken here, and neither settled nor left. */
  readonly #busy = new Set<number>();
  readonly #later = new Map<number, number>();
  #cursor = 0;
  #high = 0;
  #revision = -1;
  /** The oldest that was passed over, and when the queue is read from there again. */
  #leftFrom: number | null = null;
  #againAtMs = Infinity;

  constructor(inbox: Inbox, connection: string) {
    this.#inbox = inbox;
    this.#connection = connection;
  }

  get busy(): number {
    return this.#busy.size;
  }

  /** Events that are due; none at once, and for microseconds, while nothing new has come. */
  async take(limit: number, nowMs: number): Promise<InboxRow[]> {
    if (this.#leftFrom !== null && nowMs >= this.#againAtMs) {
      this.#cursor = this.#leftFrom - 1;
      this.#leftFrom = null;
      this.#againAtMs = Infinity;
      this.#revision = -1;
    }
    const revision = this.#inbox.revision();
    if (revision === this.#revision) return [];
    const rows = await this.#inbox.take(this.#connection, this.#cursor, limit);
    this.#cursor = rows.at(-1)?.position ?? this.#cursor;
    this.#high = Math.max(this.#high, this.#cursor);
    // A full answer has more behind it.
    this.#revision = rows.length < limit ? revision : -1;
    const due = rows.filter(({ position }) => !this.#busy.has(position) && this.#isDue(position, nowMs));
    for (const { position } of due) this.#busy.add(position);
    return due;
  }

  #isDue(position: number, nowMs: number): boolean {
    const dueMs = this.#later.get(position) ?? -Infinity;
    if (dueMs > nowMs) this.#leave(position, dueMs);
    else this.#later.delete(position);
    return dueMs <= nowMs;
  }

  #leave(position: number, dueMs: number): void {
    this.#leftFrom = Math.min(this.#leftFrom ?? Infinity, position);
    this.#againAtMs = Math.min(this.#againAtMs, dueMs);
  }

  /** Parked events that somebody lets wait again lie behind what was read: then more waits than is at work here. */
  recheck(waiting: number): void {
    const isThrough = this.#revision !== -1 && this.#leftFrom === null;
    if (isThrough && waiting > this.#busy.size) this.#leave(1, -Infinity);
  }

  done(positions: readonly number[]): void {
    for (const position of positions) this.#busy.delete(position);
  }

  /** These come again at that time. */
  again(positions: readonly number[], dueMs: number): void {
    for (const position of positions) {
      this.#busy.delete(position);
      if (this.#later.size < LATER_MAX) this.#later.set(position, dueMs);
      this.#leave(position, dueMs);
    }
  }

  /** The same for all of a kind that waits for one thing: what was read already is not read anew before. */
  pass(positions: readonly number[], dueMs: number): void {
    for (const position of positions) {
      this.#busy.delete(position);
      this.#leave(position, dueMs);
    }
    this.#cursor = Math.max(this.#cursor, this.#high);
  }
}
