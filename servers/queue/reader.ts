import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ChannelModel, type ConfirmChannel, type ConsumeMessage } from 'amqplib';
import type { QueueConfig } from '../../config/queues.ts';
import { resolveSecrets } from '../../config/secrets.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { InboxEvent } from '../../schemas/inbox.ts';
import { Problem } from '../problem.ts';
import type { Services } from '../services.ts';
import type { Receiver } from '../webhooks/receivers.ts';
import { readMessage, type ReadMessage } from './message.ts';

const CONNECT_MS_MAX = 10_000;
const HEARTBEAT_S = 10;
const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 30_000;
/** A connection that has lasted so long is tried again at once. */
const STEADY_MS = 10_000;
/** A full inbox is asked again so often. */
const HOLD_MS = 500;
/** After this the messages go back to the broker, which closes channels that hold them for half an hour. */
const HOLD_MS_MAX = 60_000;
const DRAIN_MS_MAX = 3_000;
/** Where messages go that cannot be taken, beside the queue that they came from. */
export const deadQueueOf = (queue: string): string => `${queue}.dead`;

export interface ReaderTimes {
  holdMs?: number;
  holdMsMax?: number;
  backoffMsMax?: number;
}

/**
 * Takes the messages of one queue into the inbox. A message is acknowledged once its records are durable (I2); whatever breaks
 * before that brings it again, under the same ids. What cannot be taken moves to the dead queue, confirmed by the broker, and
 * only then leaves its own.
 */
export class QueueReader {
  readonly #services: Services;
  readonly #name: string;
  readonly #queue: QueueConfig;
  readonly #receiver: Receiver;
  readonly #times: ReaderTimes;
  readonly #ended = new AbortController();
  readonly #handling = new Set<Promise<void>>();
  #running: Promise<void> | undefined;
  #failed = false;

  constructor(
    services: Services,
    name: string,
    { queue, receiver }: { queue: QueueConfig; receiver: Receiver },
    times: ReaderTimes = {},
  ) {
    this.#services = services;
    this.#name = name;
    this.#queue = queue;
    this.#receiver = receiver;
    this.#times = times;
  }

  start(): void {
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ended;
    let tries = 0;
    while (!signal.aborted) {
      const beganMs = performance.now();
      try {
        await this.#serve();
      } catch (error) {
        if (!this.#failed) this.#services.log('warn', 'a queue cannot be read', this.#about(error));
        this.#failed = true;
      }
      if (performance.now() - beganMs > STEADY_MS) tries = 0;
      const most = this.#times.backoffMsMax ?? BACKOFF_MS_MAX;
      const waitMs = Math.min(BACKOFF_MS_MIN * 2 ** tries, most) * (0.8 + 0.4 * Math.random());
      tries += 1;
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #about(error: unknown): Record<string, string> {
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
    return { queue: this.#name, code };
  }

  /** From one connection to its end. Rejects when that was not asked for. */
  async #serve(): Promise<void> {
    const connection = await connect(this.#address(), { timeout: CONNECT_MS_MAX });
    const broken = new Promise<void>((resolve) => {
      connection.on('close', () => resolve());
      connection.on('error', () => resolve());
    });
    const lost = new AbortController();
    try {
      const { queue, prefetch } = this.#queue;
      await ensureQueue(connection, queue);
      await ensureQueue(connection, deadQueueOf(queue));
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => lost.abort());
      channel.on('close', () => lost.abort());
      await channel.prefetch(prefetch);
      const { consumerTag } = await channel.consume(queue, (message) => {
        // Null: the queue was deleted; connecting anew makes it again.
        if (message === null) lost.abort();
        else this.#begin(channel, message, lost);
      });
      if (this.#failed) this.#services.log('info', 'a queue is read again', { queue: this.#name });
      this.#failed = false;
      const ends = AbortSignal.any([this.#ended.signal, lost.signal]);
      await Promise.race([broken, aborted(ends)]);
      if (this.#ended.signal.aborted && !lost.signal.aborted) {
        await channel.cancel(consumerTag).catch(() => undefined);
        await Promise.race([Promise.all(this.#handling), sleep(DRAIN_MS_MAX)]);
      }
    } finally {
      lost.abort();
      await Promise.race([connection.close().catch(() => undefined), sleep(DRAIN_MS_MAX)]);
      await Promise.all(this.#handling);
    }
  }

  /** I5: the address has a password, so it is read just before it is used and told to nobody. */
  #address(): string {
    const at = `serve.queues.${this.#name}.url`;
    const text = resolveSecrets(this.#queue.url, at);
    if (typeof text !== 'string' || !/^amqps?:\/\//.test(text) || !URL.canParse(text))
      throw new HeadwaterError('CONFIG_INVALID', `${at}: the value of this secret is no AMQP address`);
    const url = new URL(text);
    if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(HEARTBEAT_S));
    return url.href;
  }

  #begin(channel: ConfirmChannel, message: ConsumeMessage, lost: AbortController): void {
    const work = this.#handle(channel, message, lost.signal)
      .catch((error: unknown) => {
        // The message stays with the broker; a new connection brings it again.
        if (!lost.signal.aborted && !this.#ended.signal.aborted)
          this.#services.log('warn', 'a message of a queue waits', this.#about(error));
        lost.abort();
      })
      .finally(() => this.#handling.delete(work));
    this.#handling.add(work);
  }

  async #handle(channel: ConfirmChannel, message: ConsumeMessage, lost: AbortSignal): Promise<void> {
    const { connection, object } = this.#queue;
    const { kind, pushed } = this.#receiver;
    const take = kind.records?.(pushed, object);
    if (take === undefined) throw new HeadwaterError('OBJECT_UNKNOWN', `${connection} takes no ${object}`);
    const { messageId, contentType } = message.properties;
    const keyed = typeof messageId === 'string' ? messageId : '';
    const type = typeof contentType === 'string' ? contentType : '';
    const { events, refused } = readMessage({ body: message.content, contentType: type, keyed }, take);
    if (events.length > 0) await this.#keep(events, lost);
    if (refused !== null) await this.#setAside(channel, message, refused);
    lost.throwIfAborted();
    channel.ack(message);
  }

  /** Waits while the inbox is full or away: unacknowledged messages up to `prefetch` are all that is held meanwhile. */
  async #keep(events: readonly InboxEvent[], lost: AbortSignal): Promise<void> {
    const { holdMs = HOLD_MS, holdMsMax = HOLD_MS_MAX } = this.#times;
    const until = performance.now() + holdMsMax;
    const ends = AbortSignal.any([lost, this.#ended.signal]);
    for (;;) {
      try {
        this.#receiver.charge();
        await this.#services.inbox.accept(this.#queue.connection, events);
        return;
      } catch (error) {
        const waitMs = waitOf(error);
        if (waitMs === null || performance.now() > until) throw error;
        await sleep(Math.max(Math.min(waitMs, holdMs), 1), undefined, { signal: ends });
      }
    }
  }

  async #setAside(
    channel: ConfirmChannel,
    { properties, fields }: ConsumeMessage,
    { body, count, field, reason }: NonNullable<ReadMessage['refused']>,
  ): Promise<void> {
    const { queue } = this.#queue;
    const headers = {
      ...properties.headers,
      'x-headwater-reason': field === null ? reason : `${field} ${reason}`,
      'x-headwater-refused': count,
      'x-headwater-queue': queue,
      'x-headwater-routing-key': fields.routingKey,
    };
    const options = { persistent: true, headers, ...kept(properties) };
    await new Promise<void>((resolve, reject) => {
      channel.sendToQueue(deadQueueOf(queue), body, options, (error: unknown) => {
        if (error === null || error === undefined) resolve();
        else reject(new HeadwaterError('INTERNAL', 'the broker did not confirm a dead message'));
      });
      channel.once('close', () => reject(new HeadwaterError('INTERNAL', 'the broker went away')));
    });
    this.#services.log('warn', 'a message was set aside', { queue: this.#name, refused: count });
  }
}

/** As the sender wrote them. */
function kept({
  messageId,
  contentType,
  correlationId,
}: ConsumeMessage['properties']): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ messageId, contentType, correlationId }).flatMap(([name, value]: [string, unknown]) =>
      typeof value === 'string' ? [[name, value]] : [],
    ),
  );
}

/** How long waiting may help, ms; null: it does not. */
function waitOf(error: unknown): number | null {
  if (error instanceof Problem && error.status === 429) return error.retryAfterMs ?? HOLD_MS;
  if (!(error instanceof HeadwaterError)) return null;
  return error.code === 'INBOX_FULL' || error.code === 'INBOX_UNAVAILABLE' ? Infinity : null;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Left as it is where it exists, whatever its kind: asking for another one would be an error of the channel. */
async function ensureQueue(connection: ChannelModel, queue: string): Promise<void> {
  const probe = await connection.createChannel();
  probe.on('error', () => undefined);
  const isThere = await probe.checkQueue(queue).then(
    () => true,
    () => false,
  );
  if (isThere) return await probe.close();
  const maker = await connection.createChannel();
  maker.on('error', () => undefined);
  await maker.assertQueue(queue, { durable: true });
  await maker.close();
}
