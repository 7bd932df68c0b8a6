import { randomBytes } from 'node:crypto';
import type { ConflictRules } from '../../schemas/conflicts.ts';
import { conflictRulesSchema } from '../../schemas/conflicts.ts';
import type { ClaimValue, Identifier, Observation, RecordRef } from '../../schemas/observation.ts';
import type { Cause, Claims } from '../../stores/claims/claims.ts';
import type { ClaimsOptions } from '../../stores/claims/store.ts';

/** Values for tests of any claims store, and of any process that writes to one. */
export const NOW = '2026-11-20T00:00:00.000Z';
export const masterKey = randomBytes(32);

export const minute = (count: number) => new Date(Date.UTC(2026, 10, 1, 0, count)).toISOString();

export function cause(count: number, more: Partial<Cause> = {}): Cause {
  return { via: 'poll', run: `run-${count}`, actor: null, reason: null, at: minute(count), ...more };
}

export const ref = (source: string, record: string): RecordRef => ({ source, object: 'Contact', record });

export const email = (value: string): Identifier => ({ kind: 'email', value });

/** A contact's version as of minute `stamp`, with its e-mail address as identifier when it has one. */
export function seen(
  source: string,
  record: string,
  stamp: number,
  fields: Record<string, ClaimValue>,
  more: Partial<Observation> = {},
): Observation {
  const address = fields['email'];
  return {
    entity: 'contact',
    ref: ref(source, record),
    stamp: minute(stamp),
    version: '',
    deleted: false,
    fields,
    identifiers: typeof address === 'string' ? [email(address)] : [],
    confirmedAt: minute(stamp),
    rowHash: `${record}@${stamp}`,
    ...more,
  };
}

export const gone = (source: string, record: string, stamp: number): Observation =>
  seen(source, record, stamp, {}, { deleted: true });

export const rules = (more: Record<string, unknown> = {}): ConflictRules =>
  conflictRulesSchema.parse({ profile: 'contact', ...more });

export function options(more: Partial<ClaimsOptions> = {}): ClaimsOptions {
  return { rules: new Map([['contact', rules()]]), now: () => NOW, ...more };
}

export interface ClaimsStore {
  /** May be called several times, as several processes would. */
  open(more?: Partial<ClaimsOptions>): Promise<Claims>;
  destroy(): Promise<void>;
}

export interface ClaimsFactory {
  name: string;
  /** A fresh, empty store. */
  create(): Promise<ClaimsStore>;
}

/** The golden values of every live profile as text: what must be equal for equal sets of observations (I1). */
export async function goldenText(claims: Claims): Promise<string> {
  const all = [];
  for (let after: string | undefined; ;) {
    const page = await claims.profiles({ limit: 100, ...(after === undefined ? {} : { after }) });
    const last = page.at(-1);
    if (last === undefined) break;
    all.push(...page);
    after = last.profile;
  }
  const texts = all
    .filter(({ records }) => records.length > 0)
    .map(({ records, fields, deleted }) => {
      const refs = records.map((record) => `${record.source}:${record.record}:${record.deleted}`).toSorted();
      return JSON.stringify({ refs, deleted, fields });
    });
  return texts.toSorted().join('\n');
}

export async function applyAll(claims: Claims, observations: Observation[], count = 1): Promise<void> {
  await claims.apply({ id: null, observations, cause: cause(count) });
}

export const CRASH_KEY = Buffer.alloc(32, 9);
const CRASH_ROWS = 700;

/** Some transactions' worth: new people in two systems, and changes of those before. */
export function crashBatch(number: number): Observation[] {
  return Array.from({ length: CRASH_ROWS }, (_, row) => {
    const person = number * 200 + (row % 400);
    const source = row % 2 === 0 ? 'a' : 'b';
    return seen(source, `${person >> 1}`, number + 1, {
      email: `p${person >> 1}@x.org`,
      name: `Name ${number} of ${row % 3}`,
    });
  });
}
