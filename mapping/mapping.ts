import type { Entity } from '../schemas/entities/entity.ts';
import type { ClaimValue } from '../schemas/observation.ts';

/** A value of a source row: decimals, dates and instants as text, exact; null where the source holds nothing. */
export type SourceValue = string | number | boolean | null;

/**
 * Where a golden field comes from. A name: that source field, converted to the field's type. `make` gets the values of
 * `from` in that order; undefined makes no claim; `undo` gives these values back, and without it nothing can be written there. `values` translates a picklist; what it does not list stays as it is.
 * `refersTo`: the value is the id of a record of that object of the same source; a function tells the object from the id.
 */
export type FieldSource =
  | string
  | {
      from: readonly string[];
      make: (...values: SourceValue[]) => ClaimValue | undefined;
      undo?: (value: ClaimValue) => readonly SourceValue[];
    }
  | { from: string; values: Readonly<Record<string, ClaimValue>> }
  | { from: string; refersTo: string | ((id: string) => string) }
  | { constant: ClaimValue };

export interface Mapping {
  entity: Entity;
  fields: Readonly<Record<string, FieldSource>>;
  /** Field that names the record into which this one was merged (this one is then deleted). */
  mergedInto?: string;
  /** Field with the ids that this record was made of, separated by semicolons. */
  mergedFrom?: string;
  /** Confidence, 0–1, of fields that are inferred by this source although the entity calls them explicit. */
  inferred?: Readonly<Record<string, number>>;
  /** Tells apart two mappings of one object; '' for the main one. */
  part: string;
}

/** A mapping as it is written: fields are checked against the entity by the compiler. */
export interface MappingInput<E extends Entity> {
  fields: { readonly [Field in keyof E['fields'] & string]?: FieldSource };
  mergedInto?: string;
  mergedFrom?: string;
  inferred?: { readonly [Field in keyof E['fields'] & string]?: number };
  /** Needed when an object feeds two entities: `consent` beside the contact itself. */
  part?: string;
}

/** Says how a source object becomes records of an entity: `'salesforce.Contact': mapTo(contact, { fields: … })`. */
export function mapTo<E extends Entity>(entity: E, input: MappingInput<E>): Mapping {
  const { fields, inferred, part = '', ...merged } = input;
  return {
    entity,
    fields: present(fields),
    part,
    ...merged,
    ...(inferred === undefined ? {} : { inferred: present(inferred) }),
  };
}

function present<T>(entries: { readonly [key: string]: T | undefined }): Record<string, T> {
  return Object.fromEntries(
    Object.entries(entries).filter((entry): entry is [string, T] => entry[1] !== undefined),
  );
}
