/** `headwater retry`, as the remedies name it: what failed is told once, with its documented exit code, and goes on where it stopped. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { headwater } from '../support/headwater.ts';
import { openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 300, Account: 40 } },
    connection: { objects: ['Contact', 'Account'] },
  });
  await pipeline.start();
  pipeline.pass();
}, 120_000);
afterAll(async () => {
  await pipeline.close();
  await temporal.stop();
});

/** Lines that begin with the code; the table has it in the object's row. */
const told = (stderr: string) =>
  stderr.split('\n').filter((line) => line.startsWith('✗ TOO_MANY_BAD_ROWS Contact'));

test('one of two objects fails, is tried again in vain, and lands once it may', async () => {
  const { data, living } = pipeline.sandbox;
  expect((await headwater(pipeline, 'npx headwater sync crm')).code).toBe(0);
  const nothing = await headwater(pipeline, 'npx headwater retry crm');
  expect([nothing.code, nothing.stdout.trim()]).toEqual([
    0,
    'crm: nothing failed that has not landed since.',
  ]);

  living.run(100);
  for (let row = 0; row < 150; row += 1) data.setRaw('Contact', row, 'Birthdate', 'soon');
  pipeline.pass();
  const partial = await headwater(pipeline, 'npx headwater sync crm');
  expect([partial.code, told(partial.stderr)]).toEqual([3, [expect.stringContaining('retry crm')]]);
  // Now all that is asked for fails: failed, not partial.
  const vain = await headwater(pipeline, 'npx headwater retry crm');
  expect([vain.code, told(vain.stderr)]).toEqual([1, [expect.stringContaining('retry crm')]]);
  expect(vain.stderr.match(/TOO_MANY_BAD_ROWS/g)).toHaveLength(1);
  expect(vain.stderr).toContain('crm: trying Contact again.');
  expect(await pipeline.oracle('Account')).toEqual([]);

  for (let row = 0; row < 150; row += 1) data.setRaw('Contact', row, 'Birthdate', null);
  pipeline.pass();
  const mended = await headwater(pipeline, 'npx headwater retry crm');
  expect([mended.code, mended.stdout]).toEqual([0, expect.stringContaining('✓ proven')]);
  expect(await pipeline.oracle('Contact')).toEqual([]);
});
