import { defineEntity } from './entity.ts';
import { flag, moment, personal, reference, text } from './fields.ts';

export const ticket = defineEntity({
  name: 'ticket',
  description: 'A question or complaint of a customer.',
  shape: 'profile',
  fields: {
    number: text('Number that the customer knows.'),
    subject: personal('What it is about.'),
    description: personal('What the customer wrote.'),
    status: text('New, open, waiting, closed …'),
    priority: text('How urgent it is.'),
    category: text('Kind of request.'),
    channel: text('How it came in.'),
    closed: flag('No more work is open.'),
    contact: reference('Who asked.'),
    account: reference('Company of who asked.'),
    owner: reference('Employee who is responsible.'),
    openedAt: moment('When it was opened.'),
    closedAt: moment('When it was closed.'),
  },
  identifiers: {},
  references: { contact: 'contact', account: 'account', owner: 'employee' },
});
