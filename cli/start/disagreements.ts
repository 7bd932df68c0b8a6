import type { Config } from '../../config/schema.ts';
import type { GoldenField, GoldenProfile } from '../../schemas/profile.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import type { Output } from '../output.ts';
import { nameOf, valueText } from '../profile-words.ts';
import { entitiesOf } from '../../config/profiles.ts';

/** Profiles that are looked at for the screen, and lines shown. */
const LOOKED_AT_MAX = 200;
const LINES_MAX = 6;
/** What every newcomer knows the meaning of comes first. */
const TELLING = ['jobTitle', 'phone', 'mobilePhone', 'email', 'lastName', 'city', 'company', 'department'];

/** Something to try next. */
export interface Example {
  email: string;
  field: string;
}

interface Disagreement {
  profile: GoldenProfile;
  field: string;
  golden: GoldenField;
  others: string[];
}

/** The newest profiles in which systems disagree: what holds, why, and instead of what. Returns an e-mail address to try next. */
export async function showDisagreements(
  output: Output,
  claims: Claims,
  config: Config,
): Promise<Example | undefined> {
  const found = await disagreements(claims, config);
  if (found.length === 0) return undefined;
  output.line();
  output.line('Where the systems disagree about one customer:');
  output.line();
  output.table(
    [
      { title: 'customer' },
      { title: 'field' },
      { title: 'holds' },
      { title: 'from' },
      { title: 'because' },
      { title: 'instead of' },
    ],
    found.map(({ profile, field, golden, others }) => [
      nameOf(profile),
      field,
      output.style('green', valueText(golden.value)),
      golden.ref?.source ?? '–',
      golden.decidedBy,
      output.style('dim', others.join(', ')),
    ]),
  );
  for (const { profile, field } of found) {
    const email = profile.fields['email']?.value;
    if (typeof email === 'string' && email !== '') return { email, field };
  }
  return undefined;
}

async function disagreements(claims: Claims, config: Config): Promise<Disagreement[]> {
  const found: Disagreement[] = [];
  const references = new Set(
    [...entitiesOf(config.profiles ?? { entities: [] }).values()].flatMap((entity) =>
      Object.keys(entity.references ?? {}),
    ),
  );
  for (const profile of await claims.contested({ entity: 'contact', limit: LOOKED_AT_MAX })) {
    const fields = Object.entries(profile.fields)
      .filter(([field, { contested }]) => contested && !references.has(field) && TELLING.includes(field))
      .toSorted(([a], [b]) => TELLING.indexOf(a) - TELLING.indexOf(b));
    const [first] = fields;
    if (first === undefined) continue;
    const [field, golden] = first;
    const why = await claims.explain(profile.profile, field);
    const others = (why?.considered ?? [])
      .filter(
        ({ outcome, value }) => outcome === 'lost' && JSON.stringify(value) !== JSON.stringify(golden.value),
      )
      .map(({ value, ref }) => `${valueText(value)} (${ref.source})`);
    if (others.length === 0) continue;
    found.push({ profile, field, golden, others: [...new Set(others)] });
    if (found.length >= LINES_MAX * 4) break;
  }
  return spread(found);
}

/** One line per field first, so that different rules are seen. */
function spread(found: Disagreement[]): Disagreement[] {
  const firsts = found.filter((one, at) => found.findIndex(({ field }) => field === one.field) === at);
  return [...firsts, ...found.filter((one) => !firsts.includes(one))].slice(0, LINES_MAX);
}
