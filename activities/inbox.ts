// The fast lane: takes pushed events from the inbox for as long as it runs, claims what they name, and lands it in micro-batches.
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { HeadwaterError, type ErrorCode } from '../rules/errors.ts';
import { fromMs } from '../rules/time.ts';
import type { DrainReceipt } from '../schemas/inbox-run.ts';
import type { Instant } from '../schemas/instant.ts';
import type { InboxRow } from '../stores/inbox/inbox.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import type { Dependencies, FastLane } from './dependencies.ts';
import { claimEvents, fastLaneOf, type Claimed } from './inbox-claim.ts';
import { Landing, settledWithin } from './inbox-land.ts';
import { InboxQueue } from './inbox-queue.ts';
import { laneMetrics } from './inbox-metrics.ts';
import { noteHeard, pollReason } from './inbox-poll.ts';

/** Between two looks at an inbox that is quiet. */
const LOOK_EVERY_MS = 15;
const TAKE_MAX = 500;
/** Few events wait so long, since they were accepted, for more of them. */
const GATHER_MS = 50;
const GATHERED_ENOUGH = 100;
/** Batches that are read and claimed at once: one waits for the source while another is shaped. */
const AT_ONCE_MAX = 2;
const BEAT_EVERY_MS = 1_000;
const ROUND_MS = 10 * 60_000;
/** At the end of a round the warehouse gets this long; then the round goes on a while. */
const FLUSH_MS = 2_000;
const EXTEND_MS = 30_000;
/** Claimed, and not in the warehouse: with more the claims wait for it. */
const BUSY_MAX = 200_000;
const ATTEMPTS_MAX = 5;
const RETRY_MS = 1_000;
/** A source that is away, or a first load that is not there yet, is asked again after this. */
const AWAY_MS = 5_000;
const QUOTA_MS = 60_000;
const POLL_LOOK_MS = 5_000;
const PRUNE_EVERY_MS = 60 * 60_000;

/** Nothing of this connection can be read now, whatever the record. */
const SOURCE_HELD: ReadonlySet<ErrorCode> = new Set([
  ...(['QUOTA_EXHAUSTED', 'SOURCE_UNAVAILABLE', 'SOURCE_THROTTLED'] as const),
  ...(['AUTH_FAILED', 'SECRET_MISSING'] as const),
]);
/** The same for every record of the object: looking for the one that is the matter would be in vain. */
const OBJECT_HELD: ReadonlySet<ErrorCode> = new Set(['PERMISSION_DENIED', 'OBJECT_UNKNOWN', 'INPUT_INVALID']);
/** Our own side: the activity fails and is tried again, which Temporal shows. */
const OURS: ReadonlySet<ErrorCode> = new Set([
  ...(['INBOX_UNAVAILABLE', 'LEDGER_UNAVAILABLE'] as const),
  ...(['STAGE_FULL', 'STAGE_MISSING', 'STAGE_UNAVAILABLE', 'STAGE_REFUSED'] as const),
]);

export interface DrainInput {
  connection: string;
  roundMs?: number;
}

/** `publish` brings the golden tables up to date; never rejects. */
export interface DrainParts {
  sources: OpenSources;
  publish: () => Promise<void>;
}

/**
 * Runs until its round is over, the activity is cancelled or the worker stops. Dying anywhere repeats harmlessly: events are
 * settled only when claims and warehouse have what they named (I2).
 */
export async function drainInbox(
  dependencies: Dependencies,
  parts: DrainParts,
  { connection, roundMs = ROUND_MS }: DrainInput,
): Promise<DrainReceipt> {
  connectionSettings(dependencies, connection);
  const drain = new Drain(dependencies, parts, connection);
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(drain.receipt), BEAT_EVERY_MS);
  try {
    await drain.run(roundMs);
  } finally {
    clearInterval(beat);
  }
  context.cancellationSignal.throwIfAborted();
  return drain.receipt;
}

class Drain {
  readonly #dependencies: Dependencies;
  readonly #fast: FastLane;
  readonly #parts: DrainParts;
  readonly #connection: string;
  readonly #queue: InboxQueue;
  readonly #landing: Landing;
  readonly #signal: AbortSignal;
  /** Objects of the configuration, at most. */
  readonly #heard = new Set<string>();
  readonly #atWork = new Set<Promise<void>>();
  readonly #startedMs: number;
  readonly #metrics: ReturnType<typeof laneMetrics>;
  #heldUntilMs = 0;
  #failure: unknown;
  #published = 0;
  #publishDueMs = 0;
  #publishing: Promise<void> | undefined;
  #pollLookMs = 0;
  #pruneMs = 0;
  #heardAt: Instant | null = null;
  receipt: DrainReceipt = {
    ...{ events: 0, fetched: 0, profiles: 0, landed: 0, parked: 0, waiting: 0 },
    ...{ lastAt: null, held: null, poll: null },
  };

  constructor(dependencies: Dependencies, parts: DrainParts, connection: string) {
    const fast = fastLaneOf(dependencies);
    this.#dependencies = dependencies;
    this.#fast = fast;
    this.#parts = parts;
    this.#connection = connection;
    this.#queue = new InboxQueue(fast.inbox, connection);
    this.#landing = new Landing(dependencies, connection, (positions) => this.#queue.done(positions));
    this.#signal = AbortSignal.any([Context.current().cancellationSignal, fast.stopping]);
    this.#startedMs = dependencies.now();
    this.#metrics = laneMetrics(connection);
    this.#pruneMs = this.#startedMs;
  }

  async run(roundMs: number): Promise<void> {
    const { now } = this.#dependencies;
    let endMs = now() + roundMs;
    let polls = false;
    while (!this.#signal.aborted) {
      const nowMs = now();
      await this.#look(nowMs);
      if (this.receipt.poll !== null && !polls) {
        polls = true;
        endMs = nowMs;
      }
      if (nowMs >= endMs) {
        if (await this.#finish()) break;
        endMs = now() + EXTEND_MS;
      }
      const rows = this.#isFull() ? [] : await this.#take(nowMs);
      if (this.#failure !== undefined) break;
      if (rows.length > 0) this.#begin(rows);
      else await this.#nap();
    }
    await settledWithin(
      Promise.all(this.#atWork).then(() => undefined),
      FLUSH_MS,
    );
    await settledWithin(this.#publishing, FLUSH_MS);
    await this.#count();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #isFull(): boolean {
    return this.#atWork.size >= AT_ONCE_MAX || this.#queue.busy >= BUSY_MAX;
  }

  async #take(nowMs: number): Promise<InboxRow[]> {
    const rows = await this.#queue.take(TAKE_MAX, nowMs);
    const [oldest] = rows;
    if (oldest === undefined) return rows;
    const untilMs = Math.min(Date.parse(oldest.acceptedAt), nowMs) + GATHER_MS;
    while (rows.length < GATHERED_ENOUGH && this.#dependencies.now() < untilMs && !this.#signal.aborted) {
      await this.#nap();
      rows.push(...(await this.#queue.take(TAKE_MAX - rows.length, this.#dependencies.now())));
    }
    return rows;
  }

  async #nap(): Promise<void> {
    try {
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.#signal });
    } catch {
      // Ended early: the loop looks at the signal.
    }
  }

  #begin(rows: readonly InboxRow[]): void {
    this.receipt.events += rows.length;
    const groups = Map.groupBy(rows, ({ object, kind }) => `${kind === 'row' ? 'row' : 'hint'} ${object}`);
    const work = Promise.all([...groups.values()].map((group) => this.#group(group)))
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .then(() => {
        this.#atWork.delete(work);
      });
    this.#atWork.add(work);
  }

  async #group(events: readonly InboxRow[]): Promise<void> {
    const positions = events.map(({ position }) => position);
    const isHeld = events[0]?.kind !== 'row' && this.#dependencies.now() < this.#heldUntilMs;
    if (isHeld) {
      this.#queue.pass(positions, this.#heldUntilMs);
      return;
    }
    try {
      const claimed = await claimEvents(this.#dependencies, this.#parts.sources, this.#connection, events);
      if (events[0]?.kind !== 'row') this.receipt.held = null;
      await this.#keep(events, claimed);
    } catch (error) {
      await this.#failed(events, error);
    }
  }

  async #keep(events: readonly InboxRow[], claimed: Claimed): Promise<void> {
    const { golden, unsure, fetched } = claimed;
    const unsureAt = new Set(unsure.map(({ position }) => position));
    const sure = events.flatMap(({ position }) => (unsureAt.has(position) ? [] : [position]));
    await this.#fast.inbox.claimed(this.#connection, sure);
    if (claimed.read.length > 0) this.#landing.keep(claimed, sure);
    else {
      await this.#fast.inbox.settle(this.#connection, sure);
      this.#queue.done(sure);
    }
    const object = events[0]?.object ?? '';
    if (!this.#heard.has(object)) {
      this.#heard.add(object);
      await noteHeard(this.#dependencies, this.#connection, object);
    }
    this.receipt.fetched += fetched;
    this.receipt.profiles += golden.created + golden.changed + golden.merged;
    if (unsure.length > 0) await this.#fail(unsure, 'RECORD_ABSENT');
  }

  async #failed(events: readonly InboxRow[], error: unknown): Promise<void> {
    if (this.#signal.aborted) return;
    const code: ErrorCode = error instanceof HeadwaterError ? error.code : 'INTERNAL';
    const nowMs = this.#dependencies.now();
    const positions = events.map(({ position }) => position);
    if (OURS.has(code)) throw error;
    if (code === 'INTERNAL')
      this.#log('events failed', { code, events: events.length, reason: nameOf(error) });
    if (SOURCE_HELD.has(code)) {
      const asked = error instanceof HeadwaterError ? (error.retryAfterMs ?? AWAY_MS) : AWAY_MS;
      this.#heldUntilMs = nowMs + Math.min(asked, QUOTA_MS);
      if (this.receipt.held !== code) this.#log('nothing can be read from the source now', { code });
      this.receipt.held = code;
      this.#queue.pass(positions, this.#heldUntilMs);
    } else if (code === 'FIRST_LOAD_MISSING') {
      this.#queue.pass(positions, nowMs + AWAY_MS);
    } else if (OBJECT_HELD.has(code) || events.length === 1) {
      await this.#fail(events, code);
    } else {
      // One of them may be the matter: halves find it, and the others go on.
      const half = Math.ceil(events.length / 2);
      await this.#group(events.slice(0, half));
      await this.#group(events.slice(half));
    }
  }

  async #fail(events: readonly InboxRow[], code: string): Promise<void> {
    const { inbox } = this.#fast;
    // What is not configured stays so until somebody changes the configuration.
    const attemptsMax = code === 'OBJECT_UNKNOWN' ? 1 : ATTEMPTS_MAX;
    const nowMs = this.#dependencies.now();
    const positions = events.map(({ position }) => position);
    const parked = await inbox.fail(this.#connection, positions, code, attemptsMax);
    this.receipt.parked += parked;
    if (parked > 0)
      this.#log('events were parked', { code, events: parked, object: events[0]?.object ?? '' });
    for (const [attempts, some] of Map.groupBy(events, (event) => event.attempts))
      this.#queue.again(
        some.map(({ position }) => position),
        nowMs + RETRY_MS * 2 ** attempts,
      );
  }

  /** What is due beside the events: landing, publishing, backup polls, old ids. */
  async #look(nowMs: number): Promise<void> {
    this.#landing.tick(nowMs, this.#signal);
    this.receipt.landed = this.#landing.landed.records;
    this.#publish(nowMs);
    if (nowMs >= this.#pollLookMs) {
      this.#pollLookMs = nowMs + POLL_LOOK_MS;
      await this.#count();
      this.#queue.recheck(this.receipt.waiting);
      this.receipt.poll ??= await pollReason(
        this.#dependencies,
        this.#connection,
        this.#heardAt,
        this.#startedMs,
        this.#metrics,
      );
    }
    if (nowMs >= this.#pruneMs + PRUNE_EVERY_MS) {
      this.#pruneMs = nowMs;
      await this.#fast.inbox.prune(fromMs(nowMs - this.#fast.rememberMs));
    }
  }

  #publish(nowMs: number): void {
    const { profiles } = this.receipt;
    if (this.#publishing !== undefined || profiles === this.#published || nowMs < this.#publishDueMs) return;
    const { landEveryMs = 0 } = connectionSettings(this.#dependencies, this.#connection).webhooks ?? {};
    this.#published = profiles;
    this.#publishing = this.#parts.publish().finally(() => {
      this.#publishing = undefined;
      this.#publishDueMs = this.#dependencies.now() + landEveryMs;
    });
  }

  /** Whether nothing is left that the next round would have to read again. */
  async #finish(): Promise<boolean> {
    await Promise.all(this.#atWork);
    await this.#landing.flush(FLUSH_MS, this.#signal);
    this.receipt.landed = this.#landing.landed.records;
    return this.#landing.isEmpty;
  }

  async #count(): Promise<void> {
    const states = await this.#fast.inbox.states();
    const state = states.find(({ connection }) => connection === this.#connection);
    this.receipt.waiting = state?.waiting ?? 0;
    this.receipt.lastAt = state?.lastAt ?? null;
    this.#heardAt = state?.heardAt ?? null;
    this.receipt.landed = this.#landing.landed.records;
    this.#metrics.note(state ?? { waiting: 0, parked: 0, oldestAt: null }, this.#dependencies.now());
  }

  #log(message: string, fields: Record<string, string | number>): void {
    this.#dependencies.log('warn', message, { connection: this.#connection, ...fields });
  }
}

/** I5: the message of an unknown error may repeat a value. */
function nameOf(error: unknown): string {
  if (error instanceof HeadwaterError) return error.message;
  return error instanceof Error ? error.name : 'unknown';
}
