import { defineEntity } from './entity.ts';
import { amount, moment, phone, reference, text, whole } from './fields.ts';

export const account = defineEntity({
  name: 'account',
  description: 'A company or household that contacts belong to.',
  shape: 'profile',
  fields: {
    name: text('Name of the company.'),
    domain: text('Internet domain, without www.', { classification: 'identifier', normal: 'domain' }),
    accountNumber: text('Number of the customer in the ERP.', { classification: 'identifier' }),
    phone: phone('Main telephone number.', { classification: 'business' }),
    industry: text('Line of business.'),
    type: text('Customer, partner, prospect …'),
    employees: whole('Number of employees.'),
    annualRevenue: amount('Revenue of a year.'),
    currency: text('ISO 4217 code of the amounts.'),
    street: text('Street and house number.'),
    city: text('City.'),
    state: text('State or province.'),
    postalCode: text('Postal code.'),
    country: text('Country.'),
    parent: reference('Account above this one.'),
    owner: reference('Employee who is responsible.'),
    description: text('Free text.'),
    createdAt: moment('When the source first knew the company.'),
  },
  identifiers: { domain: 'domain', accountNumber: 'account-number' },
  references: { parent: 'account', owner: 'employee' },
});
