import { z } from 'zod';
import { apiChangeSchema, changeRequestSchema } from './change.ts';
import { batchSchema, profileQuerySchema, RELATED_MAX } from './request.ts';

/** What the tools of the MCP server take, beside what the profile API takes; answers are those of the API. */
const id = z.string().min(1).max(100);
const profile_id = id.describe('As find_customer answers it: p_ and 32 hexadecimal digits.');
const name = z.string().min(1).max(100);
const KINDS_MAX = 20;

export const readToolSchema = profileQuerySchema
  .extend({ fields: batchSchema.shape.fields.describe('Only these fields.') })
  .extend({ profile_id });

export const explainToolSchema = z.strictObject({
  profile_id,
  field: name.describe('Name of a field, as read_profile answers it.'),
});

export const relatedToolSchema = z.strictObject({
  profile_id,
  kinds: z
    .array(name)
    .min(1)
    .max(KINDS_MAX)
    .optional()
    .describe('Such as order, activity, deal, ticket. Default: all that can refer to this profile.'),
  limit: z.number().int().min(1).max(RELATED_MAX).optional().describe('Of each kind; default 20.'),
});

/** Never above the rules: `override` is for people. */
const changeShape = changeRequestSchema.omit({ override: true });

export const proposeToolSchema = changeShape.extend({
  profile_id,
  version: z
    .number()
    .int()
    .min(0)
    .optional()
    .describe('Of the profile as you read it: the change is refused if it has changed since.'),
  idempotency_key: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'is no key of 1 to 200 printable characters')
    .optional()
    .describe('The same key again is the same change, not a second one.'),
});
export type ProposeTool = z.output<typeof proposeToolSchema>;

export const proposalSchema = z.strictObject({
  needs_approval: z.boolean().describe('True: nothing was changed, a person has to do it.'),
  change: apiChangeSchema.optional().describe('What was asked for and how far it is: see change_state.'),
  approval: z
    .strictObject({
      why: z.array(z.string()).describe('What this key lacks.'),
      what: z.string().describe('What the person decides about.'),
      how: z.string(),
      request: z
        .strictObject({
          method: z.literal('PATCH'),
          path: z.string(),
          headers: z.record(z.string(), z.string()),
          body: changeShape,
        })
        .describe('Of the profile API; If-Match holds it to the version that was looked at.'),
      command: z.string().describe('The same for a shell in which HEADWATER_KEY is the key of that person.'),
    })
    .optional(),
});
export type Proposal = z.output<typeof proposalSchema>;

export const changeToolSchema = z.strictObject({
  change_id: id.describe('As propose_change answers it: ch_ and 32 hexadecimal digits.'),
});
