import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

interface Listening {
  readonly url: string;
  readonly clientSecret?: string;
  readonly privateToken?: string;
}

let folder: string;
let child: ChildProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hubspot-sandbox-'));
});
afterAll(async () => {
  child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

async function start(env: Readonly<Record<string, string>>): Promise<Listening> {
  const flags = ['--records', '400', '--seed', '7', '--state', join(folder, 'state.ndjson')];
  child = spawn(process.execPath, ['sandbox/main.ts', 'hubspot', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  for await (const line of createInterface({ input: child.stdout! })) {
    const parsed: Listening = JSON.parse(line);
    return parsed;
  }
  throw new Error('the sandbox ended before it listened');
}

async function post(url: string, name: string, body: unknown): Promise<string> {
  const answer = await fetch(`${url}/__sandbox/${name}`, { method: 'POST', body: JSON.stringify(body) });
  if (answer.status !== 200) throw new Error(await answer.text());
  return answer.text();
}

async function stateOf(url: string, token: string): Promise<string[]> {
  const truth = await (await fetch(`${url}/__sandbox/truth?object=contacts`)).text();
  const links = await fetch(`${url}/crm/associations/2026-03/contacts/companies/batch/read`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ inputs: Array.from({ length: 200 }, (_, n) => ({ id: String(51 + n * 50) })) }),
  });
  const { results }: { results: unknown } = JSON.parse(await links.text());
  return [truth, JSON.stringify(results)];
}

test('records, merges, associations and the clock survive a kill -9', async () => {
  const secrets = { SANDBOX_PRIVATE_TOKEN: 'kept-token', SANDBOX_CLIENT_SECRET: 'kept-secret' };
  const first = await start(secrets);
  expect([first.clientSecret, first.privateToken]).toEqual([undefined, undefined]);
  await post(first.url, 'update', { object: 'contacts', row: 3, values: { firstname: 'survivor' } });
  await post(first.url, 'archive', { object: 'contacts', row: 4 });
  await post(first.url, 'merge', { object: 'contacts', row: 5, other: 6 });
  await post(first.url, 'associate', { object: 'contacts', row: 7, to: 'companies', other: 9 });
  await post(first.url, 'clock', { advanceMs: 3_600_000 });
  await post(first.url, 'living', { steps: 200 });
  const before = await stateOf(first.url, 'kept-token');
  expect(before[0]).toContain('survivor');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const second = await start(secrets);
  expect(await stateOf(second.url, 'kept-token')).toEqual(before);
  child.kill('SIGTERM');
  expect((await once(child, 'exit'))[0]).toBe(0);
});
