import { createHmac } from 'node:crypto';
import { parse } from 'lossless-json';
import { z } from 'zod';
import type { InboxEvent } from '../../schemas/inbox.ts';
import { isCurrent, sameDigest } from '../signature.ts';
import type { WebhookAnswer, WebhookKind, WebhookRequest } from '../source.ts';
import { objectsOf, pushConfigSchema, type PushedObject } from './config.ts';
import { takeRecord } from './records.ts';

const RECORDS_MAX = 1_000;
/** A sender that rotates its secrets signs with each; more would only cost us time. */
const SIGNATURES_MAX = 20;
const SIGNATURE_CHARACTERS_MAX = 4_000;
const ID_CHARACTERS_MAX = 500;

const configSchema = z.strictObject({
  /** As the sender shows them: whsec_ and base64. None: records come by `POST /v1/ingest` alone. */
  secrets: z
    .array(
      z
        .string()
        .regex(/^(?:whsec_)?[A-Za-z0-9+/]+={0,2}$/, 'write the secret as the sender shows it, whsec_…'),
    )
    .default([]),
});

/** Standard Webhooks (standardwebhooks.com, specification 1.0.0), with symmetric signatures: `v1`. */
export const webhooks: WebhookKind<typeof configSchema> = {
  config: configSchema,
  receiver: ({ secrets }, { own }) => {
    const keys = secrets.map((secret) => Buffer.from(secret.replace(/^whsec_/, ''), 'base64'));
    const objects = objectsOf(pushConfigSchema.parse(own));
    return (request) => receive(keys, objects, request);
  },
  records: ({ own }, object) => {
    const declared = objectsOf(pushConfigSchema.parse(own)).get(object);
    if (declared === undefined) return undefined;
    return (record, keyed) => takeRecord(object, declared, record, { keyed });
  },
};

function receive(
  keys: readonly Buffer[],
  objects: ReadonlyMap<string, PushedObject>,
  request: WebhookRequest,
): WebhookAnswer {
  const id = request.headers['webhook-id'] ?? '';
  const refused = refusal(keys, id, request);
  if (refused !== undefined) return { ok: false, status: 401, reason: refused };
  const body = parsed(request.body);
  if (body === undefined) return { ok: false, status: 400, reason: 'the body is no JSON' };
  const events: InboxEvent[] = [];
  let leftOut = 0;
  for (const [object, declared] of objects) {
    if (!applies(declared, body)) continue;
    const found = at(body, declared.path);
    const records: unknown[] = Array.isArray(found) ? found : found === undefined ? [] : [found];
    if (records.length > RECORDS_MAX)
      return { ok: false, status: 400, reason: `more than ${RECORDS_MAX} records` };
    for (const record of records) {
      const taken = takeRecord(object, declared, record, { keyed: id, unheard: true });
      if (taken.ok) events.push(taken.event);
      else leftOut += 1;
    }
  }
  return { ok: true, events, leftOut: events.length === 0 ? Math.max(leftOut, 1) : leftOut };
}

function refusal(
  keys: readonly Buffer[],
  id: string,
  { headers, body, nowMs }: WebhookRequest,
): string | undefined {
  const written = headers['webhook-timestamp'];
  const signatures = headers['webhook-signature'] ?? '';
  if (id === '' || id.length > ID_CHARACTERS_MAX) return 'no webhook-id';
  if (!isCurrent(written, 1_000, nowMs)) return 'no time, or one more than five minutes away';
  if (signatures.length > SIGNATURE_CHARACTERS_MAX) return 'too many signatures';
  const given = signatures.split(' ').slice(0, SIGNATURES_MAX);
  const ours = given.flatMap((one) => (one.startsWith('v1,') ? [one.slice('v1,'.length)] : []));
  const fits = keys.some((key) => {
    const digest = createHmac('sha256', key).update(`${id}.${written}.`).update(body).digest();
    return ours.some((one) => sameDigest(one, digest));
  });
  return fits ? undefined : 'the signature fits no secret';
}

/** Numbers keep their digits. */
function parsed(body: Buffer): unknown {
  try {
    return parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function applies({ when }: PushedObject, body: unknown): boolean {
  return Object.entries(when).every(([path, texts]) => {
    const found = at(body, path);
    return typeof found === 'string' && (typeof texts === 'string' ? found === texts : texts.includes(found));
  });
}

function at(body: unknown, path: string): unknown {
  if (path === '') return body;
  return path.split('.').reduce<unknown>((value, key) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    return new Map(Object.entries(value)).get(key);
  }, body);
}
