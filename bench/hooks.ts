/**
 * A CRM that pushes, as a process of its own: `hooks.ts <json>` sends so many signed messages a second, and prints one line of
 * JSON with how long each took. `ack`: until the listener's 2xx. `visible`: from the change in the CRM until the profile API
 * answers with it.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { notificationSchema } from '../schemas/notification.ts';

const SOCKETS_MAX = 128;
/** What has not become visible by then is counted as lost. */
const VISIBLE_MS_MAX = 10_000;
/** Leads differ in their first values: consecutive records are no special case. */
const STRIDE = 7;
const DATA = 'data: ';

const planSchema = z.object({
  mode: z.enum(['ack', 'visible']),
  hookUrl: z.string(),
  profilesUrl: z.string(),
  sandboxUrl: z.string(),
  key: z.string(),
  organizationId: z.string(),
  object: z.string(),
  ids: z.array(z.string()),
  perSecond: z.number(),
  seconds: z.number(),
});
type Plan = z.infer<typeof planSchema>;

const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });

function send(method: string, url: string, headers: Record<string, string>, body?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent, method, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** As Salesforce writes one, with a single notification. */
function outboundMessage({ organizationId, object }: Plan, id: string, n: number): string {
  return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>${organizationId}</OrganizationId><ActionId>04k000000000001AAA</ActionId><Notification><Id>04l${process.pid}x${n}</Id><sObject xsi:type="sf:${object}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>${id}</sf:Id></sObject></Notification></notifications></soapenv:Body></soapenv:Envelope>`;
}

async function push(plan: Plan, id: string, n: number): Promise<number> {
  const started = performance.now();
  const headers = { 'content-type': 'text/xml; charset=utf-8' };
  const status = await send('POST', plan.hookUrl, headers, outboundMessage(plan, id, n));
  if (status !== 200) throw new Error(`the listener answered ${status}`);
  return performance.now() - started;
}

/** Calls `one` so often a second, whether or not the ones before have ended: a sender does not wait for us. */
async function atRate({ perSecond, seconds }: Plan, one: (n: number) => Promise<void>): Promise<number> {
  const started = performance.now();
  const total = Math.round(perSecond * seconds);
  const all: Promise<void>[] = [];
  let failed = 0;
  for (let n = 0; n < total; n += 1) {
    const due = started + (n * 1_000) / perSecond;
    const waitMs = due - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    all.push(
      one(n).catch(() => {
        failed += 1;
      }),
    );
  }
  await Promise.all(all);
  return failed;
}

async function acks(plan: Plan): Promise<{ ms: number[]; failed: number }> {
  const ms: number[] = [];
  const failed = await atRate(plan, async (n) => {
    ms.push(await push(plan, plan.ids[(n * STRIDE) % plan.ids.length] ?? '', n));
  });
  return { ms, failed };
}

/** The stream of changes tells when to look; what counts is the answer of the API itself. */
async function visible(plan: Plan): Promise<{ ms: number[]; failed: number }> {
  const headers = { authorization: `Bearer ${plan.key}` };
  const waiting = new Map<string, { started: number; done: () => void }>();
  const ms: number[] = [];
  const ended = new AbortController();
  const url = `${plan.profilesUrl}/v1/events?entity=contact&fields=jobTitle`;
  const stream = await fetch(url, { headers, signal: ended.signal });
  const reading = follow(stream, async (profile, title) => {
    const one = waiting.get(title);
    if (one === undefined) return;
    const response = await fetch(`${plan.profilesUrl}/v1/profiles/${profile}?fields=jobTitle`, { headers });
    if (!(await response.text()).includes(`"${title}"`)) return;
    waiting.delete(title);
    ms.push(performance.now() - one.started);
    one.done();
  });
  const failed = await atRate(plan, async (n) => {
    const id = plan.ids[(n * STRIDE) % plan.ids.length] ?? '';
    const title = `Title ${process.pid}-${n}`;
    const started = performance.now();
    const seen = new Promise<void>((resolve) => waiting.set(title, { started, done: resolve }));
    const change = { object: plan.object, row: id, values: { Title: title } };
    await send('POST', `${plan.sandboxUrl}/__sandbox/update`, {}, JSON.stringify(change));
    await push(plan, id, n);
    const late = sleep(VISIBLE_MS_MAX, 'late', { ref: false });
    if ((await Promise.race([seen, late])) === 'late') throw new Error('never visible');
  });
  // A stream that is being read cannot be cancelled, and never ends by itself.
  ended.abort();
  await reading.catch(() => undefined);
  return { ms, failed };
}

async function follow(
  response: Response,
  told: (profile: string, title: string) => Promise<void>,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of response.body ?? []) {
    const lines = (rest + decoder.decode(part, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith(DATA)) continue;
      const change = notificationSchema.safeParse(JSON.parse(line.slice(DATA.length))).data;
      const title = change?.fields['jobTitle'];
      if (change !== undefined && typeof title === 'string')
        void told(change.profile, title).catch(() => undefined);
    }
  }
}

const plan = planSchema.parse(JSON.parse(process.argv[2] ?? ''));
const result = await (plan.mode === 'ack' ? acks(plan) : visible(plan));
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
