import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';
import type { Trigger } from '../schemas/run.ts';

const CONNECTION = defineSearchAttributeKey('Connection', SearchAttributeType.KEYWORD);
const TRIGGER = defineSearchAttributeKey('Trigger', SearchAttributeType.KEYWORD);
const PHASE = defineSearchAttributeKey('Phase', SearchAttributeType.KEYWORD);

/** What a run carries from its first moment, so that it is found while it runs; it sets the rest itself. */
export function runAttributes(connection: string, trigger: Trigger): SearchAttributePair[] {
  return [
    { key: CONNECTION, value: connection },
    { key: TRIGGER, value: trigger },
    { key: PHASE, value: 'plan' },
  ];
}
