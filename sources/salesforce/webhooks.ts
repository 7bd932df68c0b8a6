import { z } from 'zod';
import { inboxEventSchema, type InboxEvent } from '../../schemas/inbox.ts';
import { eventId, sameSecret } from '../signature.ts';
import type { PushedConnection, TopicKind, WebhookAnswer, WebhookKind, WebhookRequest } from '../source.ts';
import { secureUrlSchema, type salesforceConfigSchema } from './config.ts';
import { parseSoap, type XmlNode } from './soap.ts';

/** Salesforce sends up to 100 notifications at once. */
const NOTIFICATIONS_MAX = 100;
const RECORD_ID = /^[A-Za-z0-9]{18}$/;
const SECRET_CHARACTERS_MIN = 24;

const PUBSUB_ENDPOINT = 'https://api.pubsub.salesforce.com:7443';
const TOPICS_MAX = 20;

const configSchema = z
  .strictObject({
    /** For outbound messages. Salesforce signs nothing: the address itself carries one of these as its last part. */
    secrets: z
      .array(z.string().min(SECRET_CHARACTERS_MIN, `has fewer than ${SECRET_CHARACTERS_MIN} characters`))
      .default([]),
    /** Of the org that may send, 15 or 18 characters: Setup, Company Information. */
    organizationId: z
      .string()
      .regex(/^00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?$/, 'write the id of the org, 00D…')
      .optional(),
    /** Present, even empty: change events are followed over the Pub/Sub API. */
    changeDataCapture: z
      .strictObject({
        /** `/data/ChangeEvents`: of every object that Setup, Change Data Capture names. Others: `/data/ContactChangeEvent`, `/data/Mine__chn`. */
        topics: z
          .array(z.string().regex(/^\/data\/\w{1,100}$/, 'write a topic such as /data/ChangeEvents'))
          .min(1)
          .max(TOPICS_MAX)
          .default(['/data/ChangeEvents']),
        /** Another one where the org has to stay in its region, such as https://api.deu.pubsub.salesforce.com:7443. */
        endpoint: secureUrlSchema.default(PUBSUB_ENDPOINT),
      })
      .optional(),
  })
  .superRefine(({ secrets, organizationId, changeDataCapture }, context) => {
    if (changeDataCapture !== undefined && secrets.length === 0) return;
    const missing = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message });
    if (secrets.length === 0)
      missing('secrets', 'names no secret. Write one: it is the last part of the endpoint URL');
    if (organizationId === undefined) missing('organizationId', 'is missing. Write the id of the org, 00D…');
  });
type Config = z.output<typeof configSchema>;

/** Anything else, and Salesforce sends the message again, for 24 hours. Source: SOAP API guide, "Outbound Messaging". */
const ACK =
  '<?xml version="1.0" encoding="UTF-8"?>' +
  '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>' +
  '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>' +
  '</soapenv:Body></soapenv:Envelope>';

/**
 * Outbound messages. They have no signature and no time, so what they hold is a hint only: the record is read from Salesforce,
 * and whoever learns the address can make us read, never believe.
 */
export const webhooks: WebhookKind<typeof configSchema> = {
  config: configSchema,
  receiver: (config, connection) => (request) => receive(config, connection, request),
};

/** Change Data Capture: events are kept for 72 hours, and followed over a connection that we open. */
export const topics: TopicKind<typeof configSchema, typeof salesforceConfigSchema> = {
  names: ({ changeDataCapture }) => changeDataCapture?.topics ?? [],
  async open({ config, webhooks: { changeDataCapture, organizationId = null }, pushed }, context) {
    // Loaded by whoever follows, and nobody else.
    const { PubSubReader } = await import('./pubsub.ts');
    const endpoint = changeDataCapture?.endpoint ?? PUBSUB_ENDPOINT;
    return new PubSubReader({ config, endpoint, organizationId, pushed }, context);
  },
};

function receive(config: Config, connection: PushedConnection, request: WebhookRequest): WebhookAnswer {
  // All are compared: the time taken must not tell which of them came near.
  const fits = config.secrets.filter((secret) => sameSecret(request.rest, secret)).length > 0;
  if (!fits)
    return { ok: false, status: 401, reason: 'the end of the address is no secret of this connection' };
  const envelope = parseSoap(request.body);
  const message = child(child(child(envelope, 'Envelope'), 'Body'), 'notifications');
  if (message === undefined) return { ok: false, status: 400, reason: 'the body is no outbound message' };
  const organization = textOf(message, 'OrganizationId');
  if (organization === undefined || organization.slice(0, 15) !== config.organizationId?.slice(0, 15)) {
    return { ok: false, status: 401, reason: 'the message is of another org' };
  }
  const notifications = children(message, 'Notification');
  if (notifications.length > NOTIFICATIONS_MAX) {
    return { ok: false, status: 400, reason: `more than ${NOTIFICATIONS_MAX} notifications` };
  }
  const events = notifications.flatMap((one) => eventOf(connection, one) ?? []);
  const leftOut = notifications.length - events.length;
  return { ok: true, events, leftOut, reply: { contentType: 'text/xml; charset=utf-8', body: ACK } };
}

function eventOf(connection: PushedConnection, notification: XmlNode): InboxEvent | undefined {
  const subject = child(notification, 'sObject');
  if (subject === undefined) return undefined;
  // `sf:Contact`: the prefix is bound to urn:sobject.enterprise.soap.sforce.com.
  const object = (subject.attributes['type'] ?? '').replace(/^[\w.-]+:/, '');
  const record = textOf(subject, 'Id') ?? '';
  const synced = connection.objects === 'all' || connection.objects.includes(object);
  if (!synced || connection.exclude.includes(object) || !RECORD_ID.test(record)) return undefined;
  const fields = subject.children.filter(({ name, children: inner }) => name !== 'Id' && inner.length === 0);
  const values = Object.fromEntries(fields.map((field) => [field.name, field.nil ? null : field.text]));
  const at = instantOf(values['SystemModstamp'] ?? values['LastModifiedDate'] ?? null);
  // The same notification may come again with newer values, and its id is what Salesforce says to compare.
  const told = textOf(notification, 'Id');
  const id = told === undefined ? eventId(object, record, JSON.stringify(values)) : `${told}:${record}`;
  const kind = values['IsDeleted'] === 'true' ? 'deleted' : 'changed';
  return inboxEventSchema.safeParse({
    ...{ id, object, record, kind, at },
    values: fields.length === 0 ? null : values,
  }).data;
}

function instantOf(text: string | null): string | null {
  const ms = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

function children(node: XmlNode, name: string): XmlNode[] {
  return node.children.filter((one) => one.name === name);
}

function child(node: XmlNode | undefined, name: string): XmlNode | undefined {
  return node?.children.find((one) => one.name === name);
}

function textOf(node: XmlNode, name: string): string | undefined {
  return child(node, name)?.text;
}
