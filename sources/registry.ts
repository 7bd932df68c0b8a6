import { salesforce } from './salesforce/index.ts';

/** One line per system; its config type stays exact, so nobody casts. */
export const sources = {
  salesforce,
} as const;

export type SourceKind = keyof typeof sources;
