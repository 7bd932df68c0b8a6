/** Outbound messages of a flow on every object: SOAP, up to 100 notifications of one object in a message. */
import { Pusher, type DeliveryPolicy, type PushStats } from '../delivery.ts';
import type { Change } from './store.ts';
import type { Table } from './table.ts';
import { ORG_ID } from './tokens.ts';

/** Source: Salesforce, SOAP API Developer Guide, "Outbound Messaging". */
const NOTIFICATIONS_MAX = 100;
const GROUP_MS = 50;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const FIRST_WAIT_MS = 1_000;

/** "The interval between retries increases exponentially, up to a maximum of two hours", for 24 hours; taken is what is acknowledged. */
const POLICY: DeliveryPolicy = {
  timeoutMs: 10_000,
  waitsMs: waits(),
  taken: (status, body) => status === 200 && /<(?:\w+:)?Ack>\s*true\s*</.test(body),
};

function waits(): number[] {
  const found: number[] = [];
  for (let wait = FIRST_WAIT_MS, sum = 0; sum < DAY_MS; wait = Math.min(wait * 2, 2 * HOUR_MS)) {
    found.push(wait);
    sum += wait;
  }
  return found;
}

interface Notification {
  readonly id: string;
  readonly record: string;
  readonly stamp: string;
}

/** `url` carries its secret as its last part: Salesforce signs nothing. */
export class OutboundMessages {
  readonly #url: string;
  readonly #orgUrl: string;
  readonly #byObject = new Map<string, Pusher<Notification>>();
  readonly #run = Date.now().toString(36);
  #sent = 0;

  constructor(url: string, orgUrl: string) {
    this.#url = url;
    this.#orgUrl = orgUrl;
  }

  /** Records that are deleted send none: flows with outbound messages run after a record is saved. */
  tell(table: Table, { kind, index, at }: Change): void {
    if (kind === 'delete' || kind === 'purge') return;
    this.#sent += 1;
    const number = `${this.#run}${this.#sent.toString(36)}`.padStart(15, '0');
    const stamp = new Date(Math.floor(at / 1_000) * 1_000).toISOString();
    this.#pusher(table.name).push({ id: `04l${number.slice(-15)}`, record: table.idOf(index), stamp });
  }

  #pusher(object: string): Pusher<Notification> {
    let pusher = this.#byObject.get(object);
    if (pusher === undefined) {
      pusher = new Pusher({
        policy: POLICY,
        groupMax: NOTIFICATIONS_MAX,
        groupMs: GROUP_MS,
        make: (events) => ({
          url: this.#url,
          headers: { 'content-type': 'text/xml; charset=utf-8', soapaction: '""' },
          body: messageOf(object, this.#orgUrl, events),
        }),
      });
      this.#byObject.set(object, pusher);
    }
    return pusher;
  }

  stats(): Record<string, PushStats> {
    return Object.fromEntries([...this.#byObject].map(([object, { stats }]) => [object, stats]));
  }

  close(): void {
    for (const pusher of this.#byObject.values()) pusher.close();
  }
}

function messageOf(object: string, orgUrl: string, notifications: readonly Notification[]): string {
  const told = notifications.map(
    ({ id, record, stamp }) =>
      `<Notification><Id>${id}</Id><sObject xsi:type="sf:${object}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">` +
      `<sf:Id>${record}</sf:Id><sf:SystemModstamp>${stamp}</sf:SystemModstamp></sObject></Notification>`,
  );
  return (
    '<?xml version="1.0" encoding="UTF-8"?>' +
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ' +
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>' +
    `<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>${ORG_ID}</OrganizationId>` +
    '<ActionId>04kHw0000000001EAA</ActionId><SessionId xsi:nil="true"/>' +
    `<EnterpriseUrl>${orgUrl}/services/Soap/c/62.0</EnterpriseUrl><PartnerUrl>${orgUrl}/services/Soap/u/62.0</PartnerUrl>` +
    `${told.join('')}</notifications></soapenv:Body></soapenv:Envelope>`
  );
}
