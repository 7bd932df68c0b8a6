import { dirname, join } from 'node:path';
import type { CustomRule } from '../../rules/golden/compile.ts';
import type { LinkGuards } from '../../rules/identity/guards.ts';
import type { ConflictRules } from '../../schemas/conflicts.ts';
import type { Entity } from '../../schemas/entities/entity.ts';
import type { LedgerPlace } from '../place.ts';
import type { Claims } from './claims.ts';
import { masterKeyFrom } from './master-key.ts';
import { openPostgresClaims } from './postgres.ts';
import { openSqliteClaims } from './sqlite.ts';

/** What a configuration says of the claims store; `rules` are put into force for entities that have none yet. */
export interface ClaimsConfig {
  /** The kind of the ledger is that of the claims; without it the embedded one. */
  place?: LedgerPlace;
  /** The file of the embedded store; beside it lies the end of the chain of either. */
  path: string;
  keyPath: string;
  rules: readonly ConflictRules[];
  custom: ReadonlyMap<string, CustomRule>;
  links?: LinkGuards;
  entities?: readonly Entity[];
  /** In Postgres: INPUT_INVALID instead of making it. */
  existing?: boolean;
}

export async function openClaims(config: ClaimsConfig): Promise<Claims> {
  const { place, path, custom, existing = false } = config;
  const options = {
    masterKey: await masterKeyFrom(config.keyPath),
    rules: new Map(config.rules.map((one) => [one.profile, one])),
    custom,
    ...(config.links && { guards: config.links }),
    ...(config.entities && { entities: config.entities }),
    now: () => new Date().toISOString(),
  };
  if (place === undefined || place.kind === 'sqlite') return await openSqliteClaims({ ...options, path });
  const headPath = join(dirname(path), 'claims-postgres.head');
  return await openPostgresClaims({ ...options, ...place, headPath, existing });
}
