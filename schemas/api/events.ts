import { z } from 'zod';

const FIELDS_MAX = 200;

/** Id of an event of the stream: a position of the outbox. */
export const eventPositionSchema = z
  .string()
  .regex(/^\d{1,15}$/, 'is no id of an event')
  .transform(Number);

/** What `GET /v1/events` takes. */
export const eventsQuerySchema = z.strictObject({
  entity: z.string().min(1).max(100).optional().describe('Only profiles of this entity.'),
  profile: z.string().min(1).max(100).optional().describe('Only this profile, by its public id.'),
  fields: z
    .string()
    .min(1)
    .max(5_000)
    .transform((text) => text.split(','))
    .refine((names) => names.length <= FIELDS_MAX, 'has too many names')
    .optional()
    .describe('Names with commas between them: only changes of these, and only their values.'),
  after: eventPositionSchema
    .optional()
    .describe('As Last-Event-ID, for clients that cannot set headers: what came after this.'),
});
