import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { keyHash, newKey } from '../../config/keys.ts';
import { startProcess, type RunningProcess } from '../dev/processes.ts';
import { moduleFile } from '../module-file.ts';

const MAIN = moduleFile('sandbox/main');
const CLIENT_ID = 'headwater-demo';
/** The demo org changes this often, so that a second sync half a minute later has something to show. */
const CHANGES_PER_MINUTE = 60;
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
  /** Of the configuration. */
  connection: string;
  /** Named as the run file names its process. */
  name: string;
  process: RunningProcess;
  url: string;
}

interface DemoOptions {
  home: string;
  /** Where changes are pushed to, with the connection's name behind it; absent: nothing is pushed. */
  webhooksUrl?: string;
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
async function startSalesforce({
  home,
  records: asked,
  env,
  onSpawn,
  webhooksUrl,
}: DemoOptions): Promise<DemoSandbox> {
  const folder = folderIn(home, 'sandbox');
  const secret = keptSecret(join(folder, 'client-secret'));
  const records = keptNumber(join(folder, 'records'), asked);
  const hooks = pushing(folder, webhooksUrl, 'salesforce');
  const started = await startProcess({
    name: 'The Salesforce sandbox',
    command: process.execPath,
    args: [MAIN, 'salesforce', ...living(records, folder), '--client-id', CLIENT_ID, ...hooks.args],
    env: { ...env, ...hooks.env, SANDBOX_CLIENT_SECRET: secret },
    logPath: join(home, 'logs', 'sandbox.log'),
    ready: (line) => listening.safeParse(line).data,
  });
  onSpawn('sandbox', started.pid);
  writePrivate(join(folder, 'url'), started.value.url);
  writePrivate(join(folder, 'client-id'), CLIENT_ID);
  return { connection: 'salesforce', name: 'Salesforce sandbox', process: started, url: started.value.url };
}

/** The HubSpot-compatible one: the same seed gives the same customers. */
async function startHubspot({
  home,
  records: asked,
  env,
  onSpawn,
  webhooksUrl,
}: DemoOptions): Promise<DemoSandbox> {
  const folder = folderIn(home, 'sandbox', 'hubspot');
  const token = keptSecret(join(folder, 'token'));
  const records = keptNumber(join(home, 'sandbox', 'records'), asked);
  const hooks = pushing(folder, webhooksUrl, 'hubspot');
  const own = Math.max(1, Math.round(records * HUBSPOT_SHARE));
  const started = await startProcess({
    name: 'The HubSpot sandbox',
    command: process.execPath,
    args: [
      ...[MAIN, 'hubspot', ...living(own, folder), '--salesforce-records', String(records)],
      ...hooks.args,
    ],
    env: { ...env, ...hooks.env, SANDBOX_PRIVATE_TOKEN: token },
    logPath: join(home, 'logs', 'sandbox-hubspot.log'),
    ready: (line) => listening.safeParse(line).data,
  });
  onSpawn('sandbox-hubspot', started.pid);
  writePrivate(join(folder, 'url'), started.value.url);
  return { connection: 'hubspot', name: 'HubSpot sandbox', process: started, url: started.value.url };
}

/** Each system pushes its changes to our listener; the secret lies where the demo's configuration refers to it. */
function pushing(
  folder: string,
  webhooksUrl: string | undefined,
  connection: string,
): { args: string[]; env: Record<string, string> } {
  const secret = keptSecret(join(folder, 'webhook-secret'));
  if (webhooksUrl === undefined) return { args: [], env: {} };
  return {
    args: ['--webhooks', `${webhooksUrl}/${connection}`],
    env: { SANDBOX_WEBHOOK_SECRET: secret },
  };
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

/** A key of the profile API for the demo: the file itself is for whoever tries it, the hash for the configuration. */
export function keptApiKey(home: string): string {
  const folder = folderIn(home, 'serve');
  const path = join(folder, 'key');
  const key = existsSync(path) ? readFileSync(path, 'utf8').trim() : newKey();
  writePrivate(path, key);
  writePrivate(join(folder, 'key-hash'), keyHash(key) ?? '');
  return key;
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
