import { z } from 'zod';
import type { Classification, EntityField } from './entity.ts';

type Options = Partial<Pick<EntityField, 'classification' | 'kind' | 'freshness' | 'live' | 'normal'>>;

const TEXT_CHARACTERS_MAX = 32_000;
const DECIMAL = /^-?\d{1,28}(?:\.\d{1,38})?$/;
const DATE = /^\d{4}-\d\d-\d\d$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;
/** One @ with something around it: CRMs hold addresses that stricter patterns refuse and mail servers take. */
const EMAIL = /^[^\s@]+@[^\s@]+$/;

function field(
  column: EntityField['column'],
  value: z.ZodType,
  description: string,
  classification: Classification,
  options: Options,
): EntityField {
  return { value, column, classification, kind: 'explicit', description, ...options };
}

export const text = (description: string, options: Options = {}): EntityField =>
  field('string', z.string().max(TEXT_CHARACTERS_MAX), description, 'business', options);

export const personal = (description: string, options: Options = {}): EntityField =>
  text(description, { classification: 'personal', ...options });

/** Lower case, NFKC; no dots are folded, since only some providers ignore them. */
export const email = (description: string, options: Options = {}): EntityField =>
  field('string', z.string().max(320).regex(EMAIL, 'is not an e-mail address'), description, 'identifier', {
    normal: 'email',
    ...options,
  });

/** E.164 where the number is valid in its region, otherwise as the source wrote it. */
export const phone = (description: string, options: Options = {}): EntityField =>
  field('string', z.string().max(80), description, 'identifier', { normal: 'phone', ...options });

export const flag = (description: string, options: Options = {}): EntityField =>
  field('boolean', z.boolean('is not true or false'), description, 'business', options);

export const whole = (description: string, options: Options = {}): EntityField =>
  field('integer', z.number().int('is not a whole number'), description, 'business', options);

/** An exact decimal, as text. */
export const amount = (description: string, options: Options = {}): EntityField =>
  field('decimal', z.string().regex(DECIMAL, 'is not a decimal number'), description, 'business', options);

export const measure = (description: string, options: Options = {}): EntityField =>
  field('double', z.number('is not a number'), description, 'business', options);

export const day = (description: string, options: Options = {}): EntityField =>
  field('date', z.string().regex(DATE, 'is not a date such as 2026-11-21'), description, 'business', options);

export const moment = (description: string, options: Options = {}): EntityField =>
  field('timestamp', z.string().regex(INSTANT, 'is not a UTC time'), description, 'business', options);

export const list = (description: string, options: Options = {}): EntityField =>
  field('json', z.array(z.string()).max(1_000), description, 'business', options);

/** A record of another entity, written `source:object:record`. */
export const reference = (description: string, options: Options = {}): EntityField =>
  field('string', z.string(), description, 'business', options);
