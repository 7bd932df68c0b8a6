/** Webhooks of an app with subscriptions to everything, signed by version 3. */
import { createHmac } from 'node:crypto';
import { Pusher, type DeliveryPolicy } from '../delivery.ts';
import type { Change } from './store.ts';
import type { Table } from './table.ts';

/** Events of one request. Source: HubSpot, "Webhooks API". */
const EVENTS_PER_REQUEST_MAX = 100;
const GROUP_MS = 50;
/** Types with subscriptions of their own; all others come as `object.*` with their type's id. */
const CLASSIC = new Set(['contact', 'company', 'deal', 'ticket', 'product', 'line_item']);
const APP_ID = 1_160_452;
const MINUTE_MS = 60_000;

/**
 * HubSpot tries up to ten times again over the next 24 hours, after waits that it varies, when a connection fails, an answer
 * takes more than five seconds or its status is 4xx or 5xx. Here the first waits are short, so that a demo need not last a day.
 */
const POLICY: DeliveryPolicy = {
  timeoutMs: 5_000,
  waitsMs: [
    ...[1_000, 5_000, 15_000, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS],
    ...[60 * MINUTE_MS, 180 * MINUTE_MS, 360 * MINUTE_MS, 720 * MINUTE_MS],
  ],
  taken: (status) => status >= 200 && status < 300,
};

export interface HubspotWebhookTarget {
  readonly url: string;
  /** The app's client secret. */
  readonly secret: string;
}

interface HubspotPush {
  readonly eventId: number;
  readonly subscriptionId: number;
  readonly portalId: number;
  readonly appId: number;
  readonly occurredAt: number;
  readonly subscriptionType: string;
  readonly objectTypeId?: string;
  readonly objectId: number;
  readonly propertyName?: string;
  readonly propertyValue?: string;
  readonly changeSource: string;
}

export class HubspotWebhooks {
  readonly pusher: Pusher<HubspotPush>;
  readonly #portalId: number;
  #events = 0;

  constructor(portalId: number, { url, secret }: HubspotWebhookTarget) {
    this.#portalId = portalId;
    this.pusher = new Pusher({
      policy: POLICY,
      groupMax: EVENTS_PER_REQUEST_MAX,
      groupMs: GROUP_MS,
      make: (events, attempt) => {
        const body = JSON.stringify(events.map((event) => ({ ...event, attemptNumber: attempt })));
        const at = String(Date.now());
        const signature = createHmac('sha256', secret).update(`POST${url}${body}${at}`).digest('base64');
        return {
          url,
          body,
          headers: {
            'content-type': 'application/json',
            'x-hubspot-request-timestamp': at,
            'x-hubspot-signature-v3': signature,
          },
        };
      },
    });
  }

  /** One event per changed property, as HubSpot sends them. */
  tell(table: Table, index: number, change: Change, at: number): void {
    const { singular, objectTypeId } = table.spec;
    const id = Number(table.idOf(index));
    const send = (kind: string, more: Partial<HubspotPush> = {}): void => {
      this.#events += 1;
      this.pusher.push({
        ...{ eventId: this.#events, subscriptionId: Number(objectTypeId.replaceAll('-', '')) },
        ...{ portalId: this.#portalId, appId: APP_ID, occurredAt: at, changeSource: 'CRM_UI' },
        ...(CLASSIC.has(singular)
          ? { subscriptionType: `${singular}.${kind}` }
          : { subscriptionType: `object.${kind}`, objectTypeId }),
        ...{ objectId: id, ...more },
      });
    };
    switch (change.kind) {
      case 'create':
      case 'merged':
        send('creation');
        break;
      case 'update':
        for (const [propertyName, value] of Object.entries(change.values))
          send('propertyChange', { propertyName, propertyValue: value ?? '' });
        break;
      case 'restore':
        send('restore');
        break;
      case 'purge':
        send('privacyDeletion');
        break;
      // What is left is 'archive' and 'absorb': the id is gone.
      default:
        send('deletion');
    }
  }
}
