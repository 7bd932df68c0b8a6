import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { openInbox } from '../../stores/inbox/open.ts';
import { CRM } from './inbox-fixture.ts';

const ROUNDS = 6;
const CHILD = fileURLToPath(new URL('inbox-crash-child.ts', import.meta.url));

async function workAndKill(path: string, name: string): Promise<string[]> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CHILD, path, name]);
  const exit = once(child, 'close');
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (output += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part));
  await Promise.race([once(child.stdout, 'data'), exit]);
  await sleep(20 + Math.random() * 100);
  child.kill('SIGKILL');
  await exit;
  expect(errors).toBe('');
  return output.split('\n').slice(0, -1);
}

test('I2: what was acknowledged is there after SIGKILL at any point, whole callers only, and counted right', async () => {
  const root = await mkdtemp(join(tmpdir(), 'inbox-crash-'));
  const path = join(root, 'inbox.db');
  const acknowledged: string[] = [];
  const settled = new Set<string>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const line of await workAndKill(path, `child${round}`)) {
      if (line.startsWith('settled ')) settled.add(line.slice('settled '.length));
      else acknowledged.push(line);
    }
    const raw = new DatabaseSync(path);
    expect(raw.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    const kept = new Map(
      raw
        .prepare('SELECT id, state FROM events')
        .all()
        .map(({ id, state }) => [String(id), state]),
    );
    const counted = raw.prepare('SELECT waiting FROM connections').get();
    raw.close();
    for (const id of acknowledged) expect([kept.has(`${id}-1`), kept.has(`${id}-2`)]).toEqual([true, true]);
    for (const id of settled) expect(kept.get(id)).toBe(1);
    expect(kept.size % 2).toBe(0);
    expect(counted).toEqual({ waiting: [...kept.values()].filter((state) => state === 0).length });
  }
  expect(acknowledged.length).toBeGreaterThan(ROUNDS * 8);
  const inbox = await openInbox({ path, waitingMax: 1_000_000 });
  const [state] = await inbox.states();
  expect(await inbox.take(CRM, 0, 1_000_000)).toHaveLength(state?.waiting ?? -1);
  await inbox.close();
  await rm(root, { recursive: true });
});
