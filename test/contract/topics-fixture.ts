/** A sandbox with change events, and the part of the server process that follows them, over a real inbox. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { loadConfig } from '../../config/load-config.ts';
import type { PubSubOptions, PubSubSandbox } from '../../sandbox/salesforce/pubsub/pubsub.ts';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import type { Topic } from '../../schemas/topic.ts';
import { openServices, type OpenServices, type Services } from '../../servers/services.ts';
import type { FollowTimes } from '../../servers/topics/follower.ts';
import { followTopics } from '../../servers/topics/topics.ts';
import type { Inbox, InboxRow } from '../../stores/inbox/inbox.ts';
import { patient } from '../support/patience.ts';

export const CRM = 'crm';
export const ALL = '/data/ChangeEvents';
export const CONTACTS = '/data/ContactChangeEvent';
export const TIMES: FollowTimes = { holdMs: 10, backoffMsMax: 100, visibleMs: 0, catchUpEveryMs: 20 };
const env = (name: string) => ({ $secret: { env: name } });

/** As it is written; the secret is in SANDBOX_SECRET. */
export function topicsConfiguration(
  { loginUrl, clientId, pubsub }: SalesforceSandbox,
  topics: readonly string[] = [ALL],
) {
  return {
    connections: {
      [CRM]: {
        kind: 'salesforce',
        loginUrl,
        auth: { grant: 'client_credentials', clientId, clientSecret: env('SANDBOX_SECRET') },
        objects: ['Contact', 'Account'],
        lag: '0s',
        webhooks: { changeDataCapture: { endpoint: pubsub?.url, topics } },
      },
    },
    warehouse: { kind: 'duckdb', path: 'w.duckdb' },
    serve: { webhooks: { port: 0 } },
  };
}

export interface TopicsWorld {
  readonly home: string;
  readonly sandbox: SalesforceSandbox;
  readonly pubsub: PubSubSandbox;
  readonly services: OpenServices;
  /** Lines of the log, as JSON. */
  readonly logged: string[];
  /** Runs that were asked for: their objects, or 'all'. */
  readonly runs: (readonly string[] | 'all')[];
  /** A run goes on, so that none can be started. */
  isBusy: boolean;
  follow(inbox?: Inbox, topics?: readonly string[]): { close(): Promise<void> };
  /** Until somebody subscribes. */
  followed(): Promise<void>;
  kept(): Promise<InboxRow[]>;
  records(): Promise<string[]>;
  topic(name?: string): Promise<Topic | undefined>;
  stop(): Promise<void>;
}

export async function topicsWorld(options: PubSubOptions = {}): Promise<TopicsWorld> {
  const objects = { Contact: 50, Account: 10, Lead: 5, Opportunity: 0, Case: 0, Task: 0, Subscription__c: 0 };
  const sandbox = await startSalesforceSandbox({ seed: 3, objects, pubsub: options });
  const { pubsub } = sandbox;
  if (pubsub === undefined) throw new Error('the sandbox has no change events');
  const home = await mkdtemp(join(tmpdir(), 'headwater-topics-'));
  process.env['SANDBOX_SECRET'] = sandbox.clientSecret;
  const load = async (topics: readonly string[]) => {
    const path = join(home, 'headwater.config.json');
    await writeFile(path, JSON.stringify(topicsConfiguration(sandbox, topics)));
    return await loadConfig({ path, home });
  };
  const logged: string[] = [];
  const services = await openServices(await load([ALL]), {
    log: (level, message, fields = {}) => logged.push(JSON.stringify({ level, message, ...fields })),
  });
  const both = await load([ALL, CONTACTS]);
  const following: { close(): Promise<void> }[] = [];
  const world: TopicsWorld = {
    ...{ home, sandbox, pubsub, services, logged, runs: [], isBusy: false },
    follow(inbox = services.inbox, topics = [ALL]) {
      const loaded = topics.length > 1 ? both : services.loaded;
      const given: Services = { ...services, loaded, inbox, temporal: () => Promise.resolve(client(world)) };
      const one = followTopics(given, TIMES);
      following.push(one);
      return one;
    },
    followed: () => until(() => Promise.resolve(pubsub.subscribers() > 0)),
    kept: () => services.inbox.take(CRM, 0, 100_000),
    records: async () => (await world.kept()).map(({ record }) => record),
    topic: async (name = ALL) => (await services.inbox.topics()).find(({ topic }) => topic === name),
    async stop() {
      for (const one of following) await one.close();
      await services.close();
      await sandbox.close();
      await rm(home, { recursive: true, force: true });
    },
  };
  return world;
}

/** Temporal itself is asked in test/e2e/change-events.test.ts; here it only counts what is asked for. */
function client(world: TopicsWorld): Awaited<ReturnType<Services['temporal']>> {
  const start = (
    name: string,
    { workflowId, args }: { workflowId: string; args: [{ objects?: string[] }] },
  ) => {
    if (world.isBusy) throw new WorkflowExecutionAlreadyStartedError('runs', workflowId, name);
    world.runs.push(args[0].objects ?? 'all');
    return Promise.resolve({});
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one call that is made of it.
  return { workflow: { start } } as unknown as Awaited<ReturnType<Services['temporal']>>;
}

export async function until(wanted: () => Promise<boolean>, msMax = patient(10_000)): Promise<void> {
  const end = performance.now() + msMax;
  while (!(await wanted())) {
    if (performance.now() > end) throw new Error(`not within ${msMax} ms`);
    await sleep(10);
  }
}
