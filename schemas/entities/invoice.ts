import { defineEntity } from './entity.ts';
import { amount, day, flag, moment, reference, text } from './fields.ts';

export const invoice = defineEntity({
  name: 'invoice',
  description: 'What a customer owes, and what has been paid.',
  shape: 'profile',
  fields: {
    number: text('Number that the customer knows.', { classification: 'identifier' }),
    status: text('Draft, open, paid, overdue, void.'),
    total: amount('Sum with taxes.'),
    balance: amount('What is still to be paid.', { live: true }),
    currency: text('ISO 4217 code of the amounts.'),
    issuedOn: day('Day of the invoice.'),
    dueOn: day('Day by which it is to be paid.'),
    paid: flag('Nothing is left to pay.'),
    paidAt: moment('When it was paid.'),
    account: reference('Account that owes.'),
    contact: reference('Person who owes.'),
    order: reference('Order that it is for.'),
  },
  identifiers: { number: 'invoice-number' },
  references: { account: 'account', contact: 'contact', order: 'order' },
});
