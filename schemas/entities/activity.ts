import { defineEntity } from './entity.ts';
import { amount, moment, personal, reference, text } from './fields.ts';

export const activity = defineEntity({
  name: 'activity',
  description: 'Something that happened: a click, a purchase, a call. It is added once and never resolved.',
  shape: 'fact',
  fields: {
    type: text('click, page_view, purchase, call, email, meeting, note, task …'),
    subject: personal('What it was about.'),
    body: personal('What was said or written.'),
    happenedAt: moment('When it happened.'),
    contact: reference('Who did it.'),
    account: reference('Company of who did it.'),
    owner: reference('Employee who took part.'),
    product: reference('Product that it was about.'),
    channel: text('Where it happened.'),
    status: text('How far it is.'),
    amount: amount('What was paid.'),
    currency: text('ISO 4217 code of the amount.'),
  },
  identifiers: {},
  references: { contact: 'contact', account: 'account', owner: 'employee', product: 'product' },
});
