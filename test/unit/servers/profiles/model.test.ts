import { describe, expect, test } from '@jest/globals';
import {
  array,
  assert,
  boolean,
  constantFrom,
  dictionary,
  double,
  jsonValue,
  oneof,
  property,
  record,
  string,
  subarray,
} from 'fast-check';
import { apiProfileSchema } from '../../../../schemas/api/profile.ts';
import { contact } from '../../../../schemas/entities/contact.ts';
import type { Classification } from '../../../../schemas/entities/entity.ts';
import { claimValueSchema } from '../../../../schemas/observation.ts';
import type { GoldenField } from '../../../../schemas/profile.ts';
import { agesOf, answerText, tagOf, type View } from '../../../../servers/profiles/answer.ts';
import { isMasked } from '../../../../rules/consent.ts';
import { sightOf, type Sight } from '../../../../servers/profiles/mask.ts';
import { parseModel, textOf, type Model } from '../../../../servers/profiles/model.ts';
import type { ServedProfile } from '../../../../stores/claims/serving.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 8);
const AT = new Date(NOW_MS - 60_000).toISOString();
const REF = { source: 'crm', object: 'Contact', record: '003\t"\n' };
const CLASSES: Classification[] = ['business', 'identifier', 'personal', 'sensitive'];

const SIGHT: Sight = sightOf({
  name: 'test',
  hash: '',
  scopes: ['read'],
  sees: CLASSES,
  consents: [],
  allowChanges: false,
  entities: undefined,
  perSecond: 1,
  burst: 1,
});

function golden(value: unknown, more: Partial<GoldenField> = {}): GoldenField {
  return {
    value: claimValueSchema.parse(value),
    ref: REF,
    claim: 'c_1',
    kind: 'explicit',
    confidence: 1,
    changedAt: AT,
    decidedBy: 'latest',
    contested: false,
    tied: false,
    ...more,
  };
}

function served(fields: Record<string, GoldenField>, version = 3): ServedProfile {
  const profile = {
    profile: 'p_1',
    entity: 'contact',
    version,
    seq: 1,
    deleted: false,
    mergedInto: null,
    fields,
    records: [{ ...REF, deleted: false }],
    updatedAt: AT,
  };
  return { profile, aliases: ['p_2'], confirmedAt: [AT], unconfirmed: [] };
}

function modelOf(fields: Record<string, GoldenField>, denied: string[] = []): Model {
  const model = parseModel(textOf(served(fields), contact, denied));
  if (model === null) throw new Error('what was written cannot be read');
  return model;
}

function read(model: Model, sight: Sight = SIGHT, nowMs = NOW_MS) {
  const view: View = { sight, freshness: null, nowMs, unread: [] };
  const text = answerText(model, view, agesOf(model, view), null);
  return { text, body: apiProfileSchema.parse(JSON.parse(text)) };
}

const name = constantFrom(
  ...Object.keys(contact.fields),
  'custom__c',
  'with "quotes"\tand\nlines',
  '__proto',
);
/** The schemas, and so every mapping, drop keys of this name. */
const value = oneof(string(), string({ unit: 'grapheme' }), jsonValue({ noUnicodeString: false })).filter(
  (one) => !JSON.stringify(one).includes('__proto__'),
);

describe('the read model', () => {
  test('law: whatever the values are, the answer holds exactly these', () => {
    assert(
      property(dictionary(name, value), (values) => {
        const plain = JSON.parse(JSON.stringify(values)) as Record<string, unknown>;
        const fields = Object.fromEntries(Object.entries(plain).map(([key, one]) => [key, golden(one)]));
        const { body } = read(modelOf(fields));
        const back = Object.fromEntries(Object.entries(body.fields).map(([key, one]) => [key, one.value]));
        expect(back).toEqual(plain);
        expect(body.links).toEqual([{ ...REF, deleted: false }]);
        expect(body.aliases).toEqual(['p_2']);
      }),
    );
  });

  test('law: no text of a masked value is in the answer, whatever is masked and denied', () => {
    const masks = record({
      sees: subarray(CLASSES),
      consents: subarray(['emailMarketing', 'sharing']),
      denied: subarray(['emailMarketing', 'sharing', 'profiling', 'smsMarketing']),
      inferred: array(boolean(), { minLength: 30, maxLength: 30 }),
      chosen: subarray(Object.keys(contact.fields)),
    });
    assert(
      property(masks, ({ sees, consents, denied, inferred, chosen }) => {
        const fields = Object.fromEntries(
          Object.keys(contact.fields).map((key, at) => [
            key,
            golden(`canary-${key}-value`, inferred[at] === true ? { kind: 'inferred', confidence: 0.5 } : {}),
          ]),
        );
        const sight: Sight = {
          ...SIGHT,
          sees,
          consents,
          fields: chosen.length === 0 ? null : new Set(chosen),
        };
        const model = modelOf(fields, denied);
        const { text, body } = read(model, sight);
        for (const piece of model.fields) {
          const isAsked = chosen.length === 0 || chosen.includes(piece.name);
          const masked = isMasked(piece, sight, denied);
          expect(text.includes(`canary-${piece.name}-value`)).toBe(isAsked && !masked);
          expect(body.redactions.includes(piece.name)).toBe(isAsked && masked);
        }
        const shown = model.fields.filter(({ name: key }) => key in body.fields);
        for (const { classification, kind } of shown) {
          expect(sees).toContain(classification);
          if (denied.includes('profiling')) expect(kind).toBe('explicit');
          if (consents.some((flag) => denied.includes(flag))) expect(classification).toBe('business');
        }
      }),
      { numRuns: 200 },
    );
  });

  test('a field of no schema is sensitive', () => {
    const model = modelOf({ custom__c: golden('x') });
    const plain: Sight = { ...SIGHT, sees: ['business', 'identifier', 'personal'] };
    expect(read(model, plain).body.redactions).toEqual(['custom__c']);
  });

  test('law: a tag tells versions, states and sights apart, and nothing else', () => {
    const some = record({
      version: constantFrom(1, 2),
      sees: subarray(CLASSES),
      age: double({ min: 0, max: 1e6, noNaN: true }),
    });
    assert(
      property(some, some, (left, right) => {
        const tag = ({ version, sees, age }: typeof left) => {
          const model = parseModel(textOf(served({ email: golden('a@b.c') }, version), contact, []));
          const sight = sightOf({
            name: 'k',
            hash: '',
            scopes: [],
            consents: [],
            allowChanges: false,
            entities: undefined,
            sees,
            perSecond: 1,
            burst: 1,
          });
          return model === null
            ? ''
            : tagOf(model, { sight, freshness: null, nowMs: NOW_MS + age, unread: [] }, 'fresh');
        };
        const same = left.version === right.version && left.sees.join() === right.sees.join();
        expect(tag(left) === tag(right)).toBe(same);
      }),
    );
  });

  test('an override is as old as it is and never stale; a combined value is as old as the oldest record', () => {
    const model = modelOf({
      email: golden('a@b.c', { ref: null, claim: 'o_1', decidedBy: 'override' }),
      phone: golden('+43', { ref: null, claim: null, decidedBy: 'union of 2' }),
    });
    const later = NOW_MS + 30 * 86_400_000;
    const { body } = read(model, SIGHT, later);
    expect(body.fields['email']).toMatchObject({ stale: false, source: null, observed_at: AT });
    expect(body.fields['phone']).toMatchObject({ stale: true });
  });

  test('a pending value says so', () => {
    const { body } = read(modelOf({ email: golden('a@b.c', { pending: true }) }));
    expect(body.fields['email']?.pending).toBe(true);
  });

  test('what somebody else wrote is a miss', () => {
    for (const text of ['', 'x', '{"records":1}', 'null']) expect(parseModel(text)).toBeNull();
  });
});
