/** Events that are kept for a while, in the order of their replay ids. */
const KEPT_MAX = 100_000;
/** Source: Pub/Sub API guide, "Event Message Durability": 72 hours. */
const KEPT_MS = 72 * 3_600_000;

export interface BusEvent {
  readonly replay: bigint;
  readonly topic: string;
  readonly id: string;
  readonly schemaId: string;
  readonly payload: Buffer;
  readonly atMs: number;
}

export class EventBus {
  readonly #now: () => number;
  #events: BusEvent[] = [];
  #last: bigint;
  /** Whoever has read up to here has missed nothing that is gone. */
  #floor: bigint;
  readonly #listeners = new Set<() => void>();

  /** Ids of an earlier run lie below those of this one: nobody resumes behind events that are not kept. */
  constructor(now: () => number) {
    this.#now = now;
    this.#last = BigInt(Date.now()) * 1_000n;
    this.#floor = this.#last;
  }

  get last(): bigint {
    return this.#last;
  }

  publish(event: Omit<BusEvent, 'replay' | 'atMs'>): bigint {
    this.#last += 1n;
    this.#events.push({ ...event, replay: this.#last, atMs: this.#now() });
    this.#expire();
    for (const listener of this.#listeners) listener();
    return this.#last;
  }

  /** `/data/ChangeEvents` has the events of all objects. */
  after(replay: bigint, topic: string, most: number): BusEvent[] {
    this.#expire();
    const found: BusEvent[] = [];
    for (let at = this.#firstAfter(replay); at < this.#events.length && found.length < most; at += 1) {
      const event = this.#events[at];
      if (event !== undefined && (topic === ALL || event.topic === topic)) found.push(event);
    }
    return found;
  }

  /** Where the earliest kept event follows. */
  earliest(): bigint {
    this.#expire();
    return this.#floor;
  }

  isKept(replay: bigint): boolean {
    return replay >= this.earliest() && replay <= this.#last;
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #firstAfter(replay: bigint): number {
    const first = this.#events[0]?.replay;
    return first === undefined || replay < first ? 0 : Number(replay - first) + 1;
  }

  #expire(): void {
    const before = this.#now() - KEPT_MS;
    let gone = Math.max(0, this.#events.length - KEPT_MAX);
    while ((this.#events[gone]?.atMs ?? Infinity) < before) gone += 1;
    if (gone === 0) return;
    this.#floor = this.#events[gone - 1]?.replay ?? this.#floor;
    this.#events = this.#events.slice(gone);
  }
}

export const ALL = '/data/ChangeEvents';
