import { targetsOf } from '../mapping/targets.ts';
import type { GoldenProfile } from '../schemas/profile.ts';
import { sourceDefinition } from '../sources/registry.ts';
import { mappingsOf, type ProfilesConfig } from './profiles.ts';
import type { Config } from './schema.ts';

/** The records of this profile that a change of these fields is written to, by the configured systems of record. */
export function writeTargets(
  { connections }: Pick<Config, 'connections'>,
  profiles: ProfilesConfig,
  profile: Pick<GoldenProfile, 'entity' | 'fields' | 'records'>,
  fields: readonly string[],
): ReturnType<typeof targetsOf> {
  const systems = Object.hasOwn(profiles.writeBack, profile.entity)
    ? (profiles.writeBack[profile.entity] ?? {})
    : {};
  return targetsOf({
    profile,
    fields,
    systems: (field) => (Object.hasOwn(systems, field) ? (systems[field] ?? []) : []),
    mappings: (connection, object) => {
      const kind = connections[connection]?.kind;
      const ready = kind === undefined ? undefined : sourceDefinition(kind)?.mappings;
      return mappingsOf(profiles, ready ?? {}, connection, object);
    },
  });
}
