import { z } from 'zod';

/** What the profile API takes. A mistake is answered with the path and what is expected there, never with the value (I5). */
export const IDS_MAX = 100;
export const RELATED_MAX = 100;
export const HISTORY_MAX = 500;
const FIELDS_MAX = 200;
const UNIT_S: Record<string, number> = { '': 1, s: 1, m: 60, h: 3_600, d: 86_400 };

const duration = z
  .string()
  .regex(/^\d{1,8}[smhd]?$/, 'is no age such as 30s, 5m or 2h')
  .transform((text) => {
    const [, number = '0', unit = ''] = /^(\d+)([smhd]?)$/.exec(text) ?? [];
    return Number(number) * (UNIT_S[unit] ?? 1) * 1_000;
  });

const names = z
  .string()
  .max(4_000)
  .transform((text) => text.split(',').filter((name) => name !== ''))
  .refine((list) => list.length > 0 && list.length <= FIELDS_MAX, 'is no list of names such as email,phone');

const wholeUpTo = (most: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/, 'is no whole number')
    .transform(Number)
    .refine((number) => number >= 1 && number <= most, `is not between 1 and ${most}`);

const moment = z.iso
  .datetime({ offset: true, error: 'is no time such as 2026-11-21T08:00:00Z' })
  .transform((text) => new Date(text).toISOString());

export const profileQuerySchema = z.strictObject({
  max_age: duration
    .optional()
    .describe('Values older than this are read from their source first: 30, 30s, 5m, 2h.'),
  as_of: moment.optional().describe('What was known at that moment, by the rules of then.'),
  fields: names.optional().describe('Only these fields, comma between them.'),
  require: z.literal('fresh', 'is not fresh').optional().describe('fresh: 503 rather than a stale value.'),
});
export type ProfileQuery = z.output<typeof profileQuerySchema>;

export const relatedQuerySchema = z.strictObject({
  kinds: names.optional().describe('Entities that refer to this profile. Default: all that can.'),
  limit: wholeUpTo(RELATED_MAX).optional().describe('Of each kind; default 20.'),
});
export type RelatedQuery = z.output<typeof relatedQuerySchema>;

export const historyQuerySchema = z.strictObject({
  field: z.string().min(1).max(100).optional(),
  limit: wholeUpTo(HISTORY_MAX).optional().describe('The newest so many; default 100.'),
});

const value = z.string().min(1).max(320);

export const lookupSchema = z
  .strictObject({
    entity: z.string().min(1).max(100).optional().describe('Default: all but consent.'),
    email: value.optional(),
    phone: value.optional().describe('With or without the country code of the configuration.'),
    domain: value.optional(),
    record: value.optional().describe('source:object:record, as in links.'),
    identifier: z
      .strictObject({ kind: z.string().min(1).max(100), value })
      .optional()
      .describe('Any other kind, such as order-number.'),
  })
  .refine(
    (given) =>
      Object.entries(given).filter(([name, one]) => name !== 'entity' && one !== undefined).length === 1,
    'needs exactly one of email, phone, domain, record, identifier',
  );
export type Lookup = z.output<typeof lookupSchema>;

export const batchSchema = z.strictObject({
  ids: z.array(z.string().min(1).max(100)).min(1).max(IDS_MAX),
  fields: z.array(z.string().min(1).max(100)).min(1).max(FIELDS_MAX).optional(),
});
