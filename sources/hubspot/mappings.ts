import { mapTo, type Mapping, type SourceValue } from '../../mapping/mapping.ts';
import {
  account,
  activity,
  consent,
  contact,
  deal,
  order,
  orderLine,
  product,
  ticket,
} from '../../schemas/entities/index.ts';

/** HubSpot keeps choices by internal names: `NEW_LEAD`, `closedwon`; people read words. */
const LIFECYCLE = {
  marketingqualifiedlead: 'Marketing qualified lead',
  salesqualifiedlead: 'Sales qualified lead',
  subscriber: 'Subscriber',
  lead: 'Lead',
  opportunity: 'Opportunity',
  customer: 'Customer',
  evangelist: 'Evangelist',
  other: 'Other',
};
const STAGES = {
  closedwon: 'Closed Won',
  closedlost: 'Closed Lost',
  appointmentscheduled: 'Appointment scheduled',
  qualifiedtobuy: 'Qualified to buy',
  presentationscheduled: 'Presentation scheduled',
  decisionmakerboughtin: 'Decision maker bought in',
  contractsent: 'Contract sent',
};

const unless = (value: SourceValue): boolean | null =>
  value === null ? null : value !== true && value !== 'true';
const OWNER = { from: 'hubspot_owner_id', refersTo: 'owners' } as const;

function engagement(
  type: string,
  subject: string,
  body: string | undefined,
  happenedAt = 'hs_timestamp',
): Mapping {
  return mapTo(activity, {
    fields: {
      type: { constant: type },
      subject,
      ...(body === undefined ? {} : { body }),
      happenedAt,
      owner: OWNER,
    },
  });
}

/** Ready mappings of the standard objects; a configuration replaces any of them. Properties that a portal lacks make no claim. */
export const mappings: Readonly<Record<string, readonly Mapping[]>> = {
  contacts: [
    mapTo(contact, {
      fields: {
        email: 'email',
        secondaryEmail: 'work_email',
        phone: 'phone',
        mobilePhone: 'mobilephone',
        salutation: 'salutation',
        firstName: 'firstname',
        lastName: 'lastname',
        jobTitle: 'jobtitle',
        department: 'department',
        company: 'company',
        owner: OWNER,
        street: 'address',
        city: 'city',
        state: 'state',
        postalCode: 'zip',
        country: 'country',
        birthday: 'date_of_birth',
        language: 'hs_language',
        website: 'website',
        lifecycleStage: { from: 'lifecyclestage', values: LIFECYCLE },
        leadSource: 'hs_analytics_source',
        interests: 'topics',
        lifetimeValue: 'total_revenue',
        score: 'hubspotscore',
        lastSeenAt: 'notes_last_contacted',
        createdAt: 'createdate',
      },
      mergedFrom: 'hs_merged_object_ids',
    }),
    mapTo(consent, {
      part: 'consent',
      fields: {
        email: 'email',
        emailMarketing: { from: ['hs_email_optout'], make: unless },
        contact: { from: 'id', refersTo: 'contacts' },
      },
    }),
  ],
  companies: [
    mapTo(account, {
      fields: {
        name: 'name',
        domain: 'domain',
        phone: 'phone',
        industry: 'industry',
        type: 'type',
        employees: 'numberofemployees',
        annualRevenue: 'annualrevenue',
        street: 'address',
        city: 'city',
        state: 'state',
        postalCode: 'zip',
        country: 'country',
        parent: { from: 'hs_parent_company_id', refersTo: 'companies' },
        owner: OWNER,
        description: 'description',
        createdAt: 'createdate',
      },
      mergedFrom: 'hs_merged_object_ids',
    }),
  ],
  deals: [
    mapTo(deal, {
      fields: {
        name: 'dealname',
        stage: { from: 'dealstage', values: STAGES },
        pipeline: 'pipeline',
        amount: 'amount',
        currency: 'deal_currency_code',
        closeDate: 'closedate',
        closed: 'hs_is_closed',
        won: 'hs_is_closed_won',
        type: 'dealtype',
        nextStep: 'hs_next_step',
        owner: OWNER,
        description: 'description',
        createdAt: 'createdate',
      },
    }),
  ],
  tickets: [
    mapTo(ticket, {
      fields: {
        number: 'id',
        subject: 'subject',
        description: 'content',
        status: 'hs_pipeline_stage',
        priority: 'hs_ticket_priority',
        category: 'hs_ticket_category',
        channel: 'source_type',
        owner: OWNER,
        openedAt: 'createdate',
        closedAt: 'closed_date',
      },
    }),
  ],
  products: [
    mapTo(product, {
      fields: {
        sku: 'hs_sku',
        name: 'name',
        description: 'description',
        price: 'price',
        cost: 'hs_cost_of_goods_sold',
      },
    }),
  ],
  orders: [
    mapTo(order, {
      fields: {
        number: 'hs_order_name',
        status: 'hs_pipeline_stage',
        total: 'hs_total_price',
        currency: 'hs_currency_code',
        placedAt: 'hs_external_created_date',
        fulfilmentStatus: 'hs_fulfillment_status',
        trackingNumber: 'hs_shipping_tracking_number',
        shippingStreet: 'hs_shipping_address_street',
        shippingCity: 'hs_shipping_address_city',
        shippingPostalCode: 'hs_shipping_address_postal_code',
        shippingCountry: 'hs_shipping_address_country',
      },
    }),
  ],
  line_items: [
    mapTo(orderLine, {
      fields: {
        product: { from: 'hs_product_id', refersTo: 'products' },
        position: 'hs_position_on_quote',
        name: 'name',
        sku: 'hs_sku',
        quantity: 'quantity',
        unitPrice: 'price',
        discount: 'discount',
        total: 'amount',
      },
    }),
  ],
  calls: [engagement('call', 'hs_call_title', 'hs_call_body')],
  emails: [engagement('email', 'hs_email_subject', 'hs_email_text')],
  meetings: [engagement('meeting', 'hs_meeting_title', 'hs_meeting_body', 'hs_meeting_start_time')],
  notes: [engagement('note', 'hs_note_body', undefined)],
  tasks: [engagement('task', 'hs_task_subject', 'hs_task_body')],
};
