import type { EntityField } from '../schemas/entities/entity.ts';
import type { ClaimValue } from '../schemas/observation.ts';
import { normaliseDomain, normaliseEmail, type PhoneNormaliser } from './normalise.ts';

export type Convert = (value: ClaimValue) => ClaimValue;

/**
 * Brings a source's value into the form that the entity keeps, so that equal facts are equal values in every system. What it cannot
 * convert it returns unchanged: the entity's schema then says what is wrong with it.
 */
export function converter(field: EntityField, phone: PhoneNormaliser): Convert {
  if (field.normal === 'email') return onText((text) => normaliseEmail(text) ?? text);
  if (field.normal === 'phone') return onText((text) => phone(text) ?? text);
  if (field.normal === 'domain') return onText((text) => normaliseDomain(text) ?? text);
  return BY_COLUMN[field.column];
}

function onText(change: (text: string) => ClaimValue): Convert {
  return (value) => {
    if (typeof value !== 'string') return typeof value === 'number' ? change(String(value)) : value;
    const trimmed = value.trim();
    return trimmed === '' ? '' : change(trimmed);
  };
}

const BY_COLUMN: Record<EntityField['column'], Convert> = {
  string: (value) => (typeof value === 'number' || typeof value === 'boolean' ? String(value) : value),
  boolean: (value) => {
    if (value === 'true' || value === 1) return true;
    if (value === 'false' || value === 0) return false;
    return value === '' ? null : value;
  },
  integer: onNumber((value) => value),
  double: onNumber((value) => value),
  decimal: (value) => {
    if (value === '') return null;
    return decimalText(typeof value === 'number' ? String(value) : value);
  },
  date: (value) => (value === '' ? null : typeof value === 'string' ? value.slice(0, 10) : value),
  timestamp: (value) => (value === '' ? null : typeof value === 'string' ? utc(value) : value),
  json: (value) => {
    if (typeof value !== 'string') return value;
    // Multi-select values of CRMs are one text with semicolons; their order means nothing.
    return value === ''
      ? null
      : [...new Set(value.split(';').map((part) => part.trim()))].filter(Boolean).toSorted();
  },
};

function onNumber(change: (value: number) => number): Convert {
  return (value) => {
    if (typeof value === 'number') return change(value);
    if (value === '') return null;
    if (typeof value !== 'string' || !/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value)) return value;
    return change(Number(value));
  };
}

/** 12.50 and 12.5 are one number, so they are written alike. */
function decimalText(value: ClaimValue): ClaimValue {
  if (typeof value !== 'string') return value;
  const match = /^(-?)0*(\d+)(?:\.(\d*?)0*)?$/.exec(value.trim());
  if (match === null) return value;
  const [, sign = '', whole = '', fraction = ''] = match;
  const digits = fraction === '' ? whole : `${whole}.${fraction}`;
  return digits === '0' ? '0' : sign + digits;
}

/** `2026-11-21 08:00:00+00`, `2026-11-21T08:00:00.000+0000` and milliseconds since 1970 to `2026-11-21T08:00:00.000Z`. */
function utc(text: string): string {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return text;
  const ms = /^\d{12,14}$/.test(text) ? Number(text) : Date.parse(text.replace(/([+-]\d\d)$/, '$1:00'));
  return Number.isNaN(ms) ? text : new Date(ms).toISOString();
}
