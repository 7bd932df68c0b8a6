import type { InboxEvent } from '../../schemas/inbox.ts';

/** Values for tests of any inbox, and of any process that writes to one. */
export const CRM = 'crm';

export const event = (id: string, more: Partial<InboxEvent> = {}): InboxEvent => ({
  id,
  object: 'Contact',
  record: `r-${id}`,
  kind: 'changed',
  values: { Email: `${id}@example.com` },
  at: '2026-11-21T08:00:00.000Z',
  ...more,
});
