/** The sandbox's standard and custom objects. Order and names of fields follow Salesforce's own describe. */
import {
  ID,
  OBJECT_FLAGS,
  addressFields,
  amount,
  choice,
  field,
  flag,
  link,
  systemFields,
  text,
  type FieldSpec,
  type ObjectSpec,
} from './fields.ts';

const INDUSTRIES = [
  'Agriculture',
  'Banking',
  'Energy',
  'Healthcare',
  'Retail',
  'Technology',
  'Not For Profit',
];
const SOURCES = ['Web', 'Phone Inquiry', 'Partner Referral', 'Purchased List', 'Other'];
const REQUIRED = { nillable: false, nullEvery: 0 } as const;
const FORMULA = { calculated: true, createable: false, updateable: false, nullEvery: 0 } as const;

function ordinary(
  name: string,
  prefix: string,
  fields: readonly FieldSpec[],
  mergeable: string | null = null,
): ObjectSpec {
  return {
    name,
    label: name.replace(/__c$/, ''),
    prefix,
    fields: [ID, ...fields, ...systemFields(mergeable)],
    flags: OBJECT_FLAGS,
    stampField: 'SystemModstamp',
  };
}

const personName = (nullEvery: number): FieldSpec[] => [
  text('LastName', 80, { ...REQUIRED, make: 'lastName', compoundFieldName: 'Name' }),
  text('FirstName', 40, { make: 'firstName', compoundFieldName: 'Name', nullEvery }),
  choice('Salutation', ['Mr.', 'Ms.', 'Mrs.', 'Dr.', 'Prof.'], { compoundFieldName: 'Name' }),
  text('Name', 121, { ...REQUIRED, make: 'personName', createable: false, updateable: false }),
];

const contact = ordinary(
  'Contact',
  '003',
  [
    link('AccountId', ['Account'], { nullEvery: 12 }),
    ...personName(20),
    text('Title', 128, { make: 'title' }),
    text('Department', 80, { make: 'awkward' }),
    field('Email', 'email', { length: 80, make: 'email', nullEvery: 10 }),
    field('Phone', 'phone', { length: 40, nullEvery: 6 }),
    field('MobilePhone', 'phone', { length: 40, nullEvery: 3 }),
    ...addressFields('Mailing', 7),
    field('Birthdate', 'date', { make: 'birthdate', nullEvery: 4 }),
    choice('LeadSource', SOURCES),
    field('Description', 'textarea', { length: 32_000, make: 'prose', nullEvery: 2 }),
    flag('HasOptedOutOfEmail'),
    flag('DoNotCall'),
    text('External_Id__c', 32, { make: 'externalId', externalId: true, unique: true, nullEvery: 0 }),
    text('Legacy_Code__c', 16, { make: 'leadingZeros' }),
    amount('Lifetime_Value__c', 'currency', 18, 2),
    amount('Score__c', 'double', 16, 4),
    amount('Discount__c', 'percent', 5, 2),
    amount('Visits__c', 'double', 9, 0),
    field('Interests__c', 'multipicklist', {
      length: 4099,
      picklist: ['Hiking', 'Music', 'Chess', 'Travel'],
    }),
    field('Last_Seen__c', 'datetime', { nullEvery: 5 }),
    text('Greeting__c', 1300, { ...FORMULA, make: 'greeting' }),
  ],
  'Contact',
);

const account = ordinary(
  'Account',
  '001',
  [
    text('Name', 255, { ...REQUIRED, make: 'companyName' }),
    choice('Type', ['Prospect', 'Customer', 'Partner']),
    choice('Industry', INDUSTRIES),
    link('ParentId', ['Account'], { nullEvery: 2 }),
    field('Phone', 'phone', { length: 40 }),
    field('Website', 'url', { length: 255, make: 'website' }),
    amount('AnnualRevenue', 'currency', 18, 0, { nullEvery: 3 }),
    field('NumberOfEmployees', 'int', { make: 'count' }),
    ...addressFields('Billing', 9),
    field('Description', 'textarea', { length: 32_000, make: 'prose', nullEvery: 2 }),
    text('AccountNumber', 40, { make: 'leadingZeros' }),
    text('External_Id__c', 32, { make: 'externalId', externalId: true, unique: true, nullEvery: 0 }),
    flag('Active__c'),
  ],
  'Account',
);

const lead = ordinary(
  'Lead',
  '00Q',
  [
    ...personName(15),
    text('Company', 255, { ...REQUIRED, make: 'companyName' }),
    text('Title', 128, { make: 'title' }),
    field('Email', 'email', { length: 80, make: 'email', nullEvery: 10 }),
    field('Phone', 'phone', { length: 40 }),
    ...addressFields('', 7).filter((part) => part.type !== 'double'),
    choice('Status', ['Open', 'Working', 'Closed - Converted', 'Closed - Not Converted'], REQUIRED),
    choice('LeadSource', SOURCES),
    amount('AnnualRevenue', 'currency', 18, 0, { nullEvery: 4 }),
    flag('IsConverted', { createable: false, updateable: false }),
  ],
  'Lead',
);

const opportunity = ordinary('Opportunity', '006', [
  link('AccountId', ['Account'], { nullEvery: 30 }),
  text('Name', 120, { ...REQUIRED, make: 'dealName' }),
  choice('StageName', ['Prospecting', 'Proposal', 'Negotiation', 'Closed Won', 'Closed Lost'], REQUIRED),
  amount('Amount', 'currency', 18, 2, { nullEvery: 9 }),
  amount('Probability', 'percent', 3, 0),
  amount('ExpectedRevenue', 'currency', 18, 2, { ...FORMULA, make: 'expectedRevenue' }),
  field('CloseDate', 'date', REQUIRED),
  text('NextStep', 255, { make: 'awkward' }),
  field('Description', 'textarea', { length: 32_000, make: 'prose', nullEvery: 3 }),
  flag('IsPrivate'),
]);

const ticket = ordinary(
  'Case',
  '500',
  [
    text('CaseNumber', 30, { ...REQUIRED, make: 'leadingZeros', createable: false, updateable: false }),
    link('ContactId', ['Contact'], { nullEvery: 10 }),
    link('AccountId', ['Account'], { nullEvery: 10 }),
    text('Subject', 255, { make: 'awkward', nullEvery: 20 }),
    field('Description', 'textarea', { length: 32_000, make: 'prose', nullEvery: 2 }),
    choice('Status', ['New', 'Working', 'Escalated', 'Closed'], REQUIRED),
    choice('Priority', ['High', 'Medium', 'Low']),
    choice('Origin', ['Phone', 'Email', 'Web']),
    field('SuppliedEmail', 'email', { length: 80, make: 'email', nullEvery: 3 }),
    field('ClosedDate', 'datetime', { nullEvery: 2, createable: false, updateable: false }),
  ],
  'Case',
);

const task = ordinary('Task', '00T', [
  link('WhoId', ['Contact', 'Lead'], { nullEvery: 4 }),
  link('WhatId', ['Account', 'Opportunity'], { nullEvery: 4 }),
  text('Subject', 255, { make: 'awkward', nullEvery: 0 }),
  field('ActivityDate', 'date'),
  choice('Status', ['Not Started', 'In Progress', 'Completed'], REQUIRED),
  choice('Priority', ['High', 'Normal', 'Low'], REQUIRED),
  field('Description', 'textarea', { length: 32_000, make: 'prose', nullEvery: 2 }),
]);

const user = ordinary('User', '005', [
  text('Username', 80, { ...REQUIRED, make: 'username' }),
  ...personName(50),
  field('Email', 'email', { length: 128, ...REQUIRED, make: 'email' }),
  flag('IsActive'),
  choice('TimeZoneSidKey', ['Europe/Berlin', 'America/New_York', 'Asia/Tokyo'], REQUIRED),
]);

const subscription = ordinary('Subscription__c', 'a00', [
  text('Name', 80, { ...REQUIRED, make: 'leadingZeros' }),
  link('Contact__c', ['Contact'], REQUIRED),
  choice('Plan__c', ['Free', 'Team', 'Enterprise'], REQUIRED),
  amount('Monthly_Price__c', 'currency', 16, 2),
  amount('Seats__c', 'double', 6, 0),
  field('Starts__c', 'date', REQUIRED),
  field('Renews_At__c', 'datetime'),
  flag('Auto_Renew__c'),
  text('Note__c', 255, { make: 'awkward' }),
]);

/** The objects with ordinary data, and the share of the default total that each takes. User has no IsDeleted in Salesforce. */
export const STANDARD_OBJECTS: readonly { readonly spec: ObjectSpec; readonly share: number }[] = [
  { spec: contact, share: 0.55 },
  { spec: account, share: 0.15 },
  { spec: lead, share: 0.1 },
  { spec: opportunity, share: 0.08 },
  { spec: ticket, share: 0.08 },
  { spec: task, share: 0.02 },
  {
    spec: { ...user, fields: user.fields.filter((f) => f.name !== 'IsDeleted' && f.name !== 'OwnerId') },
    share: 0.005,
  },
  { spec: subscription, share: 0.015 },
];
