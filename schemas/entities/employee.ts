import { defineEntity } from './entity.ts';
import { email, flag, personal, phone, text } from './fields.ts';

export const employee = defineEntity({
  name: 'employee',
  description: 'Somebody of the company itself: owners of contacts, deals and tickets.',
  shape: 'profile',
  fields: {
    email: email('Work e-mail address.'),
    firstName: personal('Given name.'),
    lastName: personal('Family name.'),
    phone: phone('Work telephone number.', { classification: 'personal' }),
    jobTitle: text('Position.'),
    department: text('Department.'),
    active: flag('Works here now.'),
  },
  identifiers: { email: 'email' },
});
