import type { Instant } from '../../schemas/instant.ts';

/** The order in which Salesforce sorts ids: by ASCII. */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const PREFIX_CHARS = 3;
const ID_CHARS = 15;

/** `parts - 1` ascending ids strictly between `least` and `greatest`, evenly spread as base-62 numbers; fewer if there is no room. */
export function idBoundaries(least: string, greatest: string, parts: number): string[] {
  const prefix = least.slice(0, PREFIX_CHARS);
  // Ids of several key prefixes share no number line.
  if (prefix !== greatest.slice(0, PREFIX_CHARS)) return [];
  const low = toNumber(least.slice(PREFIX_CHARS, ID_CHARS));
  const span = toNumber(greatest.slice(PREFIX_CHARS, ID_CHARS)) - low;
  const boundaries = new Set<string>();
  for (let n = 1; n < parts; n++) {
    const at = low + (span * BigInt(n)) / BigInt(parts);
    if (at > low) boundaries.add(prefix + toDigits(at, ID_CHARS - PREFIX_CHARS));
  }
  return [...boundaries];
}

/** `parts - 1` ascending instants between the two, evenly spread; fewer if there is no room. */
export function stampBoundaries(from: Instant, until: Instant, parts: number): Instant[] {
  const low = Date.parse(from);
  const span = Date.parse(until) - low;
  const boundaries = new Set<Instant>();
  for (let n = 1; n < parts; n++) {
    const at = low + Math.floor((span * n) / parts);
    if (at > low) boundaries.add(new Date(at).toISOString());
  }
  return [...boundaries];
}

function toNumber(digits: string): bigint {
  let value = 0n;
  for (const digit of digits) value = value * 62n + BigInt(Math.max(0, DIGITS.indexOf(digit)));
  return value;
}

function toDigits(value: bigint, length: number): string {
  let digits = '';
  for (let rest = value, n = 0; n < length; n++, rest /= 62n)
    digits = DIGITS.charAt(Number(rest % 62n)) + digits;
  return digits;
}
