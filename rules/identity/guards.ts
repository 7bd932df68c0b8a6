import type { Identifier } from '../../schemas/observation.ts';

/** What keeps one bad value from making one person of many. */
export interface LinkGuards {
  /** Normalised values that identify nobody, beside those that `isBlocked` knows by itself. */
  blocked?: ReadonlySet<string>;
  /** An identifier of this kind that more records share links none of them. */
  recordsMax?: Readonly<Record<string, number>>;
  /** Other kinds. Default 10. */
  recordsMaxDefault?: number;
  /** A link that would make a larger profile is put up for review instead. Default 50. */
  clusterMax?: number;
}

export const RECORDS_MAX = 10;
export const CLUSTER_MAX = 50;

const PLACEHOLDERS = new Set([
  '',
  '-',
  '-1',
  'null',
  'none',
  'nil',
  'undefined',
  'unknown',
  'n/a',
  'na',
  'nan',
  'false',
  'true',
]);
/** 0000000, 000-0000, +00: typed to get past a form. */
const ALL_ZEROS = /^[\s+().-]*(?:0[\s+().-]*)+$/;

/** A value that stands for nothing; checked on the plain normalised value, before it is hashed. */
export function isBlocked({ value }: Identifier, guards: LinkGuards = {}): boolean {
  const text = value.trim().toLowerCase();
  return PLACEHOLDERS.has(text) || guards.blocked?.has(text) === true || ALL_ZEROS.test(text);
}

export function recordsMax(kind: string, { recordsMax: limits, recordsMaxDefault }: LinkGuards): number {
  const limit = limits && Object.hasOwn(limits, kind) ? limits[kind] : undefined;
  return limit ?? recordsMaxDefault ?? RECORDS_MAX;
}
