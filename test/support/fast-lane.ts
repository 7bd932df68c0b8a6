/** A pipeline whose systems push: events are put into the inbox as the listener does, and what became of them is looked up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { inboxPlace } from '../../config/inbox.ts';
import { rulesOf } from '../../config/profiles.ts';
import type { InboxEvent } from '../../schemas/inbox.ts';
import { openClaims } from '../../stores/claims/open.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import type { Inbox } from '../../stores/inbox/inbox.ts';
import { openInbox } from '../../stores/inbox/open.ts';
import type { Pipeline } from './pipeline.ts';
import { patient } from './patience.ts';

export const SECRET = 'abcdefghijklmnopqrstuvwxyz';

/** Of a Salesforce connection in a pipeline. */
export const WEBHOOKS = {
  secrets: [{ $secret: { env: 'PUSH_SECRET' } }],
  organizationId: '00D000000000001',
  landEvery: '500ms',
};

let ids = 0;

export function changed(object: string, record: string, more: Partial<InboxEvent> = {}): InboxEvent {
  ids += 1;
  return { id: `e-${process.pid}-${ids}`, object, record, kind: 'changed', values: null, at: null, ...more };
}

export async function pushInbox({ loaded }: Pipeline): Promise<Inbox> {
  return openInbox(inboxPlace(loaded));
}

export async function pipelineClaims({ loaded: { config } }: Pipeline): Promise<Claims> {
  const { profiles } = config;
  if (profiles === undefined) throw new Error('the configuration has no profiles');
  return openClaims({ ...profiles, rules: rulesOf(profiles, config.conflicts), custom: new Map() });
}

/** The golden value of a record's profile. */
export async function valueOf(
  claims: Claims,
  source: string,
  object: string,
  record: string,
  field: string,
): Promise<unknown> {
  const id = await claims.profileOf({ source, object, record });
  const profile = id === null ? null : await claims.profile(id);
  return profile?.fields[field]?.value ?? null;
}

/** Until it gives what is wanted; the ms that took. The last answer is in the error. */
export async function until<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  msMax = patient(20_000),
): Promise<number> {
  const started = performance.now();
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return performance.now() - started;
    if (performance.now() - started > msMax)
      throw new Error(`not within ${msMax} ms; the last answer was ${JSON.stringify(answer)}`);
    await sleep(5);
  }
}
