import type { SubscriptionSettings } from '../activities/dependencies.ts';
import type { Config } from '../config/schema.ts';
import { isLoopback, signingKeys } from '../config/subscriptions.ts';

/** Subscriptions as the steps see them, by name. */
export function subscriptionsOf({ serve }: Pick<Config, 'serve'>): ReadonlyMap<string, SubscriptionSettings> {
  return new Map(
    Object.entries(serve?.subscriptions ?? {}).map(([name, subscription]) => {
      const { url, entity, fields, where, sees, consents } = subscription;
      const allowPrivate = subscription.allowPrivate || isLoopback(new URL(url).hostname);
      return [
        name,
        {
          interest: { entity, fields, where, sees },
          consents,
          receiver: () => ({ url, keys: signingKeys(name, subscription), allowPrivate }),
        },
      ];
    }),
  );
}
