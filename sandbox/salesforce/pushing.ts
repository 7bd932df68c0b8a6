/** What the org pushes by itself: outbound messages, and change events for whoever subscribes. */
import type { PushStats } from '../delivery.ts';
import type { SandboxOptions } from './options.ts';
import type { Org } from './org.ts';
import { OutboundMessages } from './outbound.ts';
import type { PubSubSandbox } from './pubsub/pubsub.ts';

export interface Pushing {
  readonly pubsub: PubSubSandbox | undefined;
  stats(): Record<string, PushStats>;
  close(): Promise<void>;
}

export async function startPushing(
  { outbound: target, pubsub: wanted }: SandboxOptions,
  org: Org,
  url: string,
): Promise<Pushing> {
  const outbound = target === undefined ? undefined : new OutboundMessages(target.url, url);
  // Loaded by whoever wants it, and nobody else.
  const pubsub =
    wanted === undefined
      ? undefined
      : await (await import('./pubsub/pubsub.ts')).startPubSub(org, url, wanted);
  org.store.onChange = (table, change) => {
    outbound?.tell(table, change);
    pubsub?.tell(table, change);
  };
  return {
    pubsub,
    stats: () => outbound?.stats() ?? {},
    async close() {
      outbound?.close();
      await pubsub?.close();
    },
  };
}
