import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/schema.ts';
import type { InboxEvent } from '../../schemas/inbox.ts';
import type { Inbox } from '../../stores/inbox/inbox.ts';
import type { Model } from './model.ts';

/** Records of one profile that are read again. */
const RECORDS_MAX = 20;
/** Profiles that wait for their sources at once; more get what is at hand. */
const WAITING_MAX = 200;
const POLL_MS_FIRST = 8;
const POLL_MS_MAX = 40;

/** How the id of an event begins that is no news, only a reader's question. */
export const QUESTION = 'live:';

export type Asked = 'read' | 'late' | 'unavailable' | 'none' | 'busy';

/** What a reader is told when it gets older values than it asked for. */
export const WHY: Record<Asked, string> = {
  read: 'the source was read, and its copy is still older than asked for',
  late: 'the source did not answer in time',
  unavailable: 'the source cannot be asked now',
  none: 'no source of it can be asked at once',
  busy: 'too many profiles wait for their sources',
};

/**
 * Asks the sources of a profile for its records, by the road of webhooks: what they answer is reconciled like everything else.
 * All who ask for one profile at the same time share one question.
 */
export class LiveReads {
  readonly #config: Config;
  readonly #inbox: Pick<Inbox, 'accept' | 'settled'>;
  readonly #withinMs: number;
  readonly #asking = new Map<string, Promise<Asked>>();

  constructor(config: Config, inbox: Pick<Inbox, 'accept' | 'settled'>, withinMs: number) {
    this.#config = config;
    this.#inbox = inbox;
    this.#withinMs = withinMs;
  }

  /** read: the profiles hold what the sources said. Resolves within the limit, and never rejects. */
  async ask(model: Pick<Model, 'profile' | 'records'>): Promise<Asked> {
    const running = this.#asking.get(model.profile);
    if (running !== undefined) return await running;
    if (this.#asking.size >= WAITING_MAX) return 'busy';
    const late = sleep(this.#withinMs, 'late' as const, { ref: false });
    const asking = Promise.race([this.#askSources(model), late])
      .catch((): Asked => 'unavailable')
      .finally(() => this.#asking.delete(model.profile));
    this.#asking.set(model.profile, asking);
    return await asking;
  }

  async #askSources({ records }: Pick<Model, 'records'>): Promise<Asked> {
    const { connections } = this.#config;
    const living = records.filter(
      ({ source, deleted }) =>
        !deleted && Object.hasOwn(connections, source) && connections[source]?.webhooks !== undefined,
    );
    if (living.length === 0) return 'none';
    const until = performance.now() + this.#withinMs;
    const bySource = Map.groupBy(living.slice(0, RECORDS_MAX), ({ source }) => source);
    const waits = [...bySource].map(async ([source, own]) => {
      const events = own.map(({ object, record }): InboxEvent => ({
        id: `${QUESTION}${randomUUID()}`,
        object,
        record,
        kind: 'changed',
        values: null,
        at: null,
      }));
      const { positions } = await this.#inbox.accept(source, events);
      return await this.#settled(source, positions, until);
    });
    const all = await Promise.all(waits);
    return all.every(Boolean) ? 'read' : 'late';
  }

  async #settled(source: string, positions: readonly number[], until: number): Promise<boolean> {
    for (let waitMs = POLL_MS_FIRST; ; waitMs = Math.min(waitMs * 1.5, POLL_MS_MAX)) {
      if (await this.#inbox.settled(source, positions)) return true;
      const leftMs = until - performance.now();
      if (leftMs <= 0) return false;
      await sleep(Math.min(waitMs, leftMs));
    }
  }
}
