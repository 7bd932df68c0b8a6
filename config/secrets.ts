import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { HeadwaterError } from '../rules/errors.ts';

/** Where a secret lies; the configuration holds this and never the value (I5). */
export const secretReferenceSchema = z.strictObject({
  $secret: z.union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })]),
});
export type SecretReference = z.infer<typeof secretReferenceSchema>;

/** Not NodeJS.ProcessEnv: the types of the package stand by themselves in a project without @types/node. */
type Environment = Readonly<Record<string, string | undefined>>;

export type Path = readonly (string | number)[];

/** A configuration is small and written by hand: deeper than this is a cycle. */
const DEPTH_MAX = 20;
const FILE_BYTES_MAX = 1_000_000;

export function isSecretReference(value: unknown): value is SecretReference {
  return secretReferenceSchema.safeParse(value).success;
}

/** An object as a configuration holds it: no class of its own. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  // An object of another realm (a test's sandbox) has another Object.prototype, but that one is the end of its chain too.
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Copies a plain value with every secret reference replaced by what `replace` says. */
export function mapSecrets(
  value: unknown,
  replace: (reference: SecretReference, path: Path) => unknown,
  path: Path = [],
): unknown {
  if (path.length > DEPTH_MAX) {
    throw new HeadwaterError(
      'CONFIG_INVALID',
      `${formatPath(path)} is nested more than ${DEPTH_MAX} levels deep`,
    );
  }
  if (isSecretReference(value)) return replace(value, path);
  if (Array.isArray(value)) return value.map((item, index) => mapSecrets(item, replace, [...path, index]));
  if (isRecord(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, mapSecrets(item, replace, [...path, key])]),
    );
  }
  return value;
}

/**
 * Replaces secret references by their values. Called by activities just before connecting; the result is never stored,
 * logged or returned to a workflow (I5). SECRET_MISSING names the variable or file and the path, never a value.
 * `at` is the configuration path of `value`, such as `connections.salesforce`.
 */
export function resolveSecrets(value: unknown, at = '', environment: Environment = process.env): unknown {
  return mapSecrets(value, ({ $secret }, path) => {
    const where = [at, formatPath(path)].filter(Boolean).join('.');
    return 'env' in $secret
      ? fromEnvironment($secret.env, where, environment)
      : fromFile($secret.file, where);
  });
}

/** `connections.salesforce.objects[2]`. */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}

function fromEnvironment(name: string, where: string, environment: Environment): string {
  const value = environment[name];
  if (value) return value;
  throw new HeadwaterError('SECRET_MISSING', `environment variable ${name} is not set (${where})`, {
    details: { variable: name, path: where },
  });
}

function fromFile(path: string, where: string): string {
  let value: string;
  try {
    value = readFileSync(path, 'utf8');
  } catch (cause) {
    const why =
      typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new HeadwaterError('SECRET_MISSING', `file ${path} cannot be read: ${why} (${where})`, {
      details: { file: path, path: where },
    });
  }
  const secret = value.replace(/\r?\n$/, '');
  if (secret !== '' && value.length <= FILE_BYTES_MAX) return secret;
  throw new HeadwaterError(
    'SECRET_MISSING',
    `file ${path} is ${secret === '' ? 'empty' : 'too large'} (${where})`,
    {
      details: { file: path, path: where },
    },
  );
}
