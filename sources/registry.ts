import { hubspot } from './hubspot/index.ts';
import { push } from './push/index.ts';
import { salesforce } from './salesforce/index.ts';
import type { SourceDefinition } from './source.ts';

/** One line per system; its config type stays exact, so nobody casts. */
export const sources = {
  hubspot,
  push,
  salesforce,
} as const;

export type SourceKind = keyof typeof sources;

/** The definition of a kind that a configuration names, undefined when there is none. */
export function sourceDefinition(kind: string): SourceDefinition | undefined {
  const known: Record<string, SourceDefinition> = sources;
  return Object.hasOwn(known, kind) ? known[kind] : undefined;
}
