import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';

const FOLDER = join(import.meta.dirname, 'histories');
const histories = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));

let workflowBundle: WorkflowBundle;
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  workflowBundle = await bundleWorkflowCode({
    workflowsPath: new URL('../../workflows/index.ts', import.meta.url).pathname,
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  });
}, 120_000);

test('every workflow has saved histories', () => {
  const index = readFileSync(new URL('../../workflows/index.ts', import.meta.url), 'utf8');
  const workflows = [...index.matchAll(/from '\.\/([\w-]+)\.ts'/g)].map(([, name = '']) => name);
  expect(workflows).toContain('sync-connection');
  expect(workflows.filter((workflow) => !histories.some((name) => name.startsWith(workflow)))).toEqual([]);
});

test.each(histories)('%s replays: runs in flight survive a deploy', async (name) => {
  const history: unknown = JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));
  await Worker.runReplayHistory({ workflowBundle, replayName: name }, history);
});
