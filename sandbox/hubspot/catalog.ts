/** The account's object types, named and described as HubSpot names them. */
import { LINKS, baseTarget } from './links.ts';
import * as people from './people.ts';
import {
  choice,
  makerOf,
  property,
  system,
  type MakerFactory,
  type PropertySpec,
  type TypeSpec,
} from './property.ts';
import * as values from './values.ts';

export const PORTAL_ID = 62_515;
const CUSTOM = { hubspotDefined: false } as const;
const REQUIRED = { nullEvery: 0 } as const;

const LIFECYCLE = [
  'subscriber',
  'lead',
  'marketingqualifiedlead',
  'salesqualifiedlead',
  'opportunity',
  'customer',
];
const LEAD_STATUS = ['NEW', 'OPEN', 'IN_PROGRESS', 'OPEN_DEAL', 'UNQUALIFIED'];
const INDUSTRIES = [
  'ACCOUNTING',
  'BANKING',
  'COMPUTER_SOFTWARE',
  'FARMING',
  'HOSPITAL_HEALTH_CARE',
  'RETAIL',
];
const TOPICS = ['hiking', 'music', 'chess', 'travel', 'arts & crafts'];

const owned = (): PropertySpec => property('hubspot_owner_id', 'enumeration', values.owner, { nullEvery: 6 });

/** The name of the company that the contact's base link leads to. */
const companyText: MakerFactory = (context) => {
  const spec = LINKS.find((one) => one.from === 'contacts' && one.to === 'companies');
  if (spec === undefined) return () => null;
  const { accountSeed: seed, countOf, twins } = context;
  const target = baseTarget(spec, { seed, countOf, twins });
  const name = makerOf(context, 'companies', property('name', 'string', people.companyName));
  return (i) => {
    const index = target(i);
    return index < 0 ? null : name(index);
  };
};

interface Shape {
  readonly name: string;
  readonly singular: string;
  readonly objectTypeId: string;
  readonly labels: readonly [string, string];
  readonly primaryDisplay: string;
  readonly defaults: readonly string[];
  readonly searchable: readonly string[];
  readonly idBase: number;
  readonly createdProperty?: 'createdate';
  readonly unique?: string;
  readonly mergeable?: boolean;
  readonly custom?: boolean;
}

function type(shape: Shape, properties: readonly PropertySpec[]): TypeSpec {
  const isContact = shape.name === 'contacts';
  const cursor = isContact ? 'lastmodifieddate' : 'hs_lastmodifieddate';
  const created = shape.createdProperty ?? 'hs_createdate';
  const both = created === 'createdate' && !isContact;
  const common = [
    system('hs_object_id', 'number', 'id'),
    system(created, 'datetime', 'created'),
    ...(both ? [system('hs_createdate', 'datetime', 'created')] : []),
    system(cursor, 'datetime', 'modified'),
    ...(shape.mergeable === true ? [system('hs_merged_object_ids', 'enumeration', 'mergedIds')] : []),
  ];
  return {
    name: shape.name,
    singular: shape.singular,
    objectTypeId: shape.objectTypeId,
    labels: { singular: shape.labels[0], plural: shape.labels[1] },
    custom: shape.custom ?? false,
    cursor,
    createdProperty: created,
    primaryDisplay: shape.primaryDisplay,
    defaults: [...new Set([...shape.defaults, created, cursor, 'hs_object_id'])],
    properties: [...properties, ...common],
    searchable: shape.searchable,
    unique: shape.unique ?? null,
    mergeable: shape.mergeable ?? false,
    idBase: shape.idBase,
  };
}

const contacts = type(
  {
    ...{ name: 'contacts', singular: 'contact', objectTypeId: '0-1', labels: ['Contact', 'Contacts'] },
    ...{ primaryDisplay: 'email', defaults: ['email', 'firstname', 'lastname'], unique: 'email' },
    ...{ searchable: ['firstname', 'lastname', 'email', 'phone', 'company'], idBase: 51 },
    ...{ createdProperty: 'createdate', mergeable: true },
  },
  [
    property('email', 'string', people.email, { nullEvery: 50, hasUniqueValue: true }),
    property('firstname', 'string', people.firstName, { nullEvery: 25 }),
    property('lastname', 'string', people.lastName, { nullEvery: 60 }),
    property('phone', 'string', people.phone, { fieldType: 'phonenumber', nullEvery: 9 }),
    property('mobilephone', 'string', people.mobilePhone, { fieldType: 'phonenumber', nullEvery: 4 }),
    property('jobtitle', 'string', people.jobTitle, { nullEvery: 10 }),
    property('company', 'string', companyText, { nullEvery: 12 }),
    property('address', 'string', people.street),
    property('city', 'string', people.city),
    property('state', 'string', people.state),
    property('zip', 'string', people.zip),
    property('country', 'string', people.country),
    property('date_of_birth', 'date', people.birthDate, { nullEvery: 5 }),
    choice('lifecyclestage', LIFECYCLE, values.oneOf(LIFECYCLE), { nullEvery: 40 }),
    choice('hs_lead_status', LEAD_STATUS, values.oneOf(LEAD_STATUS), { nullEvery: 3 }),
    owned(),
    property('hs_email_optout', 'bool', people.emailOptOut, { nullEvery: 0 }),
    property('notes_last_contacted', 'datetime', values.instant, { nullEvery: 3, readOnly: true }),
    property('total_revenue', 'number', values.money, { nullEvery: 3 }),
    property('num_page_views', 'number', values.whole(900)),
    property('message', 'string', values.prose, { fieldType: 'textarea', nullEvery: 2 }),
    property('department', 'string', values.awkward, CUSTOM),
    property('customer_number', 'string', values.leadingZeros, { ...CUSTOM, nullEvery: 3 }),
    choice('topics', TOPICS, values.severalOf(TOPICS), { ...CUSTOM, fieldType: 'checkbox' }),
    property('newsletter', 'bool', values.flag, { ...CUSTOM, nullEvery: 6 }),
    property('hs_additional_emails', 'string', () => () => null),
  ],
);

const companies = type(
  {
    ...{ name: 'companies', singular: 'company', objectTypeId: '0-2', labels: ['Company', 'Companies'] },
    ...{
      primaryDisplay: 'name',
      defaults: ['domain', 'name'],
      searchable: ['website', 'phone', 'name', 'domain'],
    },
    ...{ idBase: 7001, createdProperty: 'createdate', mergeable: true },
  },
  [
    property('name', 'string', people.companyName, { nullEvery: 80 }),
    property('domain', 'string', people.domain, { nullEvery: 15 }),
    property('phone', 'string', people.companyPhone, { fieldType: 'phonenumber' }),
    property('city', 'string', people.companyCity),
    property('country', 'string', people.companyCountry),
    property('zip', 'string', people.companyZip),
    choice('industry', INDUSTRIES, values.oneOf(INDUSTRIES)),
    choice('lifecyclestage', LIFECYCLE, values.oneOf(LIFECYCLE)),
    property('numberofemployees', 'number', people.employees),
    property('annualrevenue', 'number', values.money, { nullEvery: 3 }),
    property('description', 'string', values.prose, { fieldType: 'textarea', nullEvery: 2 }),
    property('is_public', 'bool', values.flag),
    owned(),
  ],
);

export const DEAL_STAGES = [
  'appointmentscheduled',
  'qualifiedtobuy',
  'contractsent',
  'closedwon',
  'closedlost',
];
export const TICKET_STAGES = ['1', '2', '3', '4'];

const deals = type(
  {
    ...{ name: 'deals', singular: 'deal', objectTypeId: '0-3', labels: ['Deal', 'Deals'], idBase: 9_000_001 },
    ...{ primaryDisplay: 'dealname', defaults: ['amount', 'closedate', 'dealname', 'dealstage', 'pipeline'] },
    ...{ searchable: ['dealname', 'pipeline', 'dealstage'], createdProperty: 'createdate', mergeable: true },
  },
  [
    property('dealname', 'string', values.named('renewal'), REQUIRED),
    property('amount', 'number', values.money, { nullEvery: 9 }),
    property('closedate', 'datetime', values.instant),
    choice('pipeline', ['default'], values.oneOf(['default']), REQUIRED),
    choice('dealstage', DEAL_STAGES, values.oneOf(DEAL_STAGES), REQUIRED),
    choice(
      'dealtype',
      ['newbusiness', 'existingbusiness'],
      values.oneOf(['newbusiness', 'existingbusiness']),
    ),
    property('description', 'string', values.prose, { fieldType: 'textarea', nullEvery: 3 }),
    owned(),
  ],
);

const tickets = type(
  {
    ...{
      name: 'tickets',
      singular: 'ticket',
      objectTypeId: '0-5',
      labels: ['Ticket', 'Tickets'],
      idBase: 20_051,
    },
    ...{ primaryDisplay: 'subject', searchable: ['subject', 'content'] },
    ...{ defaults: ['content', 'hs_pipeline', 'hs_pipeline_stage', 'hs_ticket_priority', 'subject'] },
    ...{ createdProperty: 'createdate', mergeable: true },
  },
  [
    property('subject', 'string', values.awkward, REQUIRED),
    property('content', 'string', values.prose, { fieldType: 'textarea', nullEvery: 3 }),
    choice('hs_pipeline', ['0'], values.oneOf(['0']), REQUIRED),
    choice('hs_pipeline_stage', TICKET_STAGES, values.oneOf(TICKET_STAGES), REQUIRED),
    choice('hs_ticket_priority', ['LOW', 'MEDIUM', 'HIGH'], values.oneOf(['LOW', 'MEDIUM', 'HIGH'])),
    property('closed_date', 'datetime', values.instant, { nullEvery: 2 }),
    owned(),
  ],
);

const products = type(
  {
    ...{ name: 'products', singular: 'product', objectTypeId: '0-7', labels: ['Product', 'Products'] },
    ...{ primaryDisplay: 'name', defaults: ['description', 'name', 'price'], idBase: 301 },
    ...{ searchable: ['name', 'hs_sku'], createdProperty: 'createdate' },
  },
  [
    property('name', 'string', values.named('plan'), REQUIRED),
    property('hs_sku', 'string', values.code('SKU'), { nullEvery: 0, hasUniqueValue: true }),
    property('price', 'number', values.money, REQUIRED),
    property('description', 'string', values.prose, { nullEvery: 2 }),
  ],
);

const lineItems = type(
  {
    ...{
      name: 'line_items',
      singular: 'line_item',
      objectTypeId: '0-8',
      labels: ['Line item', 'Line items'],
    },
    ...{ primaryDisplay: 'name', defaults: ['quantity', 'amount', 'price'], idBase: 61_000_001 },
    ...{ searchable: ['name'], createdProperty: 'createdate' },
  },
  [
    property('name', 'string', values.named('plan'), REQUIRED),
    property('quantity', 'number', values.whole(40), REQUIRED),
    property('price', 'number', values.money, REQUIRED),
    property('amount', 'number', values.money, { readOnly: true, calculated: true, nullEvery: 0 }),
    property(
      'hs_product_id',
      'number',
      (context) => {
        const rows = context.countOf('products');
        const any = values.whole(Math.max(1, rows))(context);
        return (i) => (rows === 0 ? null : context.idOf('products', Number(any(i))));
      },
      { nullEvery: 10 },
    ),
  ],
);

const orders = type(
  {
    ...{ name: 'orders', singular: 'order', objectTypeId: '0-123', labels: ['Order', 'Orders'] },
    ...{ primaryDisplay: 'hs_order_name', defaults: ['hs_order_name', 'hs_total_price'], idBase: 410_001 },
    ...{ searchable: ['hs_order_name'] },
  },
  [
    property('hs_order_name', 'string', values.code('Order'), REQUIRED),
    property('hs_total_price', 'number', values.money),
    choice('hs_currency_code', ['EUR', 'USD', 'JPY'], values.oneOf(['EUR', 'USD', 'JPY']), REQUIRED),
    choice(
      'hs_fulfillment_status',
      ['Packing', 'Shipped', 'Delivered'],
      values.oneOf(['Packing', 'Shipped', 'Delivered']),
    ),
    property('hs_external_created_date', 'datetime', values.instant),
  ],
);

function engagement(
  name: string,
  labels: readonly [string, string],
  objectTypeId: string,
  idBase: number,
  display: string,
  properties: readonly PropertySpec[],
): TypeSpec {
  const shape = { name, singular: name.slice(0, -1), objectTypeId, labels, primaryDisplay: display, idBase };
  return type({ ...shape, defaults: [], searchable: [display] }, [
    property('hs_timestamp', 'datetime', values.instant, REQUIRED),
    ...properties,
    owned(),
  ]);
}

const STATUSES = ['NOT_STARTED', 'IN_PROGRESS', 'COMPLETED'];
const DIRECTIONS = ['INBOUND', 'OUTBOUND'];

const memberships = type(
  {
    ...{
      name: 'memberships',
      singular: 'membership',
      objectTypeId: '2-1870042',
      labels: ['Membership', 'Memberships'],
    },
    ...{ primaryDisplay: 'membership_number', defaults: ['membership_number'], idBase: 800_001 },
    ...{ searchable: ['membership_number'], custom: true, unique: 'membership_number' },
  },
  [
    property('membership_number', 'string', values.code('M'), {
      ...CUSTOM,
      nullEvery: 0,
      hasUniqueValue: true,
    }),
    choice('plan', ['free', 'team', 'enterprise'], values.oneOf(['free', 'team', 'enterprise']), CUSTOM),
    property('seats', 'number', values.whole(500), CUSTOM),
    property('starts_on', 'date', values.day, CUSTOM),
    property('auto_renew', 'bool', values.flag, CUSTOM),
  ],
);

/** Each type with its share of all records. */
export const TYPES: readonly { readonly spec: TypeSpec; readonly share: number }[] = [
  { spec: contacts, share: 0.5 },
  { spec: companies, share: 0.12 },
  { spec: deals, share: 0.1 },
  { spec: tickets, share: 0.08 },
  { spec: products, share: 0.01 },
  { spec: lineItems, share: 0.05 },
  { spec: orders, share: 0.03 },
  {
    spec: engagement('calls', ['Call', 'Calls'], '0-48', 5_100_001, 'hs_call_title', [
      property('hs_call_title', 'string', values.awkward),
      property('hs_call_body', 'string', values.html, { fieldType: 'html' }),
      property('hs_call_duration', 'number', values.whole(3_600_000)),
      choice('hs_call_direction', DIRECTIONS, values.oneOf(DIRECTIONS)),
    ]),
    share: 0.02,
  },
  {
    spec: engagement('emails', ['Email', 'Emails'], '0-49', 5_200_001, 'hs_email_subject', [
      property('hs_email_subject', 'string', values.awkward),
      property('hs_email_text', 'string', values.prose, { fieldType: 'textarea' }),
      choice('hs_email_direction', ['EMAIL', 'INCOMING_EMAIL'], values.oneOf(['EMAIL', 'INCOMING_EMAIL'])),
    ]),
    share: 0.02,
  },
  {
    spec: engagement('meetings', ['Meeting', 'Meetings'], '0-47', 5_300_001, 'hs_meeting_title', [
      property('hs_meeting_title', 'string', values.awkward),
      property('hs_meeting_start_time', 'datetime', values.instant),
      property('hs_meeting_end_time', 'datetime', values.instant),
    ]),
    share: 0.01,
  },
  {
    spec: engagement('notes', ['Note', 'Notes'], '0-46', 5_400_001, 'hs_note_body', [
      property('hs_note_body', 'string', values.html, { fieldType: 'html', nullEvery: 0 }),
    ]),
    share: 0.03,
  },
  {
    spec: engagement('tasks', ['Task', 'Tasks'], '0-27', 5_500_001, 'hs_task_subject', [
      property('hs_task_subject', 'string', values.awkward, REQUIRED),
      choice('hs_task_status', STATUSES, values.oneOf(STATUSES), REQUIRED),
      choice('hs_task_priority', ['LOW', 'MEDIUM', 'HIGH'], values.oneOf(['LOW', 'MEDIUM', 'HIGH'])),
    ]),
    share: 0.02,
  },
  { spec: memberships, share: 0.01 },
];
