import type { HubspotEvent } from './webhooks.ts';

/** Plural names, as paths have them, by the singular of classic subscriptions and by type id. Source: HubSpot, "Understanding the CRM". */
const TYPES: Readonly<Record<string, string>> = {
  ...{ contact: 'contacts', '0-1': 'contacts', company: 'companies', '0-2': 'companies' },
  ...{ deal: 'deals', '0-3': 'deals', ticket: 'tickets', '0-5': 'tickets' },
  ...{ product: 'products', '0-7': 'products', line_item: 'line_items', '0-8': 'line_items' },
  ...{ '0-14': 'quotes', '0-18': 'communications', '0-19': 'feedback_submissions', '0-27': 'tasks' },
  ...{ '0-46': 'notes', '0-47': 'meetings', '0-48': 'calls', '0-49': 'emails', '0-53': 'invoices' },
  ...{
    '0-69': 'subscriptions',
    '0-74': 'goal_targets',
    '0-84': 'discounts',
    '0-85': 'fees',
    '0-86': 'taxes',
  },
  ...{ '0-101': 'commerce_payments', '0-116': 'postal_mail', '0-123': 'orders', '0-136': 'leads' },
  ...{
    '0-142': 'carts',
    '0-162': 'services',
    '0-410': 'courses',
    '0-420': 'listings',
    '0-421': 'appointments',
  },
};

/** The configuration's names come first; a custom type without one keeps its id. */
export function typeNamed(written: string, own: Readonly<Record<string, string>>): string | undefined {
  if (Object.hasOwn(own, written)) return own[written];
  if (Object.hasOwn(TYPES, written)) return TYPES[written];
  return /^2-\d+$/.test(written) ? written : undefined;
}

/**
 * HubSpot's own association types, from → to: [without label, primary]. Classic events name a direction and no type. Source:
 * HubSpot, "Associations", list of default type ids.
 */
const DEFAULTS: Readonly<Record<string, readonly [number, number?]>> = {
  'contacts~companies': [279, 1],
  'companies~contacts': [280, 2],
  'deals~contacts': [3],
  'contacts~deals': [4],
  'deals~companies': [341, 5],
  'companies~deals': [342, 6],
  'tickets~contacts': [16],
  'contacts~tickets': [15],
  'tickets~companies': [339, 26],
  'companies~tickets': [340, 25],
  'deals~line_items': [19],
  'line_items~deals': [20],
};

const CLASSIC = /^([A-Z]+(?:_[A-Z]+)*)_TO_([A-Z]+(?:_[A-Z]+)*)$/;

interface PairKey {
  object: string;
  record: string;
}

/**
 * Keys of the association as the rows of `from~to` have them. A labelled one whose type the event does not tell is left to the
 * next read of all associations.
 */
export function pairKeyOf(event: HubspotEvent, own: Readonly<Record<string, string>>): PairKey[] {
  const { fromObjectId, toObjectId } = event;
  const [, classicFrom = '', classicTo = ''] = CLASSIC.exec(event.associationType ?? '') ?? [];
  const from = typeNamed(event.fromObjectTypeId ?? classicFrom.toLowerCase(), own);
  const to = typeNamed(event.toObjectTypeId ?? classicTo.toLowerCase(), own);
  if (from === undefined || to === undefined || !fromObjectId || !toObjectId) return [];
  const told = event.associationTypeId ?? undefined;
  const straight = `${from}~${to}`;
  const keys: PairKey[] =
    told === undefined
      ? []
      : [
          {
            object: straight,
            record: `${fromObjectId}:${toObjectId}:${event.associationCategory ?? 'HUBSPOT_DEFINED'}:${told}`,
          },
        ];
  const ends = [
    { object: straight, ids: `${fromObjectId}:${toObjectId}` },
    { object: `${to}~${from}`, ids: `${toObjectId}:${fromObjectId}` },
  ];
  for (const { object, ids } of ends) {
    const [plain, primary] = DEFAULTS[object] ?? [];
    const types = event.isPrimaryAssociation === true ? [plain, primary] : [plain];
    for (const type of types) {
      if (type !== undefined) keys.push({ object, record: `${ids}:HUBSPOT_DEFINED:${type}` });
    }
  }
  return [...new Map(keys.map((key) => [`${key.object} ${key.record}`, key])).values()];
}
