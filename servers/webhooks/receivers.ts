import { webhookConfig } from '../../config/connection-config.ts';
import type { ConnectionConfig } from '../../config/schema.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { takeTokens, type Bucket } from '../../rules/tokens.ts';
import { sourceDefinition } from '../../sources/registry.ts';
import type { PushedConnection, WebhookAnswer, WebhookKind, WebhookRequest } from '../../sources/source.ts';
import { Problem } from '../problem.ts';
import type { Log, Services } from '../services.ts';

/** Secrets are read again so often: a new one is known without a restart, one that is gone refuses nobody for longer. */
const SECRETS_AGE_MS_MAX = 5_000;
const TELL_EVERY_MS = 60_000;

/** One connection whose system pushes. */
export class Receiver {
  readonly connection: ConnectionConfig;
  readonly kind: WebhookKind;
  readonly #now: () => number;
  readonly #log: Log;
  #bucket: Bucket | null = null;
  #toldMs = -Infinity;
  #made: { atMs: number; receive: (request: WebhookRequest) => WebhookAnswer } | undefined;

  constructor(connection: ConnectionConfig, kind: WebhookKind, { now, log }: Pick<Services, 'now' | 'log'>) {
    this.connection = connection;
    this.kind = kind;
    this.#now = now;
    this.#log = log;
  }

  get pushed(): PushedConnection {
    const { objects, exclude, source: own } = this.connection;
    return { objects, exclude, own };
  }

  /** SECRET_MISSING while a secret cannot be read: then nobody can be told from a forger, and nobody is refused as one. */
  receive(request: WebhookRequest): WebhookAnswer {
    const nowMs = this.#now();
    if (this.#made === undefined || nowMs - this.#made.atMs > SECRETS_AGE_MS_MAX) {
      this.#made = undefined;
      this.#made = { atMs: nowMs, receive: this.#make(nowMs) };
    }
    return this.#made.receive(request);
  }

  #make(nowMs: number): (request: WebhookRequest) => WebhookAnswer {
    try {
      return this.kind.receiver(webhookConfig(this.kind, this.connection), this.pushed);
    } catch (error) {
      const known = error instanceof HeadwaterError ? error : undefined;
      if (nowMs - this.#toldMs > TELL_EVERY_MS) {
        this.#toldMs = nowMs;
        const { code = 'INTERNAL', message = '' } = known ?? {};
        this.#log('error', `webhooks cannot be checked: ${message}`, {
          connection: this.connection.name,
          code,
        });
      }
      throw known?.code === 'SECRET_MISSING'
        ? known
        : new HeadwaterError('SECRET_MISSING', `the secrets of ${this.connection.name} cannot be used`);
    }
  }

  /** Problem 429. Asked only after a sender has proven itself, so that nobody else can use up what is granted. */
  charge(): void {
    const { webhooks } = this.connection;
    if (webhooks === undefined) return;
    const { bucket, granted, waitMs } = takeTokens(this.#bucket, 1, 'webhook', webhooks, this.#now());
    this.#bucket = bucket;
    if (!granted) {
      throw new Problem(429, 'This connection takes fewer requests per second.', { retryAfterMs: waitMs });
    }
  }
}

/** By connection, those with `webhooks` whose kind pushes. */
export function receiversOf(services: Services): ReadonlyMap<string, Receiver> {
  const receivers = new Map<string, Receiver>();
  for (const connection of Object.values(services.loaded.config.connections)) {
    const kind = sourceDefinition(connection.kind)?.webhooks;
    if (kind === undefined || connection.webhooks === undefined) continue;
    receivers.set(connection.name, new Receiver(connection, kind, services));
  }
  return receivers;
}
