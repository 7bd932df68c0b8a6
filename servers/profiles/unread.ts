import { fromMs } from '../../rules/time.ts';
import type { Inbox, InboxRow } from '../../stores/inbox/inbox.ts';
import { QUESTION } from './live.ts';
import type { ModelRecord } from './model.ts';

const EVERY_MS = 500;
/** An event is read within this time, unless its source cannot be asked: away, or below the reserve of its quota. */
const READ_WITHIN_MS = 1_000;
/** Of one connection; with more than these, every record of it may have one. */
const EVENTS_MAX = 5_000;

export type NamedRecord = Pick<ModelRecord, 'source' | 'object' | 'record'>;

const keyOf = ({ source, object, record }: NamedRecord) => `${source}\0${object}\0${record}`;
const NONE: readonly InboxRow[] = [];

/**
 * Records that are known to have changed and could not be read yet, as the inbox says. Looked at beside the requests, never on
 * one; while the inbox is away the last answer stands.
 */
export class Unread {
  readonly #connections: readonly string[];
  readonly #inbox: Pick<Inbox, 'unread'>;
  readonly #now: () => number;
  #events = new Map<string, InboxRow[]>();
  #crowded = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;

  /** `connections`: those that take pushed changes. */
  constructor(connections: readonly string[], inbox: Pick<Inbox, 'unread'>, now: () => number) {
    this.#connections = connections;
    this.#inbox = inbox;
    this.#now = now;
  }

  start(): void {
    if (this.#connections.length === 0) return;
    this.#timer = setInterval(() => void this.refresh().catch(() => undefined), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What is known of this record and was not read, oldest first. */
  of(record: NamedRecord): readonly InboxRow[] {
    if (this.#events.size === 0) return NONE;
    return this.#events.get(keyOf(record)) ?? NONE;
  }

  /** Names of those that have to be read again, as `source:object:record`. */
  namesOf(records: readonly NamedRecord[]): readonly string[] {
    if (this.#events.size === 0 && this.#crowded.size === 0) return [];
    return records
      .filter((record) => this.#crowded.has(record.source) || this.of(record).length > 0)
      .map(({ source, object, record }) => `${source}:${object}:${record}`);
  }

  async refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    await this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const before = fromMs(this.#now() - READ_WITHIN_MS);
    const events = new Map<string, InboxRow[]>();
    const crowded = new Set<string>();
    for (const source of this.#connections) {
      const rows = await this.#inbox.unread(source, before, EVENTS_MAX);
      if (rows.length === EVENTS_MAX) crowded.add(source);
      for (const row of rows) {
        if (row.id.startsWith(QUESTION)) continue;
        // A part of a record is read with the record.
        const key = keyOf({ source, object: row.object.split('/', 1)[0] ?? row.object, record: row.record });
        const known = events.get(key);
        if (known === undefined) events.set(key, [row]);
        else known.push(row);
      }
    }
    this.#events = events;
    this.#crowded = crowded;
  }
}
