import { isAbsolute, join } from 'node:path';
import type { z } from 'zod';
import { formatMistake, keysAt, mistakesOf, type Mistake } from './mistakes.ts';
import { nearest } from './nearest.ts';
import { checkOwnPart } from './own-part.ts';
import {
  configSchema,
  CONNECTION_SHAPE,
  type Config,
  type ConnectionConfig,
  type WarehousePart,
} from './schema.ts';
import { profileMistakes } from './profiles.ts';
import { placedQueues, queueMistakes } from './queues.ts';
import { isRecord, mapSecrets, type SecretReference } from './secrets.ts';
import { WEBHOOKS_SHAPE, type KeyConfig, type ServeConfig } from './serve.ts';
import { stageMistakes } from './stage.ts';
import { placedWarehouses } from './warehouses.ts';
import { placedSubscriptions, subscriptionMistakes } from './subscriptions.ts';

/** What loading needs to know of a source kind. */
export interface SourceKind {
  config: z.ZodType;
  capabilities: { lagMs: number; lookbackMs: number };
  webhooks?: { config: z.ZodType };
}

/** The registries, as far as a configuration is concerned. */
export interface Kinds {
  sources: Record<string, SourceKind>;
  warehouses: Record<string, { config: z.ZodType }>;
}

export type ParsedConfig = { ok: true; config: Config } | { ok: false; lines: string[] };

/** Pure: checks what a configuration file holds and fills in defaults. `file` is the name that the lines begin with. */
export function parseConfig(
  input: unknown,
  options: { file: string; home: string; kinds: Kinds },
): ParsedConfig {
  const { file, home, kinds } = options;
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) {
    const mistakes = mistakesOf(parsed.error.issues, configSchema, input);
    return { ok: false, lines: [...new Set(mistakes.map((mistake) => formatMistake(file, mistake)))] };
  }
  const mistakes: Mistake[] = [];
  const connections = Object.entries(parsed.data.connections).map(
    ([name, connection]): [string, ConnectionConfig] => {
      const written = inputOf(input, ['connections', name]);
      const at = ['connections', name];
      const kind = Object.hasOwn(kinds.sources, connection.kind) ? kinds.sources[connection.kind] : undefined;
      if (!kind)
        mistakes.push({
          path: [...at, 'kind'],
          message: unknownKind(connection.kind, Object.keys(kinds.sources)),
        });
      const source = absolutePaths(ownPart(kind?.config, written, Object.keys(CONNECTION_SHAPE)), home);
      if (kind)
        mistakes.push(...located(at, checkOwnPart(kind.config, source), Object.keys(CONNECTION_SHAPE)));
      const webhooks = webhooksPart(connection, written, kind, home);
      if (webhooks)
        mistakes.push(...located([...at, 'webhooks'], webhooks.mistakes, Object.keys(WEBHOOKS_SHAPE)));
      return [name, { ...connectionConfig(name, connection, source, kind), webhooks: webhooks?.part }];
    },
  );
  const { warehouse, warehouses, stage, ledger, profiles, serve, ...rest } = parsed.data;
  const placed = placedWarehouses({ warehouse, warehouses }, (at, kind) =>
    warehousePart(kinds, kind, inputOf(input, at), at, home),
  );
  mistakes.push(...placed.mistakes);
  mistakes.push(...profileMistakes(parsed.data), ...stageMistakes(parsed.data));
  mistakes.push(...subscriptionMistakes(parsed.data), ...queueMistakes(parsed.data));
  if (mistakes.length > 0)
    return { ok: false, lines: mistakes.map((mistake) => formatMistake(file, mistake)) };
  return {
    ok: true,
    config: {
      ...rest,
      connections: Object.fromEntries(connections),
      warehouse: placed.main,
      ...(placed.copies.length === 0 ? {} : { copies: placed.copies }),
      stage: { ...stage, path: absolute(stage.path, home) },
      ledger: ledgerPart(ledger, home),
      ...(profiles && {
        profiles: {
          ...profiles,
          path: absolute(profiles.path, home),
          keyPath: absolute(profiles.keyPath, home),
        },
      }),
      ...(serve && { serve: servePart(serve, home) }),
    },
  };
}

/** `at`: where it is written. An unknown kind, or what its own schema refuses, are mistakes. */
function warehousePart(
  kinds: Kinds,
  kind: string,
  written: Record<string, unknown>,
  at: string[],
  home: string,
): { part: WarehousePart; mistakes: Mistake[] } {
  const definition = Object.hasOwn(kinds.warehouses, kind) ? kinds.warehouses[kind] : undefined;
  const options = absolutePaths(ownPart(definition?.config, written, ['kind']), home);
  const mistakes =
    definition === undefined
      ? [{ path: [...at, 'kind'], message: unknownKind(kind, Object.keys(kinds.warehouses)) }]
      : located(at, checkOwnPart(definition.config, options), ['kind']);
  return { part: { kind, options }, mistakes };
}

type ParsedConnection = z.output<typeof configSchema>['connections'][string];

function connectionConfig(
  name: string,
  connection: ParsedConnection,
  source: Record<string, unknown>,
  kind: SourceKind | undefined,
): ConnectionConfig {
  const { schedule, objects, exclude, fields, lag, lookback, limits, policy, badRows, refresh } = connection;
  const { audit, freshness, resync, webhooks } = connection;
  return {
    name,
    kind: connection.kind,
    schedule,
    objects,
    exclude,
    fields,
    lagMs: lag ?? kind?.capabilities.lagMs ?? 0,
    lookbackMs: lookback ?? kind?.capabilities.lookbackMs ?? 0,
    limits,
    policy,
    badRows,
    refresh,
    audit,
    freshness,
    resync,
    webhooks,
    source,
  };
}

/** What the connection's system pushes, and how it signs: a part of the kind's own schema. */
function webhooksPart(
  { kind: name, webhooks }: ParsedConnection,
  written: Record<string, unknown>,
  kind: SourceKind | undefined,
  home: string,
): { part: ParsedConnection['webhooks']; mistakes: Mistake[] } | undefined {
  if (webhooks === undefined || kind === undefined) return undefined;
  const schema = kind.webhooks?.config;
  if (schema === undefined) {
    return { part: webhooks, mistakes: [{ path: [], message: `${name} pushes nothing. Remove it.` }] };
  }
  const given = inputOf(written, ['webhooks']);
  const mistakes = checkOwnPart(schema, ownPart(schema, given, Object.keys(WEBHOOKS_SHAPE)));
  const secrets = webhooks.secrets.map((secret) => absoluteSecret(secret, home));
  return { part: { ...webhooks, secrets }, mistakes };
}

/** What is left for the kind's own schema: keys that are not ours, and those of ours that it asks for too. */
function ownPart(
  schema: z.ZodType | undefined,
  written: Record<string, unknown>,
  ours: string[],
): Record<string, unknown> {
  const theirs = new Set(schema ? keysAt(schema, []) : []);
  return Object.fromEntries(
    Object.entries(written).filter(([key]) => !ours.includes(key) || theirs.has(key)),
  );
}

/** A key that the kind's schema does not know may be one of ours, misspelt. */
function located(at: string[], mistakes: Mistake[], ours: string[]): Mistake[] {
  return mistakes.map(({ path, message }) => {
    const [key] = path;
    const unknown = path.length === 1 && message.startsWith('is unknown. Known here:');
    const guess = unknown && typeof key === 'string' ? nearest(key, ours) : undefined;
    return {
      path: [...at, ...path],
      message: guess === undefined ? message : `is unknown. Did you mean ${guess}?`,
    };
  });
}

/** `path` and secret files are written relative to the home, so that a configuration can move with it. */
function absolutePaths(part: Record<string, unknown>, home: string): Record<string, unknown> {
  const entries = Object.entries(part).map(([key, value]) => {
    const withFiles = mapSecrets(value, (reference) => absoluteSecret(reference, home));
    return [key, key === 'path' && typeof withFiles === 'string' ? absolute(withFiles, home) : withFiles];
  });
  return Object.fromEntries(entries);
}

function ledgerPart(ledger: Config['ledger'], home: string): Config['ledger'] {
  if (ledger.kind === 'sqlite') return { ...ledger, path: absolute(ledger.path, home) };
  return { ...ledger, url: absoluteSecret(ledger.url, home) };
}

function servePart(serve: ServeConfig, home: string): ServeConfig {
  const { cache, inbox, subscriptions, queues } = serve;
  const keys = Object.entries(serve.keys).map(([name, key]): [string, KeyConfig] => {
    const { hash } = key;
    return [name, { ...key, hash: typeof hash === 'string' ? hash : absoluteSecret(hash, home) }];
  });
  return {
    ...serve,
    keys: Object.fromEntries(keys),
    inbox: { ...inbox, path: absolute(inbox.path, home) },
    cache: cache.kind === 'redis' ? { ...cache, url: absoluteSecret(cache.url, home) } : cache,
    subscriptions: placedSubscriptions(subscriptions, (secret) => absoluteSecret(secret, home)),
    queues: placedQueues(queues, (secret) => absoluteSecret(secret, home)),
  };
}

function absoluteSecret(reference: SecretReference, home: string): SecretReference {
  const { $secret } = reference;
  return 'file' in $secret ? { $secret: { file: absolute($secret.file, home) } } : reference;
}

function absolute(path: string, home: string): string {
  return isAbsolute(path) ? path : join(home, path);
}

function unknownKind(kind: string, known: string[]): string {
  const guess = nearest(kind, known);
  const hint = guess === undefined ? '' : ` Did you mean '${guess}'?`;
  return `${JSON.stringify(kind)} is not a kind that Headwater knows.${hint} Known: ${known.join(', ') || 'none'}.`;
}

function inputOf(input: unknown, path: string[]): Record<string, unknown> {
  const found = path.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), input);
  return isRecord(found) ? found : {};
}
