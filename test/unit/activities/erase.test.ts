import { expect, test } from '@jest/globals';
import type { Dependencies } from '../../../activities/dependencies.ts';
import { pendingWindows } from '../../../activities/erase.ts';
import { closureOf } from '../../../activities/erase-subject.ts';
import { mapTo } from '../../../mapping/mapping.ts';
import { consent, contact } from '../../../schemas/entities/index.ts';
import { eraseInputSchema } from '../../../schemas/inputs.ts';
import type { RecordRef } from '../../../schemas/observation.ts';
import type { Subject } from '../../../stores/claims/claims.ts';

const UNTIL = '2026-11-20T09:00:00.000Z';
const LATER = '2026-11-20T09:30:00.000Z';
const REQUEST = eraseInputSchema.parse({ profile: 'p_1', actor: 'a', reason: 'r' });
const ref = (source: string, object: string, record: string): RecordRef => ({ source, object, record });

function subject(
  profile: string,
  entity: string,
  records: RecordRef[],
  more: Partial<Subject> = {},
): Subject {
  const rest = { identifiers: [], formerly: [], events: 1, newest: 1 };
  return { entity, profiles: [profile], records, ...rest, ...more };
}

interface Given {
  subjects: Subject[];
  open?: { object: string; createdAt: string; runId: string }[];
  staged?: { object: string; createdAt: string; sink: string }[];
  closedRuns?: string[];
}

/** Only what these steps ask for; anything else is not there and fails. */
function bench({ subjects, open = [], staged = [], closedRuns = [] }: Given) {
  const told: string[] = [];
  const mappings = [
    mapTo(contact, { fields: { email: 'Email' } }),
    mapTo(consent, { part: 'consent', fields: { email: 'Email' } }),
  ];
  const dependencies = {
    sink: 'warehouse',
    profiles: {
      mappings: () => mappings,
      claims: {
        subject: (id: string) =>
          Promise.resolve(subjects.find(({ profiles }) => profiles.includes(id)) ?? null),
        profileOf: (of: RecordRef) =>
          Promise.resolve(
            subjects.find(({ records }) => records.some((one) => JSON.stringify(one) === JSON.stringify(of)))
              ?.profiles[0] ?? null,
          ),
      },
    },
    ledger: {
      openWindows: () =>
        Promise.resolve(
          open.map(({ runId, ...window }, at) => ({
            ...window,
            id: `w_${at}`,
            attempt: 2,
            slices: [{ slice: 0 }, { slice: 1 }],
            owner: { workflowId: 'sync/crm', runId },
          })),
        ),
      undelivered: (sink: string) => Promise.resolve(staged.filter((window) => window.sink === sink)),
      restartSlice: (window: string, attempt: number, slice: number) => {
        told.push(`restart ${window} ${attempt} ${slice}`);
        return Promise.resolve();
      },
    },
    stage: {
      remove: (window: string) => {
        told.push(`remove ${window}`);
        return Promise.resolve();
      },
    },
    closedOwners: (owners: { runId: string }[]) =>
      Promise.resolve(owners.filter(({ runId }) => closedRuns.includes(runId))),
  };
  return { dependencies: dependencies as unknown as Dependencies, told };
}

const PERSON = [
  subject('p_1', 'contact', [ref('crm', 'Contact', '1'), ref('hub', 'contacts', '7')]),
  subject('p_2', 'consent', [ref('crm', 'Contact/consent', '1')]),
];

test('what was read before has to land or end; what is planned later, or of other objects, is not waited for', async () => {
  const { dependencies, told } = bench({
    subjects: PERSON,
    open: [
      { object: 'Contact', createdAt: UNTIL, runId: 'alive' },
      { object: 'Contact', createdAt: UNTIL, runId: 'dead' },
      { object: 'Contact', createdAt: LATER, runId: 'alive' },
      { object: 'Lead', createdAt: UNTIL, runId: 'dead' },
    ],
    staged: [
      { object: 'Contact', createdAt: UNTIL, sink: 'warehouse' },
      { object: 'Lead', createdAt: UNTIL, sink: 'claims' },
      { object: 'contacts', createdAt: UNTIL, sink: 'claims' },
    ],
    closedRuns: ['dead'],
  });
  expect(await pendingWindows(dependencies, REQUEST, UNTIL)).toEqual({
    moving: 1,
    deliver: ['crm'],
    reconcile: ['hub'],
  });
  expect(told).toEqual(expect.arrayContaining(['restart w_1 2 0', 'restart w_1 2 1', 'remove w_1']));
  expect(told.some((line) => line.includes('w_2') || line.includes('w_3'))).toBe(false);
});

test('the consent of the same records goes along, the named profile last', async () => {
  const { dependencies } = bench({ subjects: PERSON });
  const { profiles } = dependencies;
  const closure = profiles === undefined ? null : await closureOf(profiles, 'p_1');
  expect(closure?.subjects.map(({ profiles: [id] }) => id)).toEqual(['p_2', 'p_1']);
  expect(closure?.splits).toEqual([]);
  expect(closure?.raw).toEqual([
    { connection: 'crm', object: 'Contact', records: ['1'] },
    { connection: 'hub', object: 'contacts', records: ['7'] },
  ]);
  // Whoever names the part means the person.
  const byPart = profiles === undefined ? null : await closureOf(profiles, 'p_2');
  expect(byPart?.raw).toEqual(closure?.raw);
});

test('a consent that somebody else shares is parted first, and only the subject’s side goes', async () => {
  const others = ref('crm', 'Contact/consent', '2');
  const [person] = PERSON;
  const shared = subject('p_2', 'consent', [ref('crm', 'Contact/consent', '1'), others]);
  const { dependencies } = bench({ subjects: person === undefined ? [] : [person, shared] });
  const { profiles } = dependencies;
  const closure = profiles === undefined ? null : await closureOf(profiles, 'p_1');
  expect(closure?.splits).toEqual([[ref('crm', 'Contact/consent', '1'), others]]);
  expect(closure?.subjects[0]).toMatchObject({ profiles: [], formerly: ['p_2'] });
  expect(closure?.raw.flatMap(({ records }) => records)).toEqual(['1', '7']);
});
