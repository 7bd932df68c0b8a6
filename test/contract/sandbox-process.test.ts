import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

interface Listening {
  readonly event: string;
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret?: string;
  readonly pid: number;
}

let folder: string;
let child: ChildProcess | undefined;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
});
afterAll(async () => {
  for (const one of children) one.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

async function start(extra: readonly string[], secret?: string): Promise<Listening> {
  const flags = ['--records', '500', '--seed', '7', '--state', join(folder, 'state.ndjson'), ...extra];
  const env = { ...process.env, ...(secret === undefined ? {} : { SANDBOX_CLIENT_SECRET: secret }) };
  const started = spawn(process.execPath, ['sandbox/main.ts', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  child = started;
  children.push(started);
  for await (const line of createInterface({ input: started.stdout })) {
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

async function truth(url: string): Promise<string> {
  return (await fetch(`${url}/__sandbox/truth?object=Contact`)).text();
}

async function stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  child?.kill(signal);
  if (child !== undefined)
    expect((await once(child, 'exit'))[signal === 'SIGTERM' ? 0 : 1]).toBe(
      signal === 'SIGTERM' ? 0 : 'SIGKILL',
    );
}

test('changes, schema, clock and pending rows survive a kill -9', async () => {
  const first = await start([], 'kept-secret');
  expect(first).toMatchObject({ event: 'listening', clientId: 'sandbox-client', pid: child?.pid });
  expect(first.clientSecret).toBeUndefined();
  await post(first.url, 'update', { object: 'Contact', row: 3, values: { Title: 'survivor' } });
  await post(first.url, 'delete', { object: 'Contact', row: 4 });
  await post(first.url, 'create', { object: 'Contact', values: { LastName: 'Born' } });
  await post(first.url, 'add-field', {
    object: 'Contact',
    added: { name: 'Extra__c', type: 'string', filled: true },
  });
  await post(first.url, 'clock', { advanceMs: 3_600_000 });
  await post(first.url, 'living', { steps: 100 });
  const visibleAt = Date.now() + 2 * 3_600_000;
  await post(first.url, 'update', { object: 'Contact', row: 5, values: { Title: 'to come' }, visibleAt });
  const before = await truth(first.url);
  expect(before).toContain('survivor');
  expect(before).not.toContain('to come');
  await stop('SIGKILL');
  const second = await start([], 'kept-secret');
  expect(await truth(second.url)).toBe(before);
  await post(second.url, 'clock', { advanceMs: 2 * 3_600_000 });
  expect(await truth(second.url)).toContain('to come');
  await stop('SIGTERM');
});

test('a living sandbox changes by itself, and prints a generated secret', async () => {
  const started = await start(['--living', '6000', '--state', join(folder, 'other.ndjson')]);
  expect(started.clientSecret).toMatch(/^[\w-]{20,}$/);
  const before = await truth(started.url);
  await sleep(1200);
  expect(await truth(started.url)).not.toBe(before);
  await stop('SIGTERM');
});
