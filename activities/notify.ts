// Tells a subscriber of changed profiles: follows the outbox behind a cursor of its own and sends each profile's newest version.
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { denialsOf, isMasked } from '../rules/consent.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { concerns, noticeOf, type Interest } from '../rules/notice.ts';
import { fromMs } from '../rules/time.ts';
import { notifyInputSchema, type DeliveryReceipt } from '../schemas/notification.ts';
import type { GoldenField } from '../schemas/profile.ts';
import type { Claims } from '../stores/claims/claims.ts';
import type { Dependencies, Profiles, SubscriptionSettings } from './dependencies.ts';
import { failpoint } from './failpoints.ts';
import { step } from './failure.ts';
import { checkInput } from './input.ts';
import { NotifyQueue, type Waiting } from './notify-queue.ts';
import { messageId, Sender } from './notify-send.ts';

/** Between two looks at an outbox that is quiet. */
const LOOK_EVERY_MS = 100;
const ROWS_MAX = 500;
/** Profiles that are told at once. */
const AT_ONCE_MAX = 8;
/** A round ends after this, so that Temporal shows how it stands; a quiet one goes on longer. */
const ROUND_MS = 60_000;
const QUIET_ROUND_MS = 10 * 60_000;
/** News of trouble, or of its end, is shown after this. */
const NEWS_MS = 1_000;
const SAVE_EVERY_MS = 250;
const DRAIN_MS_MAX = 5_000;
/** Clocks of processes that write changes differ, and a change is dated when its run began, by less than this. */
const DATING_MS_MAX = 3_600_000;

export interface DeliverAsked {
  /** What was started, as given: checked here, because workflow code cannot. */
  given: unknown;
}

/** What lives on from round to round in one worker: who waits, and for how long. A crash forgets it, and all are tried at once. */
interface Held {
  queue: NotifyQueue;
  /** Whoever began last; a greater one in the claims is somebody else's. */
  turn: number;
  /** Nothing before it is untold, ms; said of rows up to `resumedUntil`. */
  knownMs: number;
  resumedUntil: number;
}

export function notifySteps(dependencies: Dependencies, failing: Parameters<typeof step>[0]) {
  const held = new Map<string, Held>();
  return {
    deliverChanges: step(
      failing,
      'deliver changes',
      async ({ given }: DeliverAsked): Promise<DeliveryReceipt> => {
        const { subscription, tuning = {} } = checkInput(notifyInputSchema, given);
        return await deliverChanges(dependencies, held, subscription, tuning.roundMs);
      },
    ),
  };
}

/** One round. Dying anywhere repeats at most what was sent since the cursor moved, under the same ids (I2). */
async function deliverChanges(
  dependencies: Dependencies,
  held: Map<string, Held>,
  name: string,
  roundMs: number | undefined,
): Promise<DeliveryReceipt> {
  const { notify, profiles } = dependencies;
  const settings = notify?.subscriptions.get(name);
  if (notify === undefined || profiles === undefined || settings === undefined) {
    throw new HeadwaterError('INPUT_INVALID', `there is no subscription ${JSON.stringify(name)}`, {
      remedy:
        'Add it to serve.subscriptions in headwater.config.ts and restart the worker, or end this workflow.',
    });
  }
  const sender = new Sender(settings.receiver());
  const ended = AbortSignal.any([notify.stopping, Context.current().cancellationSignal]);
  try {
    const mine = await begin(dependencies, profiles.claims, name, held.get(name));
    held.set(name, mine);
    const round = new Round(dependencies, profiles, name, { settings, sender, held: mine });
    return await round.run(ended, roundMs);
  } finally {
    sender.close();
  }
}

const cursorOf = (name: string): string => `subscription/${name}`;

/** Goes on where this worker's last round ended, unless another one was at work since. */
async function begin(
  { now }: Dependencies,
  claims: Claims,
  name: string,
  last: Held | undefined,
): Promise<Held> {
  const cursor = cursorOf(name);
  if ((await claims.cursor(`${cursor}/begun`)) === 0) {
    // The mark comes last: a crash in between looks for the newest position once more.
    await claims.moveCursor(cursor, await claims.outboxEnd());
    await claims.moveCursor(`${cursor}/at`, now());
    await claims.moveCursor(`${cursor}/begun`, 1);
  }
  const before = await claims.cursor(`${cursor}/turn`);
  const turn = Math.max(now(), before + 1);
  await claims.moveCursor(`${cursor}/turn`, turn);
  if (last !== undefined && last.turn === before) return { ...last, turn };
  return {
    queue: new NotifyQueue(await claims.cursor(cursor)),
    turn,
    // Rows of versions that were replaced meanwhile may be pruned; what they changed is no older than this.
    knownMs: (await claims.cursor(`${cursor}/at`)) - DATING_MS_MAX,
    resumedUntil: await claims.outboxEnd(),
  };
}

class Round {
  readonly #dependencies: Dependencies;
  readonly #profiles: Profiles;
  readonly #claims: Claims;
  readonly #name: string;
  readonly #interest: Interest;
  readonly #consents: readonly string[];
  readonly #sender: Sender;
  readonly #cursor: string;
  readonly #stop = new AbortController();
  readonly #sending = new Set<Promise<void>>();
  readonly #held: Held;
  #saved = 0;
  #savedAtMs = -Infinity;
  #error: { cause: unknown } | null = null;
  #delivered = 0;
  #passed = 0;
  #gone = false;

  constructor(
    dependencies: Dependencies,
    profiles: Profiles,
    name: string,
    { settings, sender, held }: { settings: SubscriptionSettings; sender: Sender; held: Held },
  ) {
    this.#dependencies = dependencies;
    this.#profiles = profiles;
    this.#claims = profiles.claims;
    this.#name = name;
    this.#interest = settings.interest;
    this.#consents = settings.consents;
    this.#sender = sender;
    this.#held = held;
    this.#cursor = cursorOf(name);
  }

  get #queue(): NotifyQueue {
    return this.#held.queue;
  }

  async run(ended: AbortSignal, roundMs: number | undefined): Promise<DeliveryReceipt> {
    const { now } = this.#dependencies;
    const startedMs = now();
    const failedBefore = this.#queue.failingSinceMs !== null;
    const givenUpBefore = this.#queue.givenUp;
    this.#saved = await this.#claims.cursor(this.#cursor);
    try {
      while (!ended.aborted && !this.#gone && this.#error === null) {
        const read = await this.#read();
        await this.#save(false);
        for (const one of this.#queue.take(now(), AT_ONCE_MAX - this.#sending.size, this.#sending.size))
          this.#start(one);
        const lastedMs = now() - startedMs;
        const news = (this.#queue.failingSinceMs !== null) !== failedBefore && lastedMs > NEWS_MS;
        const moved = this.#delivered + this.#passed > 0 || this.#queue.size > 0;
        const most = roundMs ?? (moved ? ROUND_MS : QUIET_ROUND_MS);
        if (lastedMs >= most || (news && roundMs === undefined)) break;
        // Two at once would tell versions out of order: the later one goes on alone.
        if ((await this.#claims.cursor(`${this.#cursor}/turn`)) > this.#held.turn) break;
        if (read < ROWS_MAX || !this.#queue.hasRoom) await this.#pause(ended);
      }
    } finally {
      await this.#finish(ended);
    }
    if (this.#error !== null) throw this.#error.cause;
    return this.#receipt(givenUpBefore);
  }

  /** The number of rows. Bounded: with too many waiting profiles the outbox keeps the rest. */
  async #read(): Promise<number> {
    if (!this.#queue.hasRoom) return 0;
    const from = this.#queue.read;
    const rows = await this.#claims.outbox(from, ROWS_MAX);
    const last = rows.at(-1);
    if (last === undefined) return 0;
    const wanted = rows.filter((row) => concerns(this.#interest, row));
    const { knownMs, resumedUntil } = this.#held;
    const resumed = from < resumedUntil ? knownMs : Infinity;
    this.#queue.add(wanted, last.position, this.#dependencies.now(), resumed);
    return rows.length;
  }

  #start(one: Waiting): void {
    const work = this.#send(one)
      .catch((cause: unknown) => {
        this.#queue.release(one);
        if (!this.#stop.signal.aborted) this.#error ??= { cause };
      })
      .finally(() => this.#sending.delete(work));
    this.#sending.add(work);
  }

  /** What is sent is read just before: nothing of a profile waits in memory, least of all of one that is erased meanwhile (I5). */
  async #send(one: Waiting): Promise<void> {
    const { now } = this.#dependencies;
    const [current] = await this.#claims.current([one.profile]);
    if (current === undefined) {
      this.#passed += 1;
      this.#queue.settle(one, one.version, now(), false);
      return;
    }
    const isThere = current.mergedInto === null && current.records.length > 0;
    const asOf = fromMs(one.sinceMs - 1);
    const before = isThere ? await this.#claims.profile(one.profile, { asOf }) : null;
    const entity = this.#profiles.entities.get(current.entity);
    const denied = isThere ? await denialsOf(this.#claims, current, this.#profiles.entities) : [];
    const sight = { sees: this.#interest.sees, consents: this.#consents };
    const hides = (field: string, { kind }: GoldenField): boolean =>
      isMasked({ classification: entity?.fields[field]?.classification ?? 'sensitive', kind }, sight, denied);
    const notice = noticeOf(this.#interest, { current, before, entity, hides });
    if (notice === null) {
      this.#passed += 1;
      this.#queue.settle(one, current.version, now(), false);
      return;
    }
    const id = messageId(this.#name, one.profile, current.version);
    const message = { id, body: JSON.stringify(notice), atMs: now() };
    const delivery = await this.#sender.send(message, this.#stop.signal);
    failpoint('notify:sent');
    if (delivery.outcome === 'taken') {
      this.#delivered += 1;
      this.#queue.settle(one, current.version, now(), true);
    } else if (delivery.outcome === 'gone') {
      this.#gone = true;
      this.#queue.release(one);
    } else this.#queue.failed(one, delivery.refusal, now());
  }

  async #pause(ended: AbortSignal): Promise<void> {
    const waits = [
      sleep(LOOK_EVERY_MS, undefined, { signal: ended }).catch(() => undefined),
      ...this.#sending,
    ];
    await Promise.race(waits);
  }

  /** What is under way gets a moment; then it is ended with us, and repeated by whoever follows. */
  async #finish(ended: AbortSignal): Promise<void> {
    const hurries = ended.aborted || this.#gone || this.#error !== null;
    const timer = hurries ? setTimeout(() => this.#stop.abort(), DRAIN_MS_MAX) : undefined;
    await Promise.all(this.#sending);
    clearTimeout(timer);
    await this.#save(true);
  }

  /** Never beyond what is told (I3). */
  async #save(always: boolean): Promise<void> {
    const nowMs = this.#dependencies.now();
    const { done, oldestMs } = this.#queue;
    if (done <= this.#saved || (!always && nowMs - this.#savedAtMs < SAVE_EVERY_MS)) return;
    await this.#claims.moveCursor(`${this.#cursor}/at`, Math.min(oldestMs ?? nowMs, nowMs));
    await this.#claims.moveCursor(this.#cursor, done);
    this.#saved = done;
    this.#savedAtMs = nowMs;
  }

  #receipt(givenUpBefore: number): DeliveryReceipt {
    const { failingSinceMs, lastCode, givenUp, size } = this.#queue;
    return {
      delivered: this.#delivered,
      passed: this.#passed,
      givenUp: givenUp - givenUpBefore,
      waiting: size,
      failingSince: failingSinceMs === null ? null : fromMs(failingSinceMs),
      lastCode: this.#gone ? 'HTTP_410' : lastCode,
      disabled: this.#gone,
    };
  }
}
