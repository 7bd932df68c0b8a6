import { HeadwaterError } from '../../rules/errors.ts';

/** Callers within this time of the last commit share the next one; after a pause a lone caller is served at once. */
const GAP_MS = 5;
/** Events of one commit: bounds how long others wait for the file. */
const GROUP_EVENTS_MAX = 5_000;
/** Events in memory that wait for a commit; beyond it senders are asked to come back. */
const GATHERED_EVENTS_MAX = 50_000;

interface Caller<Ask, Answer> {
  ask: Ask;
  size: number;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

/** Of one caller: its own answer, or why it alone is refused. */
export type Verdict<Answer> = { answer: Answer } | { error: HeadwaterError };

/** Group commit: one durable transaction for all callers that came while the one before was written. */
export class Gathering<Ask, Answer> {
  readonly #commit: (asks: readonly Ask[]) => Promise<Verdict<Answer>[]>;
  #callers: Caller<Ask, Answer>[] = [];
  #gathered = 0;
  #running: Promise<void> | undefined;
  #lastMs = -Infinity;

  /** `commit` answers each ask in order, or throws when none was kept. */
  constructor(commit: (asks: readonly Ask[]) => Promise<Verdict<Answer>[]>) {
    this.#commit = commit;
  }

  /** INBOX_FULL when too much is gathered already: the disk is slower than the senders. */
  async add(ask: Ask, size: number): Promise<Answer> {
    if (this.#gathered > 0 && this.#gathered + size > GATHERED_EVENTS_MAX) {
      throw new HeadwaterError('INBOX_FULL', 'more events arrive than the disk takes', {
        retryAfterMs: 1_000,
      });
    }
    return await new Promise<Answer>((resolve, reject) => {
      this.#callers.push({ ask, size, resolve, reject });
      this.#gathered += size;
      this.#running ??= this.#run();
    });
  }

  /** Until everything gathered is written. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // Bounded by what was gathered; each turn takes at least one caller.
    while (this.#callers.length > 0) {
      await this.#pause();
      const group = this.#next();
      try {
        const verdicts = await this.#commit(group.map(({ ask }) => ask));
        for (const [index, { resolve, reject }] of group.entries()) {
          const verdict = verdicts[index];
          if (verdict !== undefined && 'answer' in verdict) resolve(verdict.answer);
          else reject(verdict?.error ?? new HeadwaterError('INTERNAL', 'a commit gave no answer'));
        }
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
      this.#lastMs = performance.now();
    }
    this.#running = undefined;
  }

  async #pause(): Promise<void> {
    const waitMs = this.#lastMs + GAP_MS - performance.now();
    await new Promise<void>((resolve) => {
      if (waitMs >= 1) setTimeout(resolve, waitMs);
      else setImmediate(resolve);
    });
  }

  #next(): Caller<Ask, Answer>[] {
    let events = 0;
    let count = 0;
    for (const { size } of this.#callers) {
      if (count > 0 && events + size > GROUP_EVENTS_MAX) break;
      events += size;
      count += 1;
    }
    this.#gathered -= events;
    return this.#callers.splice(0, count);
  }
}
