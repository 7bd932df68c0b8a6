import { HeadwaterError } from '../../rules/errors.ts';
import type { Services } from '../services.ts';
import type { Receiver } from '../webhooks/receivers.ts';
import { QueueReader, type ReaderTimes } from './reader.ts';

/** Reads every queue of the configuration until `close`. CONFIG_INVALID where one is for an object that takes no records. */
export function readQueues(
  services: Services,
  receivers: ReadonlyMap<string, Receiver>,
  times: ReaderTimes = {},
): { close(): Promise<void> } {
  const readers = Object.entries(services.serve.queues).map(([name, queue]) => {
    const receiver = receivers.get(queue.connection);
    if (receiver?.kind.records?.(receiver.pushed, queue.object) === undefined) {
      const message = `serve.queues.${name}: ${queue.connection} takes no records of ${queue.object}`;
      throw new HeadwaterError('CONFIG_INVALID', message);
    }
    return new QueueReader(services, name, { queue, receiver }, times);
  });
  for (const reader of readers) reader.start();
  return {
    async close() {
      await Promise.all(readers.map((reader) => reader.stop()));
    },
  };
}
