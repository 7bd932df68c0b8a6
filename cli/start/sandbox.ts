import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { startProcess, type RunningProcess } from '../dev/processes.ts';
import { moduleFile } from '../module-file.ts';

const MAIN = moduleFile('sandbox/main');
const CLIENT_ID = 'headwater-demo';
/** The demo org changes this often, so that a second sync half a minute later has something to show. */
const CHANGES_PER_MINUTE = 240;
const RECORDS = 20_000;
const SEED = 7;

/** The one line that the sandbox prints when it answers. */
const listening = z
  .string()
  .startsWith('{')
  .transform((line): unknown => JSON.parse(line))
  .pipe(z.object({ event: z.literal('listening'), url: z.string() }));

export interface DemoSandbox {
  url: string;
  process: RunningProcess;
}

/**
 * Starts the Salesforce-compatible sandbox and leaves its address and credentials as files in the home, where the demo's
 * configuration refers to them. Its edits survive a restart, so that the next start is incremental.
 */
export async function startDemoSandbox(options: {
  home: string;
  records: number | undefined;
  env: NodeJS.ProcessEnv;
  onSpawn: (pid: number) => void;
}): Promise<DemoSandbox> {
  const { home, env } = options;
  const folder = join(home, 'sandbox');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const secret = keptSecret(join(folder, 'client-secret'));
  const records = keptNumber(join(folder, 'records'), options.records);
  const started = await startProcess({
    name: 'The sandbox',
    command: process.execPath,
    args: [
      MAIN,
      ...['--records', String(records), '--seed', String(SEED), '--living', String(CHANGES_PER_MINUTE)],
      ...['--state', join(folder, 'changes.ndjson'), '--client-id', CLIENT_ID],
    ],
    env: { ...env, SANDBOX_CLIENT_SECRET: secret },
    logPath: join(home, 'logs', 'sandbox.log'),
    ready: (line) => listening.safeParse(line).data,
  });
  options.onSpawn(started.pid);
  writePrivate(join(folder, 'url'), started.value.url);
  writePrivate(join(folder, 'client-id'), CLIENT_ID);
  return { url: started.value.url, process: started };
}

function keptSecret(path: string): string {
  if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  const secret = randomBytes(24).toString('base64url');
  writePrivate(path, secret);
  return secret;
}

/** The size of the data set is part of its identity: another one would be another org. */
function keptNumber(path: string, asked: number | undefined): number {
  if (asked === undefined && existsSync(path)) return Number(readFileSync(path, 'utf8'));
  const number = asked ?? RECORDS;
  writePrivate(path, String(number));
  return number;
}

function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
}
