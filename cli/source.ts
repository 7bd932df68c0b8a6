import { setTimeout as sleep } from 'node:timers/promises';
import { sourceConfig } from '../config/connection-config.ts';
import type { Config, ConnectionConfig } from '../config/schema.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Source, SourceDefinition } from '../sources/source.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';
import { ledgerIfAny } from './open.ts';

const TOKEN_WAIT_MS_MAX = 5_000;

export interface OpenedSource {
  source: Source;
  definition: SourceDefinition;
  /** Undefined when nothing has run yet. */
  ledger: Ledger | undefined;
}

/**
 * Connects to a source for one command. Its calls come out of the same token bucket as the worker's, so looking around
 * never takes the hourly run's quota unseen; before the first run there is no bucket yet.
 */
export async function withSource<T>(
  config: Config,
  connection: ConnectionConfig,
  signal: AbortSignal,
  action: (opened: OpenedSource) => Promise<T>,
): Promise<T> {
  const { sourceDefinition } = await import('../sources/registry.ts');
  const definition = sourceDefinition(connection.kind);
  if (definition === undefined)
    throw new HeadwaterError('CONFIG_INVALID', `${connection.kind} is no kind of source`);
  const settings = sourceConfig(definition, connection);
  const ledger = await ledgerIfAny(config);
  const source = definition.connect(settings, {
    connection: connection.name,
    now: Date.now,
    acquire: (calls, inner) => acquire(ledger, connection, calls, [signal, ...(inner ? [inner] : [])]),
    reportQuota: (quota) => {
      // The ledger's copy is a convenience here; the worker reports it with its next call anyway.
      ledger?.reportQuota(connection.name, quota, Date.now()).catch(() => {});
    },
    log: () => {},
  });
  try {
    return await action({ source, definition, ledger });
  } finally {
    await source.close();
    await ledger?.close();
  }
}

async function acquire(
  ledger: Ledger | undefined,
  { name, limits }: ConnectionConfig,
  calls: number,
  signals: AbortSignal[],
): Promise<void> {
  if (ledger === undefined) return;
  const signal = AbortSignal.any(signals);
  for (;;) {
    signal.throwIfAborted();
    const grant = await ledger.take(name, calls, 'hourly', limits, Date.now());
    if (grant.granted) return;
    await sleep(Math.min(grant.waitMs, TOKEN_WAIT_MS_MAX), undefined, { signal });
  }
}
