import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { ObjectListing } from '../source.ts';
import { pairOf } from './associations.ts';
import type { HubspotClient } from './client.ts';

/** What a token may read changes seldom, and asking costs a call per object. */
const CATALOG_AGE_MS_MAX = 6 * 3_600_000;
const LOOKS_AT_ONCE = 4;

const LABELS: Record<string, string> = {
  contacts: 'Contacts',
  companies: 'Companies',
  deals: 'Deals',
  tickets: 'Tickets',
  leads: 'Leads',
  products: 'Products',
  line_items: 'Line items',
  quotes: 'Quotes',
  orders: 'Orders',
  carts: 'Carts',
  invoices: 'Invoices',
  subscriptions: 'Subscriptions',
  commerce_payments: 'Payments',
  discounts: 'Discounts',
  fees: 'Fees',
  taxes: 'Taxes',
  calls: 'Calls',
  emails: 'Emails',
  meetings: 'Meetings',
  notes: 'Notes',
  tasks: 'Tasks',
  communications: 'Communications',
  postal_mail: 'Postal mail',
  feedback_submissions: 'Feedback submissions',
  goal_targets: 'Goals',
  appointments: 'Appointments',
  courses: 'Courses',
  listings: 'Listings',
  services: 'Services',
};

/** Offered by name; any other two objects can be named in `objects`. */
export const PAIRS: readonly string[] = [
  'contacts~companies',
  'deals~contacts',
  'deals~companies',
  'deals~line_items',
  'tickets~contacts',
  'tickets~companies',
];

const schemasSchema = z.object({
  results: z.array(
    z.object({
      fullyQualifiedName: z.string(),
      archived: z.boolean().nullish(),
      labels: z.object({ plural: z.string().nullish() }).nullish(),
    }),
  ),
});

/** The account's objects, and which of them the token may read; remembered for six hours. */
export class Catalog {
  private readonly client: HubspotClient;
  private loaded: { at: number; listing: Promise<ObjectListing[]> } | undefined;

  constructor(client: HubspotClient) {
    this.client = client;
  }

  async list(): Promise<ObjectListing[]> {
    const now = this.client.context.now();
    if (this.loaded === undefined || now - this.loaded.at > CATALOG_AGE_MS_MAX) {
      const listing = this.load();
      this.loaded = { at: now, listing };
      // A failure must not be remembered for hours.
      listing.catch(() => {
        if (this.loaded?.listing === listing) this.loaded = undefined;
      });
    }
    return this.loaded.listing;
  }

  private async load(): Promise<ObjectListing[]> {
    const custom = await this.custom();
    const names = [...Object.keys(LABELS), ...custom.keys()];
    const reasons = new Map<string, string | undefined>();
    for (let at = 0; at < names.length; at += LOOKS_AT_ONCE) {
      const some = names.slice(at, at + LOOKS_AT_ONCE);
      const found = await Promise.all(some.map((name) => whyNot(this.client, name)));
      some.forEach((name, index) => reasons.set(name, found[index]));
    }
    const objects = names.map((object) =>
      entry(object, custom.get(object) ?? LABELS[object] ?? object, custom.has(object), reasons.get(object)),
    );
    const { objects: configured } = this.client.config;
    const named = configured === 'all' ? [] : configured.filter((object) => pairOf(object) !== undefined);
    const pairs = [...new Set([...PAIRS, ...named])].map((object) => {
      const { from, to } = pairOf(object) ?? { from: object, to: object };
      const why = reasons.get(from) ?? reasons.get(to);
      return entry(object, `${from} and their ${to}`, false, why);
    });
    return [...objects, ...pairs];
  }

  /** Custom objects by the name that their paths have. */
  private async custom(): Promise<Map<string, string>> {
    try {
      const path = this.client.path('crm-object-schemas', 'schemas');
      const answer = schemasSchema.safeParse(await this.client.json({ method: 'GET', path })).data;
      if (answer === undefined)
        throw new HeadwaterError('SOURCE_PROTOCOL', 'the list of custom objects is no list');
      return new Map(
        answer.results
          .filter(({ archived }) => archived !== true)
          .map(({ fullyQualifiedName, labels }) => [
            fullyQualifiedName,
            labels?.plural ?? fullyQualifiedName,
          ]),
      );
    } catch (error) {
      // Without the scope, or in an edition without custom objects, there are none to list.
      if (isRefusal(error)) return new Map();
      throw error;
    }
  }
}

function entry(object: string, label: string, custom: boolean, reason: string | undefined): ObjectListing {
  return {
    object,
    label,
    custom,
    syncable: reason === undefined,
    ...(reason === undefined ? {} : { reason }),
  };
}

/** One call: why an object cannot be read; undefined: it can. */
export async function whyNot(client: HubspotClient, object: string): Promise<string | undefined> {
  try {
    await client.json({ method: 'GET', path: client.objectPath(object, '?limit=1') });
    return undefined;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (error.code !== 'PERMISSION_DENIED') return 'not an object of this account';
    const scope = /needs the scope (.+)$/.exec(error.message)?.[1];
    return scope === undefined ? 'the token may not read it' : `the token lacks the scope ${scope}`;
  }
}

function isRefusal(error: unknown): error is HeadwaterError {
  return (
    error instanceof HeadwaterError &&
    ['PERMISSION_DENIED', 'OBJECT_UNKNOWN', 'SOURCE_REJECTED'].includes(error.code)
  );
}
