import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { inboxEventSchema, type InboxEvent } from '../../schemas/inbox.ts';
import { eventId, isCurrent, sameDigest } from '../signature.ts';
import type { PushedConnection, WebhookAnswer, WebhookKind, WebhookRequest } from '../source.ts';
import { PAIRS } from './catalog.ts';
import { pairKeyOf, typeNamed } from './webhook-types.ts';

/** HubSpot sends up to 100 events at once. */
const EVENTS_MAX = 1_000;
const EVENTS_PER_REQUEST_WORDS = `more than ${EVENTS_MAX} events`;

const configSchema = z.strictObject({
  /** Client secrets of the app: HubSpot signs with them. */
  secrets: z.array(z.string().min(1)).min(1, 'names no secret. Write the client secret of the app'),
  /** Events of other accounts that installed the same app are left out. */
  portalId: z.int().positive().optional(),
  /** Names of custom objects, as `objects` has them, by the id that events carry: { '2-1870042': 'p123_car' }. */
  types: z
    .record(z.string().regex(/^\d+-\d+$/, 'write a type id such as 2-1870042'), z.string().min(1))
    .default({}),
});
type Config = z.output<typeof configSchema>;

const idSchema = z.union([z.string().regex(/^\d{1,20}$/), z.int().nonnegative()]).transform(String);

const eventSchema = z.looseObject({
  eventId: z.union([z.string().max(100), z.number()]).optional(),
  subscriptionId: z.union([z.string().max(100), z.number()]).optional(),
  portalId: z.number().optional(),
  occurredAt: z.number().min(0).max(8.64e15),
  subscriptionType: z.string().max(100),
  objectId: idSchema.optional(),
  objectTypeId: z.string().max(50).optional(),
  propertyName: z.string().max(200).optional(),
  propertyValue: z.union([z.string(), z.number(), z.boolean()]).nullish(),
  isSensitive: z.boolean().nullish(),
  primaryObjectId: idSchema.nullish(),
  newObjectId: idSchema.nullish(),
  mergedObjectIds: z.array(idSchema).max(1_000).nullish(),
  fromObjectId: idSchema.nullish(),
  toObjectId: idSchema.nullish(),
  fromObjectTypeId: z.string().max(50).nullish(),
  toObjectTypeId: z.string().max(50).nullish(),
  associationType: z.string().max(100).nullish(),
  associationCategory: z.string().max(50).nullish(),
  associationTypeId: z.union([z.string().max(20), z.int()]).nullish(),
  isPrimaryAssociation: z.boolean().nullish(),
});
export type HubspotEvent = z.output<typeof eventSchema>;

/** One record that an event names. */
interface Named {
  object: string;
  record: string;
  kind: 'changed' | 'deleted';
  values?: Record<string, unknown>;
}

/**
 * Signatures of version 3 alone: 1 and 2 carry no time, so whoever saw one request could repeat it for ever. Source:
 * developers.hubspot.com, "Validating requests" and "Webhooks"; an `eventId` "is not guaranteed to be unique" there.
 */
export const webhooks: WebhookKind<typeof configSchema> = {
  config: configSchema,
  receiver: (config, connection) => (request) => receive(config, connection, request),
};

function receive(config: Config, connection: PushedConnection, request: WebhookRequest): WebhookAnswer {
  const refused = refusal(config, request);
  if (refused !== undefined) return { ok: false, status: 401, reason: refused };
  const body = parse(request.body);
  if (body === undefined) return { ok: false, status: 400, reason: 'the body is no list of events' };
  if (body.length > EVENTS_MAX) return { ok: false, status: 400, reason: EVENTS_PER_REQUEST_WORDS };
  const events: InboxEvent[] = [];
  let leftOut = 0;
  for (const one of body) {
    const found = read(config, connection, one);
    events.push(...found);
    if (found.length === 0) leftOut += 1;
  }
  return { ok: true, events, leftOut };
}

function refusal(config: Config, { method, url, headers, body, nowMs }: WebhookRequest): string | undefined {
  const written = headers['x-hubspot-request-timestamp'];
  const signature = headers['x-hubspot-signature-v3'];
  if (!isCurrent(written, 1, nowMs)) return 'no time, or one more than five minutes away';
  if (signature === undefined) return 'no signature of version 3';
  const signed = `${method}${decodeUri(url)}`;
  const fits = config.secrets.some((secret) => {
    const hmac = createHmac('sha256', secret).update(signed).update(body);
    return sameDigest(signature, hmac.update(written ?? '').digest());
  });
  return fits ? undefined : 'the signature fits no secret';
}

/** The characters that HubSpot decodes before it signs; the question mark before the query stands as it is. */
const DECODED: Readonly<Record<string, string>> = {
  ...{ '%3A': ':', '%2F': '/', '%3F': '?', '%40': '@', '%21': '!', '%24': '$' },
  ...{ '%27': "'", '%28': '(', '%29': ')', '%2A': '*', '%2C': ',', '%3B': ';' },
};

export function decodeUri(url: string): string {
  return url.replaceAll(/%[0-9a-f]{2}/gi, (code) => DECODED[code.toUpperCase()] ?? code);
}

function parse(body: Buffer): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function read(config: Config, connection: PushedConnection, input: unknown): InboxEvent[] {
  const event = eventSchema.safeParse(input).data;
  if (event === undefined) return [];
  if (config.portalId !== undefined && event.portalId !== config.portalId) return [];
  const synced = (object: string) =>
    !connection.exclude.includes(object) &&
    (connection.objects === 'all'
      ? !object.includes('~') || PAIRS.includes(object)
      : connection.objects.includes(object));
  const at = new Date(event.occurredAt).toISOString();
  return named(config, event)
    .filter(({ object }) => synced(object))
    .flatMap(({ object, record, kind, values = null }) => {
      const id = idOf(event, object, record);
      const made = inboxEventSchema.safeParse({ id, object, record, kind, values, at }).data;
      return made === undefined ? [] : [made];
    });
}

function idOf(event: HubspotEvent, object: string, record: string): string {
  const { subscriptionId = '', subscriptionType, propertyName = '', occurredAt } = event;
  return eventId(
    event.eventId ?? '',
    subscriptionId,
    subscriptionType,
    object,
    record,
    propertyName,
    occurredAt,
  );
}

/** Every record that an event is about; a merge makes a new id, and the old ones lead to it. */
function named(config: Config, event: HubspotEvent): Named[] {
  const [subject = '', what = ''] = event.subscriptionType.split('.', 2);
  if (what === 'associationChange') return associated(config, event);
  const object = typeNamed(subject === 'object' ? (event.objectTypeId ?? '') : subject, config.types);
  if (object === undefined) return [];
  if (what === 'merge') return merged(object, event);
  const record = event.objectId;
  if (record === undefined) return [];
  if (what === 'deletion' || what === 'privacyDeletion') return [{ object, record, kind: 'deleted' }];
  if (what === 'propertyChange') return [{ object, record, kind: 'changed', ...valuesOf(event) }];
  return what === 'creation' || what === 'restore' ? [{ object, record, kind: 'changed' }] : [];
}

/** Sensitive values are not sent: HubSpot writes REDACTED in their place. */
function valuesOf({ propertyName, propertyValue, isSensitive }: HubspotEvent): Pick<Named, 'values'> {
  const known = propertyName !== undefined && propertyValue !== undefined;
  if (!known || isSensitive === true || propertyValue === 'REDACTED') return {};
  return { values: { [propertyName]: propertyValue } };
}

function merged(object: string, event: HubspotEvent): Named[] {
  const kept = event.newObjectId ?? event.primaryObjectId ?? event.objectId;
  const others = [event.primaryObjectId, event.objectId, ...(event.mergedObjectIds ?? [])];
  const gone = new Set(others.filter((id) => typeof id === 'string' && id !== kept));
  return [
    ...(kept === undefined || kept === null ? [] : [{ object, record: kept, kind: 'changed' as const }]),
    ...[...gone].map((record) => ({ object, record: String(record), kind: 'deleted' as const })),
  ];
}

/** The association itself, in both directions: an object of ours where the connection syncs it. */
function associated(config: Config, event: HubspotEvent): Named[] {
  return pairKeyOf(event, config.types).map(({ object, record }) => ({ object, record, kind: 'changed' }));
}
