import { join } from 'node:path';
import { ledgerPlace, type LedgerPlace } from './ledger.ts';
import type { LoadedConfig } from './load-config.ts';
import { serveSchema } from './serve.ts';

/** Where the inbox lies, beside the ledger or in a file of its own, and what it may hold; the same for the worker, the listener and commands, with `serve` or without. */
export function inboxPlace({ config, home }: Pick<LoadedConfig, 'config' | 'home'>): {
  place: LedgerPlace;
  path: string;
  waitingMax: number;
  rememberMs: number;
} {
  const { inbox, webhooks } = config.serve ?? serveSchema.parse({});
  const path = config.serve === undefined ? join(home, inbox.path) : inbox.path;
  return { place: ledgerPlace(config), path, waitingMax: webhooks.waitingMax, rememberMs: inbox.remember };
}
