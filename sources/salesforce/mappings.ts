import { mapTo, type Mapping, type SourceValue } from '../../mapping/mapping.ts';
import type { ClaimValue } from '../../schemas/observation.ts';
import {
  account,
  activity,
  consent,
  contact,
  deal,
  employee,
  order,
  orderLine,
  product,
  ticket,
} from '../../schemas/entities/index.ts';

const unless = (value: SourceValue): boolean | null =>
  value === null ? null : value !== true && value !== 'true';

/** A checkbox is never empty: whose word is unknown has not refused. */
const unlessNot = (value: ClaimValue): readonly SourceValue[] => [value === false];

/** A who-id names a contact or a lead by its prefix (Salesforce's record id prefixes: 003 contact, 00Q lead). */
const PERSON = {
  from: 'WhoId',
  refersTo: (id: string) => (id.startsWith('00Q') ? 'Lead' : 'Contact'),
} as const;
const OWNER = { from: 'OwnerId', refersTo: 'User' } as const;
const ACCOUNT = { from: 'AccountId', refersTo: 'Account' } as const;

/** Ready mappings of the standard objects; a configuration replaces any of them. Fields that an org lacks make no claim. */
export const mappings: Readonly<Record<string, readonly Mapping[]>> = {
  Contact: [
    mapTo(contact, {
      fields: {
        email: 'Email',
        phone: 'Phone',
        mobilePhone: 'MobilePhone',
        salutation: 'Salutation',
        firstName: 'FirstName',
        lastName: 'LastName',
        jobTitle: 'Title',
        department: 'Department',
        account: ACCOUNT,
        owner: OWNER,
        street: 'MailingStreet',
        city: 'MailingCity',
        state: 'MailingState',
        postalCode: 'MailingPostalCode',
        country: 'MailingCountry',
        birthday: 'Birthdate',
        leadSource: 'LeadSource',
        createdAt: 'CreatedDate',
      },
      mergedInto: 'MasterRecordId',
    }),
    mapTo(consent, {
      part: 'consent',
      fields: {
        email: 'Email',
        emailMarketing: { from: ['HasOptedOutOfEmail'], make: unless, undo: unlessNot },
        phoneMarketing: { from: ['DoNotCall'], make: unless, undo: unlessNot },
        contact: { from: 'Id', refersTo: 'Contact' },
      },
    }),
  ],
  Lead: [
    mapTo(contact, {
      fields: {
        email: 'Email',
        phone: 'Phone',
        mobilePhone: 'MobilePhone',
        salutation: 'Salutation',
        firstName: 'FirstName',
        lastName: 'LastName',
        jobTitle: 'Title',
        company: 'Company',
        owner: OWNER,
        street: 'Street',
        city: 'City',
        state: 'State',
        postalCode: 'PostalCode',
        country: 'Country',
        leadSource: 'LeadSource',
        lifecycleStage: 'Status',
        createdAt: 'CreatedDate',
      },
      mergedInto: 'MasterRecordId',
    }),
  ],
  Account: [
    mapTo(account, {
      fields: {
        name: 'Name',
        domain: 'Website',
        accountNumber: 'AccountNumber',
        phone: 'Phone',
        industry: 'Industry',
        type: 'Type',
        employees: 'NumberOfEmployees',
        annualRevenue: 'AnnualRevenue',
        street: 'BillingStreet',
        city: 'BillingCity',
        state: 'BillingState',
        postalCode: 'BillingPostalCode',
        country: 'BillingCountry',
        parent: { from: 'ParentId', refersTo: 'Account' },
        owner: OWNER,
        description: 'Description',
        createdAt: 'CreatedDate',
      },
      mergedInto: 'MasterRecordId',
    }),
  ],
  Opportunity: [
    mapTo(deal, {
      fields: {
        name: 'Name',
        stage: 'StageName',
        amount: 'Amount',
        currency: 'CurrencyIsoCode',
        probability: 'Probability',
        closeDate: 'CloseDate',
        closed: 'IsClosed',
        won: 'IsWon',
        type: 'Type',
        leadSource: 'LeadSource',
        nextStep: 'NextStep',
        account: ACCOUNT,
        contact: { from: 'ContactId', refersTo: 'Contact' },
        owner: OWNER,
        description: 'Description',
        createdAt: 'CreatedDate',
      },
    }),
  ],
  Case: [
    mapTo(ticket, {
      fields: {
        number: 'CaseNumber',
        subject: 'Subject',
        description: 'Description',
        status: 'Status',
        priority: 'Priority',
        category: 'Type',
        channel: 'Origin',
        closed: 'IsClosed',
        contact: { from: 'ContactId', refersTo: 'Contact' },
        account: ACCOUNT,
        owner: OWNER,
        openedAt: 'CreatedDate',
        closedAt: 'ClosedDate',
      },
      mergedInto: 'MasterRecordId',
    }),
  ],
  Task: [
    mapTo(activity, {
      fields: {
        type: { constant: 'task' },
        subject: 'Subject',
        body: 'Description',
        happenedAt: 'CreatedDate',
        contact: PERSON,
        owner: OWNER,
        status: 'Status',
      },
    }),
  ],
  Event: [
    mapTo(activity, {
      fields: {
        type: { constant: 'meeting' },
        subject: 'Subject',
        body: 'Description',
        happenedAt: 'StartDateTime',
        contact: PERSON,
        owner: OWNER,
      },
    }),
  ],
  User: [
    mapTo(employee, {
      fields: {
        email: 'Email',
        firstName: 'FirstName',
        lastName: 'LastName',
        phone: 'Phone',
        jobTitle: 'Title',
        department: 'Department',
        active: 'IsActive',
      },
    }),
  ],
  Product2: [
    mapTo(product, {
      fields: {
        sku: 'ProductCode',
        name: 'Name',
        description: 'Description',
        family: 'Family',
        active: 'IsActive',
        currency: 'CurrencyIsoCode',
      },
    }),
  ],
  Order: [
    mapTo(order, {
      fields: {
        number: 'OrderNumber',
        status: 'Status',
        total: 'TotalAmount',
        currency: 'CurrencyIsoCode',
        orderDate: 'EffectiveDate',
        account: ACCOUNT,
        contact: { from: 'BillToContactId', refersTo: 'Contact' },
        shippingStreet: 'ShippingStreet',
        shippingCity: 'ShippingCity',
        shippingPostalCode: 'ShippingPostalCode',
        shippingCountry: 'ShippingCountry',
      },
    }),
  ],
  OrderItem: [
    mapTo(orderLine, {
      fields: {
        order: { from: 'OrderId', refersTo: 'Order' },
        product: { from: 'Product2Id', refersTo: 'Product2' },
        position: 'OrderItemNumber',
        quantity: 'Quantity',
        unitPrice: 'UnitPrice',
        total: 'TotalPrice',
      },
    }),
  ],
};
