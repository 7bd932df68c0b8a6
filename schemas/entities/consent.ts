import { defineEntity } from './entity.ts';
import { email, flag, list, moment, phone, reference, text } from './fields.ts';

export const consent = defineEntity({
  name: 'consent',
  description:
    'What a person allows and prefers. Where sources differ, the answer is no unless a rule says otherwise.',
  shape: 'profile',
  fields: {
    email: email('Address that it is about.'),
    phone: phone('Number that it is about.'),
    contact: reference('Person that it is about.'),
    emailMarketing: flag('May be written to by e-mail.'),
    phoneMarketing: flag('May be called.'),
    smsMarketing: flag('May be sent text messages.'),
    profiling: flag('Behaviour may be analysed.'),
    sharing: flag('Data may be given to partners.'),
    topics: list('What the person wants to hear of.', { classification: 'personal' }),
    preferredChannel: text('How the person wants to be reached.'),
    legalBasis: text('Why the data may be processed.'),
    givenAt: moment('When the person said so.'),
  },
  identifiers: { email: 'email', phone: 'phone' },
  references: { contact: 'contact' },
});
