import { HeadwaterError } from '../../rules/errors.ts';
import { HttpClient } from '../http.ts';
import type { PushedConnection, SourceContext, TopicBatch, TopicReader } from '../source.ts';
import { Auth, type Session } from './auth.ts';
import type { SalesforceConfig } from './config.ts';
import { Answers } from './pubsub-answers.ts';
import { headerReader, hintsOf, type ChangeHeader } from './pubsub-events.ts';
import {
  isFinal,
  isUnauthenticated,
  PubSubService,
  REPLAY,
  schemaInfoSchema,
  serviceError,
  topicInfoSchema,
  type FetchRequest,
  type FetchResponse,
  type Signed,
} from './pubsub-service.ts';

/** The most that one request may ask for. Source: Pub/Sub API guide, "Subscribe RPC Method". */
const REQUESTED_MAX = 100;
/** More is asked for when no more than so many are still to come. */
const REQUESTED_LOW = 50;
/** An answer has 3 MB at most, an event 1 MB (the guide's "Allocations"). */
const MESSAGE_BYTES_MAX = 8 * 1_048_576;
const ASK_MS_MAX = 20_000;
/** Without changes the service says so every 270 s; a connection that is silent for longer is dead. */
const SILENT_MS_MAX = 300_000;
const SCHEMAS_MAX = 500;

const OPENED: TopicBatch = { events: [], position: null, unnamed: [], leftOut: 0, own: 0 };

export interface PubSubGiven {
  config: SalesforceConfig;
  /** https, or http on this machine. */
  endpoint: string;
  /** The org as configured; null: as the log-in tells it. */
  organizationId: string | null;
  pushed: PushedConnection;
  silentMsMax?: number;
}

/** Change Data Capture over the Pub/Sub API: docs/webhooks.md. One connection for all topics. */
export class PubSubReader implements TopicReader {
  readonly #given: PubSubGiven;
  readonly #http: HttpClient;
  readonly #auth: Auth;
  readonly #service: PubSubService;
  /** Null: a schema that cannot be read, and is not asked for again. */
  readonly #schemas = new Map<string, ((payload: Uint8Array) => ChangeHeader) | null>();

  constructor(given: PubSubGiven, context: SourceContext) {
    this.#given = given;
    this.#http = new HttpClient(context);
    this.#auth = new Auth(given.config, this.#http, context);
    const endpoint = new URL(given.endpoint);
    this.#service = new PubSubService(endpoint, { 'grpc.max_receive_message_length': MESSAGE_BYTES_MAX });
  }

  async *read(topic: string, after: string | null, signal: AbortSignal): AsyncGenerator<TopicBatch> {
    let position = after;
    let renewed = false;
    // Each turn but the last ends with a log-in that was refused; a second one in a row ends it all.
    while (!signal.aborted) {
      const session = this.#signed(await this.#auth.current());
      try {
        for await (const batch of this.#subscription(topic, position, session, signal)) {
          yield batch;
          position = batch.position ?? position;
          if (batch !== OPENED) renewed = false;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!isUnauthenticated(error) || renewed) throw serviceError(error, topic);
        renewed = true;
        await this.#auth.renew(session.accessToken);
      }
    }
  }

  async close(): Promise<void> {
    this.#service.close();
    await this.#http.close();
  }

  async *#subscription(
    topic: string,
    after: string | null,
    session: Signed,
    signal: AbortSignal,
  ): AsyncGenerator<TopicBatch> {
    const { canSubscribe } = await this.#service.ask(
      ...(['GetTopic', { topicName: topic }, topicInfoSchema, session, ASK_MS_MAX] as const),
    );
    if (!canSubscribe) throw new HeadwaterError('PERMISSION_DENIED', `${topic}: may not be followed`);
    // Nobody tells of an abort that was before.
    if (signal.aborted) return;
    const call = this.#service.subscribe(session);
    const answers = new Answers(call, this.#given.silentMsMax ?? SILENT_MS_MAX);
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      let coming = REQUESTED_MAX;
      call.write(firstRequest(topic, after));
      yield OPENED;
      for (;;) {
        const response = await answers.next();
        if (response === undefined) break;
        yield await this.#batchOf(response, session);
        // Only here, when the one before is dealt with: who cannot keep more asks for no more.
        coming = Math.max(coming - response.events.length, 0);
        if (coming > REQUESTED_LOW) continue;
        call.write({ topicName: topic, numRequested: REQUESTED_MAX - coming });
        coming = REQUESTED_MAX;
      }
      throw new HeadwaterError('SOURCE_UNAVAILABLE', `${topic}: the service ended the subscription`);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  async #batchOf({ events, latestReplayId }: FetchResponse, session: Signed): Promise<TopicBatch> {
    const batch = { events: [] as TopicBatch['events'], leftOut: 0, own: 0 };
    const unnamed = new Set<string>();
    let unread = 0;
    for (const { event } of events) {
      const header = event === null ? null : await this.#headerOf(event, session);
      if (event === null || header === null) {
        unread += 1;
        continue;
      }
      const hints = hintsOf(header, event.id, this.#given.pushed);
      batch.events.push(...hints.events);
      for (const object of hints.unnamed) unnamed.add(object);
      batch.leftOut += hints.leftOut;
      batch.own += hints.own ? 1 : 0;
    }
    const last = events.at(-1)?.replayId ?? latestReplayId;
    const position = last.length === 0 ? null : Buffer.from(last).toString('base64');
    return { ...batch, position, unnamed: unread > 0 ? 'all' : [...unnamed] };
  }

  /** Null: nobody can read it, now or later. */
  async #headerOf(
    { schemaId, payload }: { schemaId: string; payload: Uint8Array },
    session: Signed,
  ): Promise<ChangeHeader | null> {
    if (!this.#schemas.has(schemaId)) await this.#learn(schemaId, session);
    try {
      return this.#schemas.get(schemaId)?.(payload) ?? null;
    } catch {
      return null;
    }
  }

  async #learn(schemaId: string, session: Signed): Promise<void> {
    let reader: ((payload: Uint8Array) => ChangeHeader) | null = null;
    try {
      const { schemaJson } = await this.#service.ask(
        ...(['GetSchema', { schemaId }, schemaInfoSchema, session, ASK_MS_MAX] as const),
      );
      reader = headerReader(schemaJson);
    } catch (error) {
      const isProtocol = error instanceof HeadwaterError && error.code === 'SOURCE_PROTOCOL';
      if (!isFinal(error) && !isProtocol) throw error;
    }
    const [oldest] = this.#schemas.keys();
    if (this.#schemas.size >= SCHEMAS_MAX && oldest !== undefined) this.#schemas.delete(oldest);
    this.#schemas.set(schemaId, reader);
  }

  #signed(session: Session): Signed {
    // Tokens that are no JWT begin with the org.
    const tenant =
      this.#given.organizationId ?? session.organizationId ?? session.accessToken.split('!', 1)[0] ?? '';
    return { ...session, tenant };
  }
}

function firstRequest(topic: string, after: string | null): FetchRequest {
  const request = { topicName: topic, numRequested: REQUESTED_MAX };
  if (after === null) return { ...request, replayPreset: REPLAY.latest };
  return { ...request, replayPreset: REPLAY.custom, replayId: Buffer.from(after, 'base64') };
}
