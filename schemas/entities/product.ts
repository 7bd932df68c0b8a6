import { defineEntity } from './entity.ts';
import { amount, flag, moment, text } from './fields.ts';

export const product = defineEntity({
  name: 'product',
  description: 'What the company sells, with what is in stock.',
  shape: 'profile',
  fields: {
    sku: text('Stock keeping unit.', { classification: 'identifier' }),
    name: text('Name of the product.'),
    description: text('Free text.'),
    family: text('Group of products.'),
    active: flag('Can be ordered.'),
    price: amount('List price of one.'),
    cost: amount('What one costs the company.', { classification: 'sensitive' }),
    currency: text('ISO 4217 code of the amounts.'),
    stockLevel: amount('How many can be delivered now.', { live: true }),
    reorderLevel: amount('Below this, more are ordered.'),
    stockAt: moment('When the stock was counted.'),
  },
  identifiers: { sku: 'sku' },
});
