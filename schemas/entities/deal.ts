import { defineEntity } from './entity.ts';
import { amount, day, flag, measure, moment, reference, text } from './fields.ts';

export const deal = defineEntity({
  name: 'deal',
  description: 'A possible sale, with its stage and amount.',
  shape: 'profile',
  fields: {
    name: text('What the deal is called.'),
    stage: text('Stage in the pipeline.'),
    pipeline: text('Pipeline that the stage belongs to.'),
    amount: amount('Expected amount.'),
    currency: text('ISO 4217 code of the amount.'),
    probability: measure('Chance of winning, in percent.', { kind: 'inferred' }),
    closeDate: day('Expected or actual day of closing.'),
    closed: flag('Closed, won or lost.'),
    won: flag('Closed and won.'),
    type: text('New business, renewal …'),
    leadSource: text('How the deal was found.'),
    nextStep: text('What is planned next.'),
    account: reference('Account that buys.'),
    contact: reference('Main contact.'),
    owner: reference('Employee who is responsible.'),
    description: text('Free text.'),
    createdAt: moment('When the deal was opened.'),
  },
  identifiers: {},
  references: { account: 'account', contact: 'contact', owner: 'employee' },
});
