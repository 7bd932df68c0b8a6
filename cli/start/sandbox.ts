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
/** The second system is smaller: for every ten records of the first, three. */
const HUBSPOT_SHARE = 0.3;
const SEED = 7;

/** The one line that the sandbox prints when it answers. */
const listening = z
  .string()
  .startsWith('{')
  .transform((line): unknown => JSON.parse(line))
  .pipe(z.object({ event: z.literal('listening'), url: z.string() }));

export interface DemoSandbox {
  /** Named as the run file names its process. */
  name: string;
  process: RunningProcess;
}

interface DemoOptions {
  home: string;
  records: number | undefined;
  env: NodeJS.ProcessEnv;
  onSpawn: (name: string, pid: number) => void;
}

/** Both systems of the demo, which know the same customers and disagree about them. All or none. */
export async function startDemoSandboxes(options: DemoOptions): Promise<DemoSandbox[]> {
  const started = await Promise.allSettled([startSalesforce(options), startHubspot(options)]);
  const running = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = started.find((one) => one.status === 'rejected');
  if (failed === undefined) return running;
  await Promise.all(running.map(({ process }) => process.stop(0)));
  throw failed.reason;
}

/**
 * The Salesforce-compatible sandbox. Its address and credentials are left as files in the home, where the demo's
 * configuration refers to them. Its edits survive a restart, so that the next start is incremental.
 */
async function startSalesforce({ home, records: asked, env, onSpawn }: DemoOptions): Promise<DemoSandbox> {
  const folder = folderIn(home, 'sandbox');
  const secret = keptSecret(join(folder, 'client-secret'));
  const records = keptNumber(join(folder, 'records'), asked);
  const started = await startProcess({
    name: 'The Salesforce sandbox',
    command: process.execPath,
    args: [MAIN, 'salesforce', ...living(records, folder), '--client-id', CLIENT_ID],
    env: { ...env, SANDBOX_CLIENT_SECRET: secret },
    logPath: join(home, 'logs', 'sandbox.log'),
    ready: (line) => listening.safeParse(line).data,
  });
  onSpawn('sandbox', started.pid);
  writePrivate(join(folder, 'url'), started.value.url);
  writePrivate(join(folder, 'client-id'), CLIENT_ID);
  return { name: 'Salesforce sandbox', process: started };
}

/** The HubSpot-compatible one: the same seed gives the same customers. */
async function startHubspot({ home, records: asked, env, onSpawn }: DemoOptions): Promise<DemoSandbox> {
  const folder = folderIn(home, 'sandbox', 'hubspot');
  const token = keptSecret(join(folder, 'token'));
  const records = keptNumber(join(home, 'sandbox', 'records'), asked);
  const own = Math.max(1, Math.round(records * HUBSPOT_SHARE));
  const started = await startProcess({
    name: 'The HubSpot sandbox',
    command: process.execPath,
    args: [MAIN, 'hubspot', ...living(own, folder), '--salesforce-records', String(records)],
    env: { ...env, SANDBOX_PRIVATE_TOKEN: token },
    logPath: join(home, 'logs', 'sandbox-hubspot.log'),
    ready: (line) => listening.safeParse(line).data,
  });
  onSpawn('sandbox-hubspot', started.pid);
  writePrivate(join(folder, 'url'), started.value.url);
  return { name: 'HubSpot sandbox', process: started };
}

function folderIn(...parts: string[]): string {
  const folder = join(...parts);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

function living(records: number, folder: string): string[] {
  return [
    ...['--records', String(records), '--seed', String(SEED), '--living', String(CHANGES_PER_MINUTE)],
    ...['--state', join(folder, 'changes.ndjson')],
  ];
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
