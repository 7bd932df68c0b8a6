/** Sends what a system pushes, over HTTP, and again when it is not taken: one queue per target, so that nothing piles up unseen. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Delivery {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface DeliveryPolicy {
  /** How long an answer may take, ms. */
  readonly timeoutMs: number;
  /** Waits between the tries, ms; after the last one the delivery is given up. */
  readonly waitsMs: readonly number[];
  /** Whether the receiver has taken it. */
  taken(status: number, body: string): boolean;
}

/** Requests at once, and events that may wait for one. */
const AT_ONCE_MAX = 10;
const WAITING_MAX = 100_000;

export interface PushStats {
  sent: number;
  delivered: number;
  retried: number;
  givenUp: number;
  /** Events that found the queue full. */
  dropped: number;
  waiting: number;
}

/** Collects events for a moment and delivers them in groups; `make` signs anew for each try. */
export class Pusher<Event> {
  readonly stats: PushStats = { sent: 0, delivered: 0, retried: 0, givenUp: 0, dropped: 0, waiting: 0 };
  readonly #policy: DeliveryPolicy;
  readonly #groupMax: number;
  readonly #groupMs: number;
  readonly #make: (events: readonly Event[], attempt: number) => Delivery;
  readonly #stop = new AbortController();
  #waiting: Event[] = [];
  #timer: NodeJS.Timeout | undefined;
  #active = 0;

  constructor(options: {
    policy: DeliveryPolicy;
    groupMax: number;
    groupMs: number;
    make: (events: readonly Event[], attempt: number) => Delivery;
  }) {
    this.#policy = options.policy;
    this.#groupMax = options.groupMax;
    this.#groupMs = options.groupMs;
    this.#make = options.make;
  }

  push(event: Event): void {
    if (this.#stop.signal.aborted) return;
    if (this.#waiting.length >= WAITING_MAX) {
      this.stats.dropped += 1;
      return;
    }
    this.#waiting.push(event);
    this.stats.waiting = this.#waiting.length;
    this.#timer ??= setTimeout(() => this.#flush(), this.#groupMs);
    this.#timer.unref();
  }

  #flush(): void {
    this.#timer = undefined;
    while (this.#waiting.length > 0 && this.#active < AT_ONCE_MAX && !this.#stop.signal.aborted) {
      const group = this.#waiting.splice(0, this.#groupMax);
      this.#active += 1;
      void this.#deliver(group).finally(() => {
        this.#active -= 1;
        this.#flush();
      });
    }
    this.stats.waiting = this.#waiting.length;
  }

  async #deliver(group: readonly Event[]): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      this.stats.sent += 1;
      if (await this.#try(this.#make(group, attempt))) {
        this.stats.delivered += group.length;
        return;
      }
      const waitMs = this.#policy.waitsMs[attempt];
      if (waitMs === undefined || this.#stop.signal.aborted) {
        this.stats.givenUp += group.length;
        return;
      }
      this.stats.retried += 1;
      await sleep(waitMs, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
    }
  }

  async #try({ url, headers, body }: Delivery): Promise<boolean> {
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(this.#policy.timeoutMs), this.#stop.signal]);
      const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' });
      return this.#policy.taken(answer.status, await answer.text());
    } catch {
      return false;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }
}
