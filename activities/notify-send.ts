// Part of notify: one signed request, as Standard Webhooks has it, and what its answer means.
import { createHash, createHmac } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { publicLookup, refusePrivateHost } from './notify-address.ts';
import type { Refusal } from './notify-queue.ts';

/** Within what Standard Webhooks advises: 15 to 30 s. */
const ANSWER_MS_MAX = 15_000;
const RETRY_AFTER_MS_MAX = 24 * 3_600_000;
const CONNECTIONS_MAX = 8;
/** Of an answer that nobody reads. */
const BODY_BYTES_MAX = 65_536;
const ID_CHARACTERS = 32;

export interface Receiver {
  url: string;
  /** Any of them may be the one that the receiver knows. */
  keys: readonly Buffer[];
  /** The address may be a private one. */
  allowPrivate: boolean;
}

export interface Message {
  id: string;
  body: string;
  atMs: number;
}

export type Delivery = { outcome: 'taken' } | { outcome: 'gone' } | { outcome: 'refused'; refusal: Refusal };

/** One fact has one id for a subscriber, however often it is sent. */
export function messageId(subscription: string, profile: string, version: number): string {
  const digest = createHash('sha256').update(`${subscription}\n${profile}\n${version}`).digest('hex');
  return `msg_${digest.slice(0, ID_CHARACTERS)}`;
}

/** https://github.com/standard-webhooks/standard-webhooks: HMAC-SHA256 of `id.timestamp.body`, once per key. */
export function signedHeaders({ id, body, atMs }: Message, keys: readonly Buffer[]): Record<string, string> {
  const timestamp = String(Math.floor(atMs / 1_000));
  const signatures = keys.map(
    (key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  );
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}

export class Sender {
  readonly #receiver: Receiver;
  readonly #url: URL;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #answerMsMax: number;

  constructor(receiver: Receiver, answerMsMax = ANSWER_MS_MAX) {
    this.#receiver = receiver;
    this.#url = new URL(receiver.url);
    this.#answerMsMax = answerMsMax;
    const options = {
      keepAlive: true,
      maxSockets: CONNECTIONS_MAX,
      ...(receiver.allowPrivate ? {} : { lookup: publicLookup }),
    };
    this.#agent = this.#url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Never throws, but for `signal`. A redirect is a refusal: it would lead past the look at the address. */
  async send(message: Message, signal: AbortSignal): Promise<Delivery> {
    try {
      if (!this.#receiver.allowPrivate) refusePrivateHost(this.#url.hostname);
      const { statusCode = 0, headers } = await this.#post(message, signal);
      return deliveryOf(statusCode, headers['retry-after'], message.atMs);
    } catch (error) {
      signal.throwIfAborted();
      return { outcome: 'refused', refusal: { code: codeOf(error), whole: true } };
    }
  }

  async #post(message: Message, signal: AbortSignal): Promise<IncomingMessage> {
    const body = Buffer.from(message.body);
    const limit = AbortSignal.timeout(this.#answerMsMax);
    const options = {
      method: 'POST',
      agent: this.#agent,
      signal: AbortSignal.any([signal, limit]),
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        'user-agent': 'headwater',
        ...signedHeaders(message, this.#receiver.keys),
      },
    };
    const start = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
    return await new Promise((resolve, reject) => {
      const request = start(this.#url, options, (answer) => {
        let bytes = 0;
        // Read to its end, so that the connection can be used again; an endless one ends here.
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > BODY_BYTES_MAX) answer.destroy();
        });
        answer.on('error', () => undefined);
        // The status says all; what follows is read beside the next message, within the same limits.
        resolve(answer);
      });
      request.on('error', (error) => reject(limit.aborted ? new TimedOut('no answer in time') : error));
      request.end(body);
    });
  }
}

class TimedOut extends Error {
  readonly code = 'TIMEOUT';
}

/** 410: it wants no more. What is about this message alone is told from what would befall any. */
function deliveryOf(status: number, retryAfter: string | undefined, nowMs: number): Delivery {
  if (status >= 200 && status < 300) return { outcome: 'taken' };
  if (status === 410) return { outcome: 'gone' };
  const ofMessage = status === 400 || status === 409 || status === 413 || status === 422;
  const refusal = {
    code: `HTTP_${status}`,
    retryAfterMs: retryAfterMs(retryAfter, nowMs),
    whole: !ofMessage,
  };
  return { outcome: 'refused', refusal };
}

/** Seconds or a date, RFC 9110 section 10.2.3; at most a day is believed. */
export function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX);
}

/** I5: a code of the system, never a message, which may name more. */
function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'UNREACHABLE';
}
