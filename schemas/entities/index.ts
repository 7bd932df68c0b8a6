import { account } from './account.ts';
import { activity } from './activity.ts';
import { consent } from './consent.ts';
import { contact } from './contact.ts';
import { deal } from './deal.ts';
import { employee } from './employee.ts';
import type { Entity } from './entity.ts';
import { invoice } from './invoice.ts';
import { order, orderLine } from './order.ts';
import { product } from './product.ts';
import { ticket } from './ticket.ts';

export { account, activity, consent, contact, deal, employee, invoice, order, orderLine, product, ticket };

/** The shared schemas by name; a configuration adds its own beside them. */
export const entities: ReadonlyMap<string, Entity> = new Map(
  [account, activity, consent, contact, deal, employee, invoice, order, orderLine, product, ticket].map(
    (entity): [string, Entity] => [entity.name, entity],
  ),
);
