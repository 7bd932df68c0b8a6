import { z } from 'zod';
import type { Mistake } from './mistakes.ts';
import type { SecretReference } from './secrets.ts';

const NAME = /^[a-z][a-z0-9_-]{0,39}$/;
/** Bytes, by the AMQP 0-9-1 specification (short strings), less what the queue of refused messages adds. */
const QUEUE_CHARACTERS_MAX = 200;

/** Queues of a broker (AMQP 0-9-1) whose messages are records. `secret`: the type of a reference, which lies beside. */
export const queuesSchema = (secret: z.ZodType<SecretReference, SecretReference>) =>
  z
    .record(
      z.string().regex(NAME, 'is no name of a queue here. Write a to z, 0 to 9, - and _.'),
      z.strictObject({
        /** `amqps://user:password@host/vhost`: a secret, because of the password. */
        url: secret,
        /** The broker's name of it; it is made, durable, where it is missing. */
        queue: z.string().min(1).max(QUEUE_CHARACTERS_MAX),
        connection: z.string().min(1),
        object: z.string().min(1),
        /** Messages that are read and not acknowledged yet. */
        prefetch: z.number().int().min(1).max(1_000).default(100),
      }),
    )
    .default({});
export type QueuesConfig = z.output<ReturnType<typeof queuesSchema>>;
export type QueueConfig = QueuesConfig[string];

export function placedQueues(
  queues: QueuesConfig,
  placed: (secret: SecretReference) => SecretReference,
): QueuesConfig {
  return Object.fromEntries(
    Object.entries(queues).map(([name, one]) => [name, { ...one, url: placed(one.url) }]),
  );
}

/** Connections that a queue names and that take nothing. */
export function queueMistakes(config: {
  connections: Readonly<Record<string, { webhooks?: unknown }>>;
  serve?: { queues: QueuesConfig } | undefined;
}): Mistake[] {
  return Object.entries(config.serve?.queues ?? {}).flatMap(([name, { connection }]): Mistake[] => {
    const path = ['serve', 'queues', name, 'connection'];
    const known = Object.hasOwn(config.connections, connection) ? config.connections[connection] : undefined;
    if (known === undefined) {
      const names = Object.keys(config.connections).join(', ');
      return [{ path, message: `names no connection. Known here: ${names || 'none'}.` }];
    }
    return known.webhooks === undefined
      ? [{ path, message: `takes nothing that is pushed. Add \`webhooks: {}\` to ${connection}.` }]
      : [];
  });
}
