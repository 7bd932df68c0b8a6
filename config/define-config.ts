import type { ConfigInput } from './schema.ts';
import type { SecretReference } from './secrets.ts';

export { defineConflicts, defineCustomRule } from './conflicts.ts';
export { mapTo, type FieldSource, type Mapping } from '../mapping/mapping.ts';
export { defineEntity, type Entity } from '../schemas/entities/entity.ts';
export * as entityFields from '../schemas/entities/fields.ts';
export * as entities from '../schemas/entities/index.ts';
export * as conflictPresets from '../rules/golden/presets.ts';

/** Gives a configuration its type in the editor; loading checks it again and names every mistake in one line. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}

/** A value that the worker reads from this environment variable just before it connects, never earlier (I5). */
export function env(name: string): SecretReference {
  return { $secret: { env: name } };
}

/** A value that the worker reads from this file just before it connects; a trailing line break is taken off. */
export function file(path: string): SecretReference {
  return { $secret: { file: path } };
}
