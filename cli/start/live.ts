import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { LoadedConfig } from '../../config/load-config.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { withClaims } from '../claims.ts';
import { mayHaveClaims } from '../open.ts';
import type { Output } from '../output.ts';
import { nameOf } from '../profile-words.ts';
import { keptApiKey } from './sandbox.ts';
import type { Services } from './services.ts';

/** Profiles that are looked at for one that the demo can change. */
const LOOKED_AT_MAX = 200;
const LOOK_EVERY_MS = 10;
const SEEN_MS_MAX = 5_000;
const REQUEST_MS_MAX = 2_000;
const SOURCE = 'salesforce';
const OBJECT = 'Contact';
const TITLES = ['Head of Data', 'Chief of Staff', 'Principal Engineer', 'VP Customer Success'];

const answerSchema = z.object({
  fields: z.object({ jobTitle: z.object({ value: z.unknown() }).optional() }),
});

export interface LiveChange {
  customer: string;
  before: string;
  after: string;
  /** From the change in the CRM until the profile API tells it; null: not within the time. */
  ms: number | null;
}

interface LiveOptions {
  claims: Claims;
  /** Of the sandbox, where a salesperson would edit in the browser; of the profile API, and a key for it. */
  sandboxUrl: string;
  profilesUrl: string;
  key: string;
}

/** Null where nothing is pushed or served, and where there is nobody to change. */
export async function realTime(
  { sandboxes, servers }: Services,
  loaded: LoadedConfig,
): Promise<LiveChange | null> {
  const sandbox = sandboxes.find(({ connection }) => connection === SOURCE);
  if (sandbox === undefined || servers === undefined || !mayHaveClaims(loaded.config)) return null;
  const key = keptApiKey(loaded.home);
  return await withClaims({ load: () => Promise.resolve(loaded) }, (claims) =>
    changeLive({ claims, sandboxUrl: sandbox.url, profilesUrl: servers.profiles, key }),
  );
}

/** Changes a contact's job title in the CRM and watches the profile API until it tells so; null: there is nobody to change. */
async function changeLive(options: LiveOptions): Promise<LiveChange | null> {
  const chosen = await choose(options.claims);
  if (chosen === null) return null;
  const { profile, record, customer } = chosen;
  const before = await jobTitle(options, profile);
  const after = TITLES.find((title) => title !== before) ?? 'Head of Data';
  const started = performance.now();
  await fetch(`${options.sandboxUrl}/__sandbox/update`, {
    method: 'POST',
    body: JSON.stringify({ object: OBJECT, row: record, values: { Title: after } }),
    signal: AbortSignal.timeout(REQUEST_MS_MAX),
  });
  while (performance.now() - started < SEEN_MS_MAX) {
    if ((await jobTitle(options, profile)) === after)
      return { customer, before, after, ms: Math.round(performance.now() - started) };
    await sleep(LOOK_EVERY_MS);
  }
  return { customer, before, after, ms: null };
}

async function choose(claims: Claims): Promise<{ profile: string; record: string; customer: string } | null> {
  for (const found of await claims.contested({ entity: 'contact', limit: LOOKED_AT_MAX })) {
    const own = found.records.filter(
      ({ source, object, deleted }) => source === SOURCE && object === OBJECT && !deleted,
    );
    const [only] = own;
    if (own.length === 1 && only !== undefined)
      return { profile: found.profile, record: only.record, customer: nameOf(found) };
  }
  return null;
}

async function jobTitle({ profilesUrl, key }: LiveOptions, profile: string): Promise<string> {
  const response = await fetch(`${profilesUrl}/v1/profiles/${profile}?fields=jobTitle`, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(REQUEST_MS_MAX),
  });
  const value = answerSchema.safeParse(await response.json()).data?.fields.jobTitle?.value;
  return typeof value === 'string' ? value : '';
}

export function showLive(output: Output, { customer, before, after, ms }: LiveChange): void {
  output.line();
  output.line('Real time, by webhook:');
  output.line();
  const was = output.style('dim', `(was ${before === '' ? 'blank' : before})`);
  output.line(`  somebody changes ${customer} in Salesforce: ${output.style('green', after)} ${was}`);
  output.line(
    ms === null
      ? `  the profile did not change within ${SEEN_MS_MAX / 1_000} s: look at ${output.style('bold', 'npx headwater status')}`
      : `  the profile API tells it ${output.style('bold', `${ms} ms`)} later`,
  );
}
