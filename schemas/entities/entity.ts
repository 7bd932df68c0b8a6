import type { z } from 'zod';

/** identifier: finds the subject. personal: about a person, masked without consent. sensitive: never leaves without a scope. */
export type Classification = 'identifier' | 'personal' | 'sensitive' | 'business';

export interface EntityField {
  /** The golden value's type; decimals are strings, instants UTC ISO strings. Never null here: null means unknown. */
  value: z.ZodType;
  /** Column type in the golden table. */
  column: 'string' | 'boolean' | 'integer' | 'decimal' | 'double' | 'date' | 'timestamp' | 'json';
  classification: Classification;
  /** Default explicitness of claims about it. */
  kind: 'explicit' | 'inferred';
  /** How old its last confirmation may be: 'warn' after, 'error' after, ms. */
  freshness?: { warnAfterMs: number; errorAfterMs: number };
  /** How values are written alike before they are compared; see mapping/normalise.ts. */
  normal?: 'email' | 'phone' | 'domain';
  /** Read live, never served older than its limit (balance, stock). */
  live?: boolean;
  /** One line for the documentation and the profile's JSON Schema. */
  description: string;
}

/** One shared schema; the mapping's target type, golden columns, JSON Schema and documentation page come from it. */
export interface Entity<Fields extends Record<string, EntityField> = Record<string, EntityField>> {
  name: string;
  description: string;
  /** Facts (clicks, purchases) are append-only: deduplicated by their id, never resolved. */
  shape: 'profile' | 'fact';
  fields: Fields;
  /** Fields that find the subject: field → identifier kind (email, phone, external). */
  identifiers: Partial<Record<keyof Fields & string, string>>;
  /** Fields that refer to another entity's record: field → entity. */
  references?: Partial<Record<keyof Fields & string, string>>;
}

export function defineEntity<Fields extends Record<string, EntityField>>(
  entity: Entity<Fields>,
): Entity<Fields> {
  return entity;
}
