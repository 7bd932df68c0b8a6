/** Seeded variety, and the texts of numbers and times: what the generators of both sandboxes are made of. */
const DAY_MS = 86_400_000;

/** A 32-bit mix of a seed and an index; the only source of variety in the data. */
export function mix(seed: number, index: number): number {
  let h = Math.imul(seed ^ Math.imul(index + 1, 0x9e3779b1), 0x85ebca77);
  h ^= h >>> 15;
  h = Math.imul(h, 0xc2b2ae3d);
  h ^= h >>> 13;
  h = Math.imul(h, 0x27d4eb2f);
  return (h ^ (h >>> 16)) >>> 0;
}

export function seedOf(seed: number, name: string): number {
  let h = 0x811c9dc5 ^ seed;
  for (let n = 0; n < name.length; n++) h = Math.imul(h ^ name.charCodeAt(n), 0x01000193);
  return h | 0;
}

export function pick<T>(list: readonly T[], h: number): T {
  return list[h % list.length]!;
}

/** Fixed-point text in Salesforce's manner: no trailing zeros, but always one decimal when the scale is not zero. */
export function decimalText(units: number, scale: number): string {
  if (scale === 0) return String(units);
  const digits = String(units).padStart(scale + 1, '0');
  let end = digits.length;
  while (end > digits.length - scale + 1 && digits.charCodeAt(end - 1) === 48) end--;
  return `${digits.slice(0, digits.length - scale)}.${digits.slice(digits.length - scale, end)}`;
}

const DAYS_KEPT_MAX = 100_000;
const dayTexts = new Map<number, string>();
const TWO_DIGITS = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));

/** YYYY-MM-DD of a day counted from 1970; kept, since rows share few days and formatting dominates large results. */
function textOfDay(day: number): string {
  let text = dayTexts.get(day);
  if (text === undefined) {
    text = new Date(day * DAY_MS).toISOString().slice(0, -14);
    if (dayTexts.size < DAYS_KEPT_MAX) dayTexts.set(day, text);
  }
  return text;
}

/** The same text as Date's toISOString, several times faster. */
export function instantText(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  const left = ms - day * DAY_MS;
  const seconds = Math.floor(left / 1000);
  const hours = TWO_DIGITS[Math.floor(seconds / 3600)]!;
  const minutes = TWO_DIGITS[Math.floor(seconds / 60) % 60]!;
  const millis = left % 1000;
  const fraction = millis === 0 ? '000' : String(millis).padStart(3, '0');
  return `${textOfDay(day)}T${hours}:${minutes}:${TWO_DIGITS[seconds % 60]!}.${fraction}Z`;
}

export const dayText = (ms: number): string => textOfDay(Math.floor(ms / DAY_MS));
