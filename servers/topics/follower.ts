import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError, type ErrorCode } from '../../rules/errors.ts';
import { fromMs } from '../../rules/time.ts';
import type { InboxEvent } from '../../schemas/inbox.ts';
import type { TopicBatch, TopicReader } from '../../sources/source.ts';
import type { Services } from '../services.ts';
import { CatchUp } from './catch-up.ts';
import { TopicRecord, type Owed } from './topic-record.ts';

const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 30_000;
/** A log-in that is refused again and again may lock its user out. */
const REFUSED_MS_MAX = 5 * 60_000;
/** What was followed for so long is tried again at once. */
const STEADY_MS = 10_000;
/** A full inbox is asked again so often. */
const HOLD_MS = 500;
/** Events of one write: an inbox that is nearly full has room for them. */
const KEPT_MAX = 100;
const COUNT_EVERY_MS = 10_000;
/** What is owed is visible to a run so long after the source's own delay. */
const VISIBLE_MS = 5_000;

const REFUSED: ReadonlySet<ErrorCode> = new Set(['AUTH_FAILED', 'PERMISSION_DENIED', 'SECRET_MISSING']);

export interface FollowTimes {
  holdMs?: number;
  backoffMsMax?: number;
  visibleMs?: number;
  catchUpEveryMs?: number;
}

export interface Followed {
  connection: string;
  topic: string;
  /** A window of a run ends so long before the source's clock, ms. */
  lagMs: number;
}

/**
 * Takes the events of one topic into the inbox. The position is kept after the events before it are safe (I2): whatever ends in
 * between brings them again, under the same ids. Whoever begins where nothing is known of what was before, and whoever is told of
 * changes without their records, owes a run that finds them; that is kept too, until the run has begun.
 */
export class TopicFollower {
  readonly #services: Services;
  readonly #followed: Followed;
  readonly #reader: TopicReader;
  readonly #times: FollowTimes;
  readonly #ended = new AbortController();
  #record: TopicRecord | undefined;
  #running: Promise<void> = Promise.resolve();
  #failed = false;
  #counted = { events: 0, leftOut: 0, own: 0 };
  #countedMs = 0;

  constructor(services: Services, followed: Followed, reader: TopicReader, times: FollowTimes = {}) {
    this.#services = services;
    this.#followed = followed;
    this.#reader = reader;
    this.#times = times;
  }

  start(): void {
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
    await this.#record?.update({ since: null }).catch(() => undefined);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ended;
    let tries = 0;
    while (!signal.aborted) {
      const beganMs = performance.now();
      let code: ErrorCode | undefined;
      try {
        await this.#serve();
      } catch (error) {
        code = error instanceof HeadwaterError ? error.code : 'INTERNAL';
        await this.#failedWith(code);
      }
      if (performance.now() - beganMs > STEADY_MS) tries = 0;
      const isRefused = code !== undefined && REFUSED.has(code);
      const most = this.#times.backoffMsMax ?? (isRefused ? REFUSED_MS_MAX : BACKOFF_MS_MAX);
      const waitMs = Math.min(BACKOFF_MS_MIN * 2 ** tries, most) * (0.8 + 0.4 * Math.random());
      tries += 1;
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** From one opening to its end. Rejects when that was not asked for. */
  async #serve(): Promise<void> {
    const { connection, topic } = this.#followed;
    const { signal } = this.#ended;
    const { record, isNew } = await TopicRecord.open(this.#services.inbox, connection, topic);
    this.#record = record;
    const catchUp = new CatchUp(this.#services, record, this.#times.catchUpEveryMs);
    catchUp.start();
    try {
      // Without a place it is not known what was before the tip. A topic that nobody followed before has no past: the
      // connection's own runs read that.
      const isBlind = record.topic.position === null && !isNew;
      let isFirst = true;
      for await (const batch of this.#reader.read(topic, record.topic.position, signal)) {
        await this.#take(record, batch, isFirst && isBlind);
        if (isFirst && this.#failed) this.#log('info', 'a topic is followed again');
        if (isFirst) this.#failed = false;
        isFirst = false;
      }
    } finally {
      catchUp.stop();
    }
  }

  async #take(record: TopicRecord, batch: TopicBatch, isBlind: boolean): Promise<void> {
    for (let at = 0; at < batch.events.length; at += KEPT_MAX)
      await this.#keep(batch.events.slice(at, at + KEPT_MAX));
    const nowMs = this.#services.now();
    const heardAt = fromMs(nowMs);
    const { position, since, trouble } = record.topic;
    const unnamed = isBlind ? 'all' : batch.unnamed;
    if (unnamed.length > 0) this.#log('warn', 'changes are not named: a run finds them', told(unnamed));
    const change = {
      ...{ position: batch.position ?? position, since: since ?? heardAt, heardAt, trouble: null },
      ...(unnamed.length > 0 && { owed: this.#owing(record, unnamed) }),
    };
    // What is owed is safe before the place moves on; the place itself may come late.
    if (unnamed.length === 0 && since !== null && trouble === null) record.note(change);
    else await record.update(change);
    this.#count(batch, nowMs);
  }

  /** A line now and then, whatever comes. */
  #count({ events, leftOut, own }: TopicBatch, nowMs: number): void {
    const counted = this.#counted;
    counted.events += events.length;
    counted.leftOut += leftOut;
    counted.own += own;
    if (nowMs - this.#countedMs < COUNT_EVERY_MS || counted.events + counted.leftOut === 0) return;
    this.#log('info', 'followed', { ...counted });
    this.#countedMs = nowMs;
    this.#counted = { events: 0, leftOut: 0, own: 0 };
  }

  #owing(record: TopicRecord, objects: TopicBatch['unnamed']): Owed {
    const { lagMs } = this.#followed;
    const at = fromMs(this.#services.now() + lagMs + (this.#times.visibleMs ?? VISIBLE_MS));
    return record.owing(objects === 'all' ? 'all' : [...objects], at);
  }

  /** While the inbox is full or away nothing more is asked for; the source keeps it. */
  async #keep(events: readonly InboxEvent[]): Promise<void> {
    const { signal } = this.#ended;
    let isHeld = false;
    for (;;) {
      try {
        await this.#services.inbox.accept(this.#followed.connection, events);
        return;
      } catch (error) {
        const code = error instanceof HeadwaterError ? error.code : undefined;
        if (code !== 'INBOX_FULL' && code !== 'INBOX_UNAVAILABLE') throw error;
        if (!isHeld) this.#log('warn', 'a topic waits for the inbox', { code });
        isHeld = true;
        await sleep(this.#times.holdMs ?? HOLD_MS, undefined, { signal });
      }
    }
  }

  async #failedWith(code: ErrorCode): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const isLost = code === 'POSITION_LOST';
    if (isLost) this.#log('warn', 'the source has lost our place: a run finds what was between', { code });
    else if (!this.#failed) this.#log('warn', 'a topic cannot be followed', { code });
    this.#failed = !isLost;
    // An inbox that cannot be written is the trouble itself; the place is read from it again.
    await this.#record
      ?.update({ since: null, trouble: code, ...(isLost && { position: null }) })
      .catch(() => undefined);
  }

  #log(level: 'info' | 'warn', message: string, fields: Record<string, string | number> = {}): void {
    const { connection, topic } = this.#followed;
    this.#services.log(level, message, { connection, topic, ...fields });
  }
}

const told = (unnamed: TopicBatch['unnamed']) => ({
  objects: typeof unnamed === 'string' ? unnamed : unnamed.join(' '),
});
