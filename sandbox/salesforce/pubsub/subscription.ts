/** One call of Subscribe: delivers what was asked for, and says now and then that it is there. */
import { Metadata, status, type ServerDuplexStream } from '@grpc/grpc-js';
import { REPLAY, type FetchRequest } from './interface.ts';
import type { BusEvent, EventBus } from './event-bus.ts';

export type SubscribeCall = ServerDuplexStream<FetchRequest, object>;

/** What tests may change while it runs. */
export interface PubSubBehaviour {
  /** Without events an answer comes this often. */
  keepaliveMs: number;
  /** Events of one answer. */
  batchMax: number;
  /** Sends whatever there is, asked for or not. */
  ignoresRequests: boolean;
  /** Says nothing any more, and ends nothing. */
  silent: boolean;
}

/** Source: Pub/Sub API guide: up to 100 in one request; more are taken as that. */
const REQUESTED_MAX = 100;
const LOOK_MS = 25;
const PREFIX = 'sfdc.platform.eventbus.grpc.';

export function refusal(code: number, error: string, details: string) {
  const metadata = new Metadata();
  metadata.set('error-code', `${PREFIX}${error}`);
  return { code, details: `${details} rpcId: sandbox`, metadata };
}

export const replayBytes = (replay: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(replay);
  return bytes;
};

export interface SubscriptionParts {
  bus: EventBus;
  /** Over all calls. */
  tally: { sent: number };
  behaviour: PubSubBehaviour;
  hasTopic: (name: string) => boolean;
  /** Whether the call's token is still good. */
  isAuthorized: (metadata: Metadata) => boolean;
}

export class Subscription {
  readonly #call: SubscribeCall;
  readonly #parts: SubscriptionParts;
  readonly #timer: NodeJS.Timeout;
  readonly #deaf: () => void;
  #topic: string | undefined;
  #cursor = 0n;
  #pending = 0;
  #toldMs = Date.now();
  #isOver = false;

  constructor(call: SubscribeCall, parts: SubscriptionParts, onEnd: () => void) {
    this.#call = call;
    this.#parts = parts;
    this.#deaf = parts.bus.listen(() => this.#deliver());
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    call.on('data', (request: FetchRequest) => this.#asked(request));
    call.on('end', () => this.#finish(() => call.end()));
    for (const name of ['cancelled', 'close', 'error'] as const) {
      call.on(name, () => {
        this.#finish(() => undefined);
        onEnd();
      });
    }
  }

  /** Ends the call as a failure. */
  fail(error: ReturnType<typeof refusal>): void {
    this.#finish(() => this.#call.emit('error', error));
  }

  #asked(request: FetchRequest): void {
    if (this.#isOver) return;
    const { topicName, numRequested } = request;
    if (this.#topic === undefined) {
      if (!this.#begin(request)) return;
    } else if (topicName !== '' && topicName !== this.#topic) {
      this.fail(refusal(status.INVALID_ARGUMENT, 'subscription.topic.changed', 'another topic'));
      return;
    }
    if (numRequested <= 0) {
      this.fail(
        refusal(status.INVALID_ARGUMENT, 'subscription.fetch.num.requested.invalid', 'none requested'),
      );
      return;
    }
    this.#pending += Math.min(numRequested, REQUESTED_MAX);
    this.#deliver();
  }

  #begin({ topicName, replayPreset, replayId }: FetchRequest): boolean {
    const { bus, hasTopic } = this.#parts;
    if (!hasTopic(topicName)) {
      this.fail(refusal(status.NOT_FOUND, 'topic.not.found', 'no such topic'));
      return false;
    }
    this.#topic = topicName;
    this.#cursor = replayPreset === REPLAY.earliest ? bus.earliest() : bus.last;
    if (replayPreset !== REPLAY.custom) return true;
    if (replayId.length !== 8) {
      this.fail(refusal(status.INVALID_ARGUMENT, 'subscription.fetch.replayid.corrupted', 'not valid'));
      return false;
    }
    this.#cursor = replayId.readBigUInt64BE();
    if (bus.isKept(this.#cursor)) return true;
    this.fail(refusal(status.INVALID_ARGUMENT, 'subscription.fetch.replayid.validation.failed', 'not valid'));
    return false;
  }

  #deliver(): void {
    if (this.#topic === undefined || this.#isOver || !this.#checkToken()) return;
    const { bus, behaviour } = this.#parts;
    if (behaviour.silent) return;
    for (;;) {
      const most = behaviour.ignoresRequests
        ? behaviour.batchMax
        : Math.min(this.#pending, behaviour.batchMax);
      const events = most > 0 ? bus.after(this.#cursor, this.#topic, most) : [];
      const last = events.at(-1);
      if (last === undefined) return;
      this.#cursor = last.replay;
      this.#pending = Math.max(0, this.#pending - events.length);
      this.#tell(events, last.replay);
    }
  }

  #look(): void {
    if (this.#topic === undefined || !this.#checkToken() || this.#parts.behaviour.silent) return;
    if (Date.now() - this.#toldMs < this.#parts.behaviour.keepaliveMs) return;
    // Of a subscriber that has not caught up, the latest is what it was sent.
    const isWaiting = this.#parts.bus.after(this.#cursor, this.#topic, 1).length > 0;
    this.#tell([], isWaiting ? this.#cursor : this.#parts.bus.last);
  }

  #checkToken(): boolean {
    if (this.#parts.isAuthorized(this.#call.metadata)) return true;
    this.fail(refusal(status.UNAUTHENTICATED, 'service.auth.error', 'authentication failed'));
    return false;
  }

  #tell(events: readonly BusEvent[], latest: bigint): void {
    this.#toldMs = Date.now();
    this.#parts.tally.sent += events.length;
    this.#call.write({
      events: events.map(({ id, schemaId, payload, replay }) => ({
        event: { id, schemaId, payload },
        replayId: replayBytes(replay),
      })),
      latestReplayId: replayBytes(latest),
      rpcId: 'sandbox',
      pendingNumRequested: this.#pending,
    });
  }

  #finish(end: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#deaf();
    end();
  }
}
