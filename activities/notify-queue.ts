// Part of notify: which profiles wait to be told of, when each is tried, and how far everything is done. Never a value.
import type { OutboxRow } from '../stores/claims/claims.ts';

/** Profiles that wait at once; with more the outbox waits. */
export const WAITING_MAX = 10_000;
/** Versions that are remembered as told, so that their own rows are passed over. */
const TOLD_MAX = 10_000;
const RETRY_MS_MIN = 5_000;
const RETRY_MS_MAX = 3_600_000;
const RETRY_FACTOR = 3;
const JITTER = 0.2;
/** As long as Standard Webhooks advises to try. */
const GIVE_UP_MS = 3 * 86_400_000;
/** A worker that was off for days still tries as often. */
const GIVE_UP_TRIES_MIN = 10;

/** Why a notification did not arrive. */
export interface Refusal {
  /** `HTTP_503`, `ECONNREFUSED`, `TIMEOUT` …; never a text of the receiver (I5). */
  code: string;
  /** The receiver asks to come back after this. */
  retryAfterMs?: number | undefined;
  /** Nobody would get through now: all wait, and one finds out when it is over. */
  whole: boolean;
}

export interface Waiting {
  profile: string;
  /** The newest version that is known to wait. */
  version: number;
  /** The first row that is not told. */
  position: number;
  /** Earliest system time of the changes that are not told, ms. */
  sinceMs: number;
  tries: number;
  dueMs: number;
  sending: boolean;
  /** What came while an earlier version was being sent. */
  next: { position: number; sinceMs: number } | null;
}

/**
 * At most one notification of a profile is under way, and the next one of it is newer: so versions of a profile arrive in order,
 * while different profiles do not wait for each other.
 */
export class NotifyQueue {
  readonly #waiting = new Map<string, Waiting>();
  readonly #told = new Map<string, number>();
  readonly #random: () => number;
  #read: number;
  #failures = 0;
  #openMs = -Infinity;
  givenUp = 0;
  failingSinceMs: number | null = null;
  lastCode: string | null = null;

  /** `read`: where the outbox is read on. `random`: 0–1, for tests. */
  constructor(read: number, random: () => number = Math.random) {
    this.#read = read;
    this.#random = random;
  }

  get size(): number {
    return this.#waiting.size;
  }

  get hasRoom(): boolean {
    return this.#waiting.size < WAITING_MAX;
  }

  /** Where the outbox is read on. */
  get read(): number {
    return this.#read;
  }

  /** Every row up to here is told or need not be: what a successor begins behind. */
  get done(): number {
    let first = this.#read + 1;
    for (const { position } of this.#waiting.values()) first = Math.min(first, position);
    return first - 1;
  }

  /** Earliest system time of what is not told; null: nothing waits. */
  get oldestMs(): number | null {
    let oldest: number | null = null;
    for (const { sinceMs } of this.#waiting.values()) oldest = Math.min(oldest ?? sinceMs, sinceMs);
    return oldest;
  }

  /** Rows in the order of the outbox. `knownMs`: nothing before it is untold, whatever the row's own time. */
  add(rows: readonly OutboxRow[], until: number, nowMs: number, knownMs = Infinity): void {
    for (const { profile, version, position, at } of rows) {
      if ((this.#told.get(profile) ?? 0) >= version) continue;
      const sinceMs = Math.min(Date.parse(at), knownMs);
      const known = this.#waiting.get(profile);
      if (known === undefined) {
        const fresh = { tries: 0, dueMs: nowMs, sending: false, next: null };
        this.#waiting.set(profile, { profile, version, position, sinceMs, ...fresh });
        continue;
      }
      known.version = Math.max(known.version, version);
      if (known.sending) {
        const { next } = known;
        known.next = {
          position: next?.position ?? position,
          sinceMs: Math.min(next?.sinceMs ?? sinceMs, sinceMs),
        };
      } else known.sinceMs = Math.min(known.sinceMs, sinceMs);
    }
    this.#read = Math.max(this.#read, until);
  }

  /** Those to send now, first come first. While the receiver fails as a whole: one, and only once that is due. */
  take(nowMs: number, most: number, busy: number): Waiting[] {
    if (nowMs < this.#openMs) return [];
    const limit = this.#failures > 0 ? Math.min(most, 1 - busy) : most;
    const taken: Waiting[] = [];
    for (const one of this.#waiting.values()) {
      if (taken.length >= limit) break;
      if (one.sending || one.dueMs > nowMs) continue;
      one.sending = true;
      taken.push(one);
    }
    return taken;
  }

  /** This version of it is told, or need not be. `answered`: by the receiver. */
  settle(one: Waiting, version: number, nowMs: number, answered: boolean): void {
    this.#remember(one.profile, version);
    const { next } = one;
    this.#waiting.delete(one.profile);
    if (answered) this.#opened();
    if (one.version <= version || next === null) return;
    const fresh = { tries: 0, dueMs: nowMs, sending: false, next: null };
    this.#waiting.set(one.profile, { profile: one.profile, version: one.version, ...next, ...fresh });
  }

  failed(one: Waiting, { code, retryAfterMs, whole }: Refusal, nowMs: number): void {
    one.sending = false;
    one.tries += 1;
    if (one.next !== null) one.sinceMs = Math.min(one.sinceMs, one.next.sinceMs);
    one.next = null;
    this.lastCode = code;
    this.failingSinceMs ??= nowMs;
    const hasTime = nowMs - one.sinceMs <= GIVE_UP_MS;
    if (!hasTime && Math.max(one.tries, this.#failures + 1) >= GIVE_UP_TRIES_MIN) {
      this.givenUp += 1;
      this.#waiting.delete(one.profile);
    }
    if (whole) {
      this.#failures += 1;
      this.#openMs = nowMs + this.#backoff(this.#failures, retryAfterMs);
      return;
    }
    // Whoever answers at all is there for others.
    this.#failures = 0;
    this.#openMs = -Infinity;
    one.dueMs = nowMs + this.#backoff(one.tries, retryAfterMs);
  }

  /** It was not sent after all, and nobody is to blame. */
  release(one: Waiting): void {
    one.sending = false;
    if (one.next !== null) one.sinceMs = Math.min(one.sinceMs, one.next.sinceMs);
    one.next = null;
  }

  #opened(): void {
    this.#failures = 0;
    this.#openMs = -Infinity;
    if (this.failingSinceMs === null) return;
    // What is refused by itself goes on being refused: only then is there still something to tell.
    const troubled = [...this.#waiting.values()].some(({ tries }) => tries > 0);
    if (troubled) return;
    this.failingSinceMs = null;
    this.lastCode = null;
  }

  #backoff(tries: number, retryAfterMs: number | undefined): number {
    const ms = Math.min(RETRY_MS_MIN * RETRY_FACTOR ** (tries - 1), RETRY_MS_MAX);
    const spread = ms * (1 - JITTER + 2 * JITTER * this.#random());
    return Math.max(spread, retryAfterMs ?? 0);
  }

  #remember(profile: string, version: number): void {
    this.#told.delete(profile);
    this.#told.set(profile, version);
    const [oldest] = this.#told.keys();
    if (this.#told.size > TOLD_MAX && oldest !== undefined) this.#told.delete(oldest);
  }
}
