/** A worker that is killed in the middle of a write-back: its systems are written to once, and the change is confirmed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Failpoint } from '../../activities/failpoints.ts';
import { CRM, TUNING } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';
import { HUB, startTwoSystems, type TwoSystems } from '../support/two-systems.ts';

const TEST_MS_MAX = 60_000;

let temporal: TestTemporal;
let two: TwoSystems;

beforeAll(async () => {
  temporal = await withTemporal();
  two = await startTwoSystems(temporal, { writeBack: { jobTitle: [CRM, HUB], department: [CRM] } });
}, 120_000);

afterAll(async () => {
  await two.close();
  await temporal.stop();
});

/** As the route does, with heartbeats that notice a dead worker soon. */
async function ask(
  index: number,
  number: number,
  values: Record<string, string>,
  targets: string[],
): Promise<string> {
  const { profile } = await two.profile(index);
  const { contact, hub } = two.customer(index);
  const id = `ch_${String(number).padStart(32, '0')}`;
  const at = new Date().toISOString();
  const fields = Object.keys(values);
  const refs = [
    { source: CRM, object: 'Contact', record: contact, fields },
    { source: HUB, object: 'contacts', record: hub, fields },
  ].filter(({ source }) => targets.includes(source));
  await two.claims.propose(
    profile,
    { id, kind: 'explicit', values, targets: refs },
    { via: 'api', run: `change/${id}`, actor: 'bot', reason: 'told', at },
  );
  const { taskQueue } = two.pipeline.loaded.config.temporal;
  await two.pipeline.client.workflow.start('writeBack', {
    ...{ workflowId: `change/${id}`, taskQueue },
    args: [{ change: id, tuning: TUNING }],
  });
  return id;
}

/** The next worker dies at this boundary; the one after it goes on. */
async function killedAt(failpoint: Failpoint, work: () => Promise<string>): Promise<string> {
  const worker = await two.pipeline.start({ HEADWATER_FAILPOINT: failpoint });
  const id = await work();
  expect(await worker.ended).toBe('SIGKILL');
  await two.pipeline.start();
  return id;
}

test.each<[Failpoint, number]>([
  ['write:sent', 1],
  ['write:noted', 2],
  ['write:read', 3],
])(
  'killed at %s: at most one write to each system, and it ends confirmed',
  async (failpoint, index) => {
    const before = two.writes();
    const id = await killedAt(failpoint, () => ask(index, index, { jobTitle: `Chief ${index}` }, [CRM, HUB]));
    expect(await two.settled(id)).toMatchObject({ state: 'confirmed' });
    expect(two.writes()).toEqual({ crm: before.crm + 1, hub: before.hub + 1 });
    expect(two.pipeline.sandbox.data.get('Contact', index)?.values['Title']).toBe(`Chief ${index}`);
    const golden = (await two.profile(index)).fields['jobTitle'];
    expect([golden?.value, golden?.pending]).toEqual([`Chief ${index}`, undefined]);
    expect(await two.claims.verify()).toMatchObject({ ok: true });
  },
  TEST_MS_MAX,
);

test(
  'killed between writing and noting, with a trigger that changed the value: not written again',
  async () => {
    two.pipeline.sandbox.behaviour.triggers = [{ object: 'Contact', field: 'Department', to: 'upper' }];
    const before = two.writes();
    const id = await killedAt('write:sent', () => ask(4, 4, { department: 'sales' }, [CRM]));
    expect(await two.settled(id)).toMatchObject({
      state: 'confirmed',
      targets: [{ adjusted: ['department'] }],
    });
    expect(two.writes().crm).toBe(before.crm + 1);
    expect((await two.profile(4)).fields['department']?.value).toBe('SALES');
  },
  TEST_MS_MAX,
);

test(
  'proposed, and nobody was there to begin: the server starts it as soon as it looks',
  async () => {
    const { profile } = await two.profile(5);
    const { contact } = two.customer(5);
    const id = `ch_${'5'.padStart(32, '0')}`;
    const targets = [{ source: CRM, object: 'Contact', record: contact, fields: ['jobTitle'] }];
    await two.claims.propose(
      profile,
      { id, kind: 'explicit', values: { jobTitle: 'Late' }, targets },
      { via: 'api', run: `change/${id}`, actor: 'bot', reason: 'told', at: new Date().toISOString() },
    );
    expect(await two.settled(id)).toMatchObject({ state: 'confirmed' });
  },
  TEST_MS_MAX,
);
