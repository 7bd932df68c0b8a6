import { z } from 'zod';
import { inboxEventSchema, type InboxEvent } from '../../schemas/inbox.ts';
import { eventId, sameSecret } from '../signature.ts';
import type { PushedConnection, WebhookAnswer, WebhookKind, WebhookRequest } from '../source.ts';
import { parseSoap, type XmlNode } from './soap.ts';

/** Salesforce sends up to 100 notifications at once. */
const NOTIFICATIONS_MAX = 100;
const RECORD_ID = /^[A-Za-z0-9]{18}$/;
const SECRET_CHARACTERS_MIN = 24;

const configSchema = z.strictObject({
  /** Salesforce signs nothing: the address itself carries one of these as its last part. */
  secrets: z
    .array(z.string().min(SECRET_CHARACTERS_MIN, `has fewer than ${SECRET_CHARACTERS_MIN} characters`))
    .min(1, 'names no secret. Write one: it is the last part of the endpoint URL'),
  /** Of the org that may send, 15 or 18 characters: Setup, Company Information. */
  organizationId: z
    .string()
    .regex(/^00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?$/, 'write the id of the org, 00D…'),
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

function receive(config: Config, connection: PushedConnection, request: WebhookRequest): WebhookAnswer {
  // All are compared: the time taken must not tell which of them came near.
  const fits = config.secrets.filter((secret) => sameSecret(request.rest, secret)).length > 0;
  if (!fits)
    return { ok: false, status: 401, reason: 'the end of the address is no secret of this connection' };
  const envelope = parseSoap(request.body);
  const message = child(child(child(envelope, 'Envelope'), 'Body'), 'notifications');
  if (message === undefined) return { ok: false, status: 400, reason: 'the body is no outbound message' };
  const organization = textOf(message, 'OrganizationId');
  if (organization?.slice(0, 15) !== config.organizationId.slice(0, 15)) {
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
