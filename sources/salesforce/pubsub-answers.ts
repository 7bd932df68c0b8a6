import { HeadwaterError } from '../../rules/errors.ts';
import type { FetchResponse, PubSubService } from './pubsub-service.ts';

export type Call = ReturnType<PubSubService['subscribe']>;

/** Events that are handed on together. */
const JOINED_MAX = 100;

/**
 * The answers of one call, read only when they are asked for. It listens from the beginning: how a call ends is never lost, also
 * where nobody asks just then or ever again.
 */
export class Answers {
  readonly #call: Call;
  readonly #silentMs: number;
  #wake: (() => void) | undefined;
  #failure: unknown;
  #isOver = false;

  /** After `silentMs` without an answer SOURCE_UNAVAILABLE is thrown. */
  constructor(call: Call, silentMs: number) {
    this.#call = call;
    this.#silentMs = silentMs;
    call.on('error', (error) => {
      this.#failure = error;
      this.#wake?.();
    });
    call.on('end', () => {
      this.#isOver = true;
      this.#wake?.();
    });
    call.on('readable', () => this.#wake?.());
  }

  /** What has come meanwhile is one answer: a write for each of many small ones would be slower than they come. Undefined: ended. */
  async next(): Promise<FetchResponse | undefined> {
    // Each turn but the last waits for a sign of the call.
    for (;;) {
      const answer = this.#joined();
      if (answer !== undefined) return answer;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) return undefined;
      await this.#sign();
    }
  }

  async #sign(): Promise<void> {
    const isHeard = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), this.#silentMs).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
    this.#wake = undefined;
    if (!isHeard)
      throw new HeadwaterError('SOURCE_UNAVAILABLE', `nothing was heard for ${this.#silentMs} ms`);
  }

  #joined(): FetchResponse | undefined {
    const events: FetchResponse['events'] = [];
    let last: FetchResponse | undefined;
    while (events.length < JOINED_MAX) {
      const answer: FetchResponse | null = this.#call.read();
      if (answer === null) break;
      events.push(...answer.events);
      last = answer;
    }
    return last === undefined ? undefined : { ...last, events };
  }
}
