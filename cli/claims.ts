import { customRules } from '../config/conflicts.ts';
import { entitiesOf, rulesOf, type ProfilesConfig } from '../config/profiles.ts';
import { ledgerPlace } from '../config/ledger.ts';
import type { Config } from '../config/schema.ts';
import { normaliseDomain, normaliseEmail, phoneNormaliser } from '../mapping/normalise.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Claims } from '../stores/claims/claims.ts';
import { openClaims } from '../stores/claims/open.ts';
import type { Call } from './command.ts';
import { mayHaveClaims } from './open.ts';

/** Candidates that a refusal names when an identifier means several profiles. */
const NAMED_MAX = 10;

/** The part `profiles` of the configuration; INPUT_INVALID with what to write when there is none. */
export function profilesConfig(config: Config): ProfilesConfig {
  if (config.profiles !== undefined) return config.profiles;
  throw new HeadwaterError('INPUT_INVALID', 'the configuration has no profiles', {
    remedy: 'Add `profiles: {}` to headwater.config.ts and restart the worker.',
  });
}

/** Runs an action on the claims store beside a running worker. A command never creates one. */
export async function withClaims<T>(
  call: Pick<Call, 'load'>,
  action: (claims: Claims, config: Config) => Promise<T>,
): Promise<T> {
  const { config } = await call.load();
  const profiles = profilesConfig(config);
  if (!mayHaveClaims(config)) {
    throw new HeadwaterError('INPUT_INVALID', 'there are no profiles yet', {
      remedy: 'Run `npx headwater sync <connection>` with the worker running.',
    });
  }
  const claims = await openClaims({
    ...profiles,
    place: ledgerPlace(config),
    existing: true,
    rules: rulesOf(profiles, config.conflicts),
    custom: customRules(),
  });
  try {
    return await action(claims, config);
  } finally {
    await claims.close();
  }
}

/**
 * A profile by what a person has at hand: its id, a record (`crm:Contact:003…`), an e-mail address, a telephone number,
 * a domain. INPUT_INVALID when it means none, or several.
 */
export async function profileNamed(claims: Claims, config: Config, given: string): Promise<string> {
  if (/^p_/.test(given)) {
    const profile = await claims.profile(given);
    if (profile !== null) return profile.profile;
    throw unknown('there is no profile with this id');
  }
  const [source, object, ...record] = given.split(':');
  if (source !== undefined && object !== undefined && record.length > 0) {
    const found = await claims.profileOf({ source, object, record: record.join(':') });
    if (found !== null) return found;
    throw unknown('no profile has this record');
  }
  const found = await byIdentifier(claims, profilesConfig(config), given);
  const [only, ...others] = found;
  if (only === undefined) throw unknown('no profile has this identifier');
  if (others.length === 0) return only;
  throw new HeadwaterError('INPUT_INVALID', `${found.length} profiles have this identifier`, {
    remedy: `Name one: ${found.slice(0, NAMED_MAX).join(', ')}.`,
  });
}

function unknown(what: string): HeadwaterError {
  return new HeadwaterError('INPUT_INVALID', what, {
    remedy:
      'Write a profile id, a record such as crm:Contact:003…, or an identifier; `npx headwater profiles` lists some.',
  });
}

/** Entities in their own order, so that a person comes before the consent under the same address. */
async function byIdentifier(claims: Claims, profiles: ProfilesConfig, given: string): Promise<string[]> {
  const phone = phoneNormaliser(profiles.region)(given);
  const values: Record<string, string | null> = {
    email: normaliseEmail(given),
    phone,
    domain: normaliseDomain(given),
  };
  for (const entity of entitiesOf(profiles).values()) {
    if (entity.name === 'consent') continue;
    const kinds = new Set(Object.values(entity.identifiers));
    for (const kind of kinds) {
      if (kind === undefined) continue;
      const value = kind in values ? values[kind] : given;
      if (value === null || value === undefined) continue;
      const found = await claims.find(entity.name, { kind, value });
      if (found.length > 0) return found;
    }
  }
  return [];
}
