import { defineEntity } from './entity.ts';
import { day, email, list, moment, personal, phone, reference, text, amount, whole } from './fields.ts';

const HOUR_MS = 3_600_000;
const DAILY = { warnAfterMs: 2 * HOUR_MS, errorAfterMs: 24 * HOUR_MS };

export const contact = defineEntity({
  name: 'contact',
  description: 'A person that the company knows: customer, lead or partner.',
  shape: 'profile',
  fields: {
    email: email('Main e-mail address.', { freshness: DAILY }),
    secondaryEmail: email('Another e-mail address.'),
    phone: phone('Main telephone number.', { freshness: DAILY }),
    mobilePhone: phone('Mobile telephone number.', { freshness: DAILY }),
    salutation: personal('How the person is addressed.'),
    firstName: personal('Given name.'),
    lastName: personal('Family name.'),
    jobTitle: personal('Position in the company.'),
    department: personal('Department in the company.'),
    company: text('Name of the company, as the person or a salesperson wrote it.'),
    account: reference('Account that the person belongs to.'),
    owner: reference('Employee who is responsible.'),
    street: personal('Street and house number of the main address.'),
    city: personal('City of the main address.'),
    state: personal('State or province of the main address.'),
    postalCode: personal('Postal code of the main address.'),
    country: personal('Country of the main address.'),
    birthday: day('Date of birth.', { classification: 'sensitive' }),
    language: personal('Language that the person prefers.'),
    website: text('Web site.'),
    lifecycleStage: text('Where the person stands: lead, customer …'),
    leadSource: text('How the person was found.'),
    interests: list('What the person is interested in.', { classification: 'personal' }),
    lifetimeValue: amount('What the person has bought so far.'),
    score: amount('How promising the person is, by a model.', { kind: 'inferred' }),
    visits: whole('Visits counted by the source.'),
    lastSeenAt: moment('When the person was last active.', { classification: 'personal' }),
    createdAt: moment('When the source first knew the person.'),
  },
  identifiers: { email: 'email', secondaryEmail: 'email', phone: 'phone', mobilePhone: 'phone' },
  references: { account: 'account', owner: 'employee' },
});
