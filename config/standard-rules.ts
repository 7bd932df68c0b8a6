import type { ConflictRules, FieldRule } from '../schemas/conflicts.ts';

const LATEST: FieldRule = { prefer: [{ by: 'latest' }], blank: 'skip', onTie: 'stable' };
/** Explicit values before inferred ones, then the newest. */
const SAID: FieldRule = { prefer: [{ by: 'kind' }, { by: 'latest' }], blank: 'skip', onTie: 'stable' };
/** Allowed only if every source says so. */
const ALL: FieldRule = { combine: 'all', blank: 'skip', onTie: 'stable' };
const UNION: FieldRule = { combine: 'union', limit: 200, blank: 'skip', onTie: 'stable' };
const EARLIEST: FieldRule = { prefer: [{ by: 'min' }], blank: 'skip', onTie: 'stable' };

function rules(
  profile: string,
  fields: Record<string, FieldRule>,
  groups: Record<string, string[]> = {},
): ConflictRules {
  return {
    profile,
    clock: { maxSkewMs: 300_000 },
    defaults: SAID,
    fields,
    groups,
    deletes: { golden: 'all', undelete: 'newer-wins' },
  };
}

/** What applies to the shared schemas until a configuration says otherwise. An address survives as one unit. */
export const STANDARD_RULES: Readonly<Record<string, ConflictRules>> = {
  contact: rules(
    'contact',
    { email: SAID, phone: SAID, mobilePhone: SAID, score: LATEST, interests: UNION, createdAt: EARLIEST },
    { address: ['street', 'city', 'state', 'postalCode', 'country'] },
  ),
  account: rules(
    'account',
    { createdAt: EARLIEST },
    { address: ['street', 'city', 'state', 'postalCode', 'country'] },
  ),
  consent: rules('consent', {
    emailMarketing: ALL,
    phoneMarketing: ALL,
    smsMarketing: ALL,
    profiling: ALL,
    sharing: ALL,
    topics: UNION,
  }),
};
