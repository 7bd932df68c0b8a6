import type { CustomRule } from '../../rules/golden/compile.ts';
import type { ConflictRules } from '../../schemas/conflicts.ts';
import type { Claims } from './claims.ts';
import { masterKeyFrom } from './master-key.ts';
import { openSqliteClaims } from './sqlite.ts';

/** What a configuration says of the claims store; `rules` are put into force for entities that have none yet. */
export interface ClaimsConfig {
  path: string;
  keyPath: string;
  rules: readonly ConflictRules[];
  custom: ReadonlyMap<string, CustomRule>;
}

export async function openClaims({ path, keyPath, rules, custom }: ClaimsConfig): Promise<Claims> {
  return openSqliteClaims({
    path,
    masterKey: await masterKeyFrom(keyPath),
    rules: new Map(rules.map((one) => [one.profile, one])),
    custom,
    now: () => new Date().toISOString(),
  });
}
