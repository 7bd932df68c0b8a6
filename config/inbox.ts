import { join } from 'node:path';
import type { LoadedConfig } from './load-config.ts';
import { serveSchema } from './serve.ts';

/** Where the inbox lies, and what it may hold; the same file for the worker, the listener and commands, with `serve` or without. */
export function inboxPlace({ config, home }: Pick<LoadedConfig, 'config' | 'home'>): {
  path: string;
  waitingMax: number;
  rememberMs: number;
} {
  const { inbox, webhooks } = config.serve ?? serveSchema.parse({});
  const path = config.serve === undefined ? join(home, inbox.path) : inbox.path;
  return { path, waitingMax: webhooks.waitingMax, rememberMs: inbox.remember };
}
