import { z } from 'zod';
import { durationSchema } from './quantities.ts';
import { KEY_HASH } from './keys.ts';
import { queuesSchema } from './queues.ts';
import { isSecretReference, type SecretReference } from './secrets.ts';
import { subscriptionsSchema } from './subscriptions.ts';

const HOUR_MS = 3_600_000;
const SECOND_MS = 1_000;

/** I5: what is no reference may be the secret itself, and a mistake must not repeat it. */
export const secretSchema = z.custom<SecretReference>(
  isSecretReference,
  "is no secret. Write env('NAME') or file('path').",
);

/** Loopback unless told: 127.0.0.1 is reached by programs of this machine only. */
const addressShape = (port: number) => ({
  host: z.string().min(1).default('127.0.0.1'),
  /** 0: any free one. */
  port: z.number().int().min(0).max(65_535).default(port),
});

const keySchema = z.strictObject({
  /** The key itself stays with whoever uses it: `npx headwater keys new` prints one and its hash. */
  hash: z.union([
    z.string().regex(KEY_HASH, 'is no hash of a key. Make one with `npx headwater keys new`.'),
    secretSchema,
  ]),
  /** read: profiles. write: changes too. ingest: records of tools. admin: everything, and the operators' routes. */
  scopes: z
    .array(z.enum(['read', 'write', 'ingest', 'admin']))
    .min(1)
    .default(['read']),
  /** Entities that it may see. Default: all. */
  entities: z.array(z.string().min(1)).min(1).optional(),
  /** Classes of fields whose values it sees; others are left out and named in `redactions`. */
  sees: z
    .array(z.enum(['business', 'identifier', 'personal', 'sensitive']))
    .default(['business', 'identifier', 'personal']),
  /** What its user does with people, by flags of the entity `consent` such as 'emailMarketing': of whoever denied one of them it sees business fields alone. */
  consents: z.array(z.string().min(1)).default([]),
  /** An assistant with this key (MCP) changes profiles by itself. Without it, it answers what a person must approve. Needs the scope write too. */
  allowChanges: z.boolean().default(false),
  /** Requests per second, and how many at once after a pause. */
  perSecond: z.number().positive().default(200),
  burst: z.number().int().positive().default(400),
});

/** Present, even empty: the webhook listener and the profile API run beside the worker. */
export const serveSchema = z.strictObject({
  profiles: z.strictObject(addressShape(8470)).prefault({}),
  webhooks: z
    .strictObject({
      ...addressShape(8471),
      /** As senders reach it, such as https://hooks.example.com: some sign the address. Default: where it listens. */
      publicUrl: z.url().optional(),
      /** Events that may wait; with more the listener asks senders to come back later. */
      waitingMax: z.number().int().min(1_000).default(1_000_000),
    })
    .prefault({}),
  /** By name, as it appears in the log and in the history of what it changed. */
  keys: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_-]{0,39}$/, 'is no name of a key. Write a to z, 0 to 9, - and _.'),
      keySchema,
    )
    .default({}),
  cache: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('memory'), profilesMax: z.number().int().min(1).default(50_000) }),
      z.strictObject({
        kind: z.literal('redis'),
        url: secretSchema,
        prefix: z.string().min(1).max(40).default('headwater'),
      }),
    ])
    .default({ kind: 'memory', profilesMax: 50_000 }),
  /** What a request waits for at most when it asks for values younger than those at hand. */
  liveWithin: durationSchema({ msMin: 50, msMax: 10 * SECOND_MS }).default(800),
  /** Accepted events that are not dealt with yet, in a file of their own. */
  inbox: z
    .strictObject({
      path: z.string().min(1).default('inbox.db'),
      /** Ids are remembered this long, so that a repetition is known. */
      remember: durationSchema({ msMin: HOUR_MS }).default(7 * 24 * HOUR_MS),
    })
    .prefault({}),
  /** Who is told of changed profiles, by name: see docs/notifications.md. */
  subscriptions: subscriptionsSchema(secretSchema),
  /** Queues of a broker whose messages are records, by name: see docs/queue.md. */
  queues: queuesSchema(secretSchema),
});
export type ServeConfig = z.output<typeof serveSchema>;
export type KeyConfig = ServeConfig['keys'][string];

/** Of a connection: what its system pushes. A kind adds keys of its own, such as who signs. */
export const WEBHOOKS_SHAPE = {
  /** Any of them proves a sender: put the new one first, remove the old one when nobody signs with it any more. */
  secrets: z.array(secretSchema).max(10).default([]),
  /** Requests per second that are taken, and how many at once after a pause. */
  perSecond: z.number().positive().default(1_000),
  burst: z.number().int().positive().default(2_000),
  /** Events reach the warehouse together, so often. */
  landEvery: durationSchema({ msMin: 100, msMax: 10 * 60 * SECOND_MS }).default(5 * SECOND_MS),
  /** Without an event for so long the connection is polled at `pollEvery` until they come back. Default 'off': only polls that find what webhooks should have brought do so. */
  quietAfter: z
    .union([z.literal('off').transform(() => null), durationSchema({ msMin: 10 * SECOND_MS })])
    .prefault('off'),
  pollEvery: durationSchema({ msMin: 10 * SECOND_MS }).default(5 * 60 * SECOND_MS),
};
