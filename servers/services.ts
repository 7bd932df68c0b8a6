import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { customRules } from '../config/conflicts.ts';
import { inboxPlace } from '../config/inbox.ts';
import { ledgerPlace } from '../config/ledger.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { rulesOf } from '../config/profiles.ts';
import type { ServeConfig } from '../config/serve.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Claims } from '../stores/claims/claims.ts';
import { openClaims } from '../stores/claims/open.ts';
import type { Inbox } from '../stores/inbox/inbox.ts';
import { openInbox } from '../stores/inbox/open.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';
import { openLedgerAt } from '../stores/ledger/open.ts';
import { fileLog } from '../workers/log.ts';

const CONNECT_TIMEOUT = '5s';

/** Lines of the server process; never a value of a record or a request (I5). */
export type Log = ReturnType<typeof fileLog>;

/**
 * What all routes share. The inbox is open from the start; everything else is opened when it is first asked for, and asked for
 * again after a failure: a webhook never waits for, and never fails with, a store that it does not need.
 */
export interface Services {
  loaded: LoadedConfig;
  serve: ServeConfig;
  inbox: Inbox;
  /** LEDGER_UNAVAILABLE while it cannot be reached. */
  ledger: () => Promise<Ledger>;
  /** Undefined where the configuration asks for no profiles. */
  claims: () => Promise<Claims | undefined>;
  /** TEMPORAL_UNAVAILABLE while it cannot be reached. */
  temporal: () => Promise<Client>;
  /** ms since 1970. */
  now: () => number;
  log: Log;
}

export interface OpenServices extends Services {
  close(): Promise<void>;
}

/** CONFIG_INVALID where the configuration does not ask to serve. `log` is for tests. */
export async function openServices(loaded: LoadedConfig, given: { log?: Log } = {}): Promise<OpenServices> {
  const { config, home } = loaded;
  const { serve, profiles } = config;
  if (serve === undefined) {
    throw new HeadwaterError('CONFIG_INVALID', 'serve: is missing, so there is nothing to serve', {
      remedy: 'Write `serve: {}` into headwater.config.ts.',
    });
  }
  const log = given.log ?? fileLog(join(home, 'logs', 'serve.ndjson'));
  const inbox = await openInbox(inboxPlace(loaded));
  const ledger = shared(() => openLedgerAt(ledgerPlace(config)));
  const claims = shared(async () => {
    if (profiles === undefined) return undefined;
    const rules = rulesOf(profiles, config.conflicts);
    return await openClaims({ ...profiles, place: ledgerPlace(config), rules, custom: customRules() });
  });
  const temporal = shared(() => connectTemporal(loaded));
  return {
    loaded,
    serve,
    inbox,
    ledger: ledger.get,
    claims: claims.get,
    temporal: temporal.get,
    now: Date.now,
    log,
    async close() {
      await temporal.close(({ connection }) => connection.close());
      await claims.close((store) => store?.close());
      await ledger.close((store) => store.close());
      await inbox.close();
    },
  };
}

/** CONFIG_INVALID where the configuration asks for no profiles. */
export async function claimsOf({ claims }: Pick<Services, 'claims'>): Promise<Claims> {
  const opened = await claims();
  if (opened !== undefined) return opened;
  throw new HeadwaterError('CONFIG_INVALID', 'the configuration has no profiles', {
    remedy: 'Add `profiles: {}` to headwater.config.ts and start the server again.',
  });
}

interface Shared<T> {
  get: () => Promise<T>;
  close(end: (value: T) => Promise<void> | undefined): Promise<void>;
}

/** Opened once for all who ask at the same time; after a failure the next who asks tries again. */
function shared<T>(open: () => Promise<T>): Shared<T> {
  let opened: Promise<T> | undefined;
  let value: T | undefined;
  return {
    get() {
      if (opened === undefined) {
        const attempt = open();
        opened = attempt;
        attempt.then(
          (result) => (value = result),
          () => (opened = undefined),
        );
      }
      return opened;
    },
    /** What is not open yet is not waited for: the process ends. */
    async close(end) {
      if (value !== undefined) await end(value);
    },
  };
}

async function connectTemporal({ config }: LoadedConfig): Promise<Client> {
  const profile = loadClientConnectConfig();
  const address = profile.connectionOptions.address ?? config.temporal.address ?? '127.0.0.1:7233';
  const namespace = profile.namespace ?? config.temporal.namespace ?? 'default';
  try {
    const connection = await Connection.connect({
      ...profile.connectionOptions,
      address,
      connectTimeout: CONNECT_TIMEOUT,
    });
    return new Client({ connection, namespace });
  } catch (cause) {
    throw new HeadwaterError('TEMPORAL_UNAVAILABLE', `Temporal at ${address} does not answer`, { cause });
  }
}
