import type { z } from 'zod';
import { HeadwaterError } from '../rules/errors.ts';
import { nearest } from './nearest.ts';
import { keysAt, mistakesOf } from './mistakes.ts';
import type { Config, ConnectionConfig, WarehousePart } from './schema.ts';
import { sinkName } from './warehouses.ts';
import { formatPath, isRecord, isSecretReference, mapSecrets, resolveSecrets } from './secrets.ts';

/** A literal under such a key is a secret that someone wrote down; it leaves no configuration (I5). */
const SENSITIVE_KEY = /secret|password|token|privatekey|apikey/i;
const REDACTED = '(set in the configuration)';

/** INPUT_INVALID with the nearest name when there is no such connection. */
export function connectionNamed(config: Config, name: string): ConnectionConfig {
  const connection = Object.hasOwn(config.connections, name) ? config.connections[name] : undefined;
  if (connection) return connection;
  const known = Object.keys(config.connections);
  const guess = nearest(name, known);
  throw new HeadwaterError(
    'INPUT_INVALID',
    `there is no connection ${JSON.stringify(name)} in the configuration`,
    {
      remedy: guess ? `Did you mean ${guess}?` : `The configuration has: ${known.join(', ') || 'none'}.`,
    },
  );
}

/** One connection with every default filled in and no secret: may be shown, hashed and handed to a workflow. */
export function configFor(config: Config, name: string): ConnectionConfig {
  const connection = connectionNamed(config, name);
  return { ...connection, source: withoutLiterals(connection.source) };
}

/**
 * What `definition.connect` takes: the connection's own part with secrets resolved. Only for activities and commands about to
 * connect; never stored, logged or returned (I5).
 */
export function sourceConfig<Schema extends z.ZodType>(
  definition: { config: Schema },
  connection: ConnectionConfig,
  environment: NodeJS.ProcessEnv = process.env,
): z.output<Schema> {
  return ownConfig(definition.config, connection.source, `connections.${connection.name}`, environment);
}

/**
 * What a receiver of the connection's webhooks takes, its secrets resolved: read again now and then, so that a new secret is known
 * without a restart. SECRET_MISSING while one of them cannot be read (I5: neither stored nor logged).
 */
export function webhookConfig<Schema extends z.ZodType>(
  kind: { config: Schema },
  {
    name,
    webhooks = {},
  }: Pick<ConnectionConfig, 'name'> & { webhooks?: Record<string, unknown> | undefined },
  environment: NodeJS.ProcessEnv = process.env,
): z.output<Schema> {
  const theirs = new Set(keysAt(kind.config, []));
  const part = Object.fromEntries(Object.entries(webhooks).filter(([key]) => theirs.has(key)));
  return ownConfig(kind.config, part, `connections.${name}.webhooks`, environment);
}

/** The same for a warehouse. */
export function warehouseConfig<Schema extends z.ZodType>(
  definition: { config: Schema },
  { name, options }: WarehousePart,
  environment: NodeJS.ProcessEnv = process.env,
): z.output<Schema> {
  const at = name === undefined ? 'warehouse' : `warehouses.${name}`;
  return ownConfig(definition.config, options, at, environment);
}

function ownConfig<Schema extends z.ZodType>(
  schema: Schema,
  part: Record<string, unknown>,
  at: string,
  environment: NodeJS.ProcessEnv,
): z.output<Schema> {
  const resolved = resolveSecrets(part, at, environment);
  const parsed = schema.safeParse(resolved);
  if (parsed.success) return parsed.data;
  // I5: a schema's message may repeat what it was given, so nothing that it says about a resolved value is passed on.
  const places = new Set<string>();
  mapSecrets(part, (_, path) => places.add(formatPath(path)));
  const lines = mistakesOf(parsed.error.issues, schema, part).map(({ path, message }) => {
    const where = [at, formatPath(path)].filter(Boolean).join('.');
    return `${where}: ${places.has(formatPath(path)) ? 'the value of this secret does not fit.' : message}`;
  });
  throw new HeadwaterError('CONFIG_INVALID', lines[0] ?? `${at} is wrong`, { details: { lines } });
}

function withoutLiterals(part: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, withoutLiteral(value, key)]));
}

function withoutLiteral(value: unknown, key: string): unknown {
  if (typeof value === 'string') return SENSITIVE_KEY.test(key) ? REDACTED : value;
  if (Array.isArray(value)) return value.map((item) => withoutLiteral(item, key));
  return isRecord(value) && !isSecretReference(value) ? withoutLiterals(value) : value;
}

/** The name under which the ledger keeps what the main warehouse has landed. */
export function sinkOf(config: Pick<Config, 'warehouse'>): string {
  return sinkName(config.warehouse);
}
