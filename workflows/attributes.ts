// Typed search attributes: how operators find runs. Names stand in temporal-dev.yml too; never personal data.
import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';

export const CONNECTION = defineSearchAttributeKey('Connection', SearchAttributeType.KEYWORD);
export const CRM_OBJECT = defineSearchAttributeKey('CrmObject', SearchAttributeType.KEYWORD);
export const PHASE = defineSearchAttributeKey('Phase', SearchAttributeType.KEYWORD);
export const TRIGGER = defineSearchAttributeKey('Trigger', SearchAttributeType.KEYWORD);
export const DATA_INTERVAL_START = defineSearchAttributeKey(
  'DataIntervalStart',
  SearchAttributeType.DATETIME,
);
export const ROWS_LOADED = defineSearchAttributeKey('RowsLoaded', SearchAttributeType.INT);
export const OUTCOME = defineSearchAttributeKey('Outcome', SearchAttributeType.KEYWORD);

/** Set by Temporal itself on runs that a schedule starts; the nominal time is truncated to seconds. */
export const SCHEDULED_BY = defineSearchAttributeKey('TemporalScheduledById', SearchAttributeType.KEYWORD);
export const SCHEDULED_START = defineSearchAttributeKey(
  'TemporalScheduledStartTime',
  SearchAttributeType.DATETIME,
);

export type Attributes = SearchAttributePair[];
