import type { ProfileEvent } from '../schemas/event.ts';
import type { ClaimValue, RecordRef } from '../schemas/observation.ts';
import type { ConsideredClaim, GoldenField, GoldenProfile } from '../schemas/profile.ts';
import type { Column } from './output.ts';

const VALUE_CHARACTERS_MAX = 40;

export function refText({ source, object, record }: RecordRef): string {
  return `${source}:${object}:${record}`;
}

/** A value on one line; what is longer is cut. */
export function valueText(value: ClaimValue | undefined): string {
  if (value === undefined) return '–';
  if (value === null || value === '') return '(blank)';
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(/\s+/g, ' ');
  return text.length <= VALUE_CHARACTERS_MAX ? text : `${text.slice(0, VALUE_CHARACTERS_MAX - 1)}…`;
}

export const FIELD_COLUMNS: Column[] = [
  { title: 'field' },
  { title: 'value' },
  { title: 'from' },
  { title: 'since (UTC)' },
  { title: 'because' },
  { title: '' },
];

export function fieldRow([field, golden]: [string, GoldenField]): string[] {
  return [
    field,
    valueText(golden.value),
    golden.ref === null ? '–' : refText(golden.ref),
    when(golden.changedAt),
    golden.decidedBy,
    golden.contested ? 'contested' : '',
  ];
}

export const CLAIM_COLUMNS: Column[] = [
  { title: '' },
  { title: 'value' },
  { title: 'says' },
  { title: 'since (UTC)' },
  { title: 'why' },
];

const OUTCOME_WORDS: Record<ConsideredClaim['outcome'], string> = {
  won: '✓ holds',
  lost: '  lost',
  filtered: '  left out',
  blank: '  blank',
  retracted: '↶ taken back',
  deleted: '✗ deleted',
};

export function claimRow(claim: ConsideredClaim): string[] {
  return [
    OUTCOME_WORDS[claim.outcome],
    valueText(claim.value),
    refText(claim.ref),
    when(claim.changedAt),
    claim.why,
  ];
}

export const EVENT_COLUMNS: Column[] = [
  { title: 'seq', align: 'right' },
  { title: 'at (UTC)' },
  { title: 'what' },
  { title: 'record' },
  { title: 'source time' },
  { title: 'via' },
  { title: 'fields' },
];

const FIELDS_SHOWN_MAX = 4;

export function eventRow(event: ProfileEvent): string[] {
  return [
    String(event.seq),
    when(event.at),
    event.kind,
    event.ref === null ? '–' : refText(event.ref),
    event.stamp === null ? '–' : when(event.stamp),
    [event.via, event.actor].filter(Boolean).join(' · '),
    fieldsText(event),
  ];
}

function fieldsText({ fields, cause }: ProfileEvent): string {
  const entries = Object.entries(fields ?? {});
  const shown = entries.slice(0, FIELDS_SHOWN_MAX).map(([field, value]) => `${field} ${valueText(value)}`);
  const more = entries.length > shown.length ? [`and ${entries.length - shown.length} more`] : [];
  return [...shown, ...more, ...(cause === null ? [] : [`(${cause})`])].join(', ');
}

/** `2026-11-21 08:00:00` */
export function when(instant: string): string {
  return `${instant.slice(0, 10)} ${instant.slice(11, 19)}`;
}

/** The few values by which a person recognises a profile. */
export function nameOf({ fields }: GoldenProfile): string {
  const value = (field: string) => {
    const found = fields[field]?.value;
    return typeof found === 'string' ? found : '';
  };
  const person = `${value('firstName')} ${value('lastName')}`.trim();
  return [person || value('name') || value('subject') || value('number'), value('email') || value('domain')]
    .filter(Boolean)
    .join(' · ');
}
