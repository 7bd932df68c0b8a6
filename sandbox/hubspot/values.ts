/** Generators of ordinary values: each is a pure function of the property's seed and the row's index. */
import { dayText, decimalText, instantText, mix, pick } from '../seeded.ts';
import * as words from '../words.ts';
import type { MakerFactory } from './property.ts';

const DAY_MS = 86_400_000;

export const oneOf =
  (values: readonly string[]): MakerFactory =>
  ({ seed }) =>
  (i) =>
    pick(values, mix(seed, i));

export const severalOf =
  (values: readonly string[]): MakerFactory =>
  ({ seed }) =>
  (i) => {
    const h = mix(seed, i);
    return values.filter((_, n) => n === h % values.length || ((h >>> (8 + n)) & 3) === 0).join(';');
  };

export const flag: MakerFactory =
  ({ seed }) =>
  (i) =>
    mix(seed, i) % 5 === 0 ? 'true' : 'false';

/** One row in 4,096 has more digits than a double can hold. */
export const money: MakerFactory =
  ({ seed }) =>
  (i) => {
    const h = mix(seed, i);
    if ((h & 4095) === 7) return `9007199254${h % 100_000}93.07`;
    return `${(h & 31) === 1 ? '-' : ''}${decimalText(h % 100_000_000, 2).replace(/\.0$/, '')}`;
  };

export const whole =
  (limit: number): MakerFactory =>
  ({ seed }) =>
  (i) =>
    String(mix(seed, i) % limit);

export const day: MakerFactory =
  ({ seed }) =>
  (i) =>
    dayText(Date.UTC(2024, 0, 1) + (mix(seed, i) % 1200) * DAY_MS);

export const instant: MakerFactory =
  ({ seed }) =>
  (i) =>
    instantText(Date.UTC(2024, 0, 1) + mix(seed, i) * 20 + (mix(seed, i) % 1000));

export const awkward: MakerFactory =
  ({ seed }) =>
  (i) => {
    const h = mix(seed, i);
    return (h & 7) === 0 ? pick(words.AWKWARD, h >>> 4) : pick(words.DEPARTMENTS, h >>> 4);
  };

export const prose: MakerFactory =
  ({ seed }) =>
  (i) => {
    const h = mix(seed, i);
    if ((h & 63) === 0) return pick(words.AWKWARD, h >>> 8);
    return `${pick(words.SENTENCES, h >>> 8)} ${pick(words.SENTENCES, h >>> 16)}`;
  };

export const html: MakerFactory = (context) => {
  const make = prose(context);
  return (i) => `<p>${make(i) ?? ''}</p>`;
};

export const code =
  (prefix: string): MakerFactory =>
  () =>
  (i) =>
    `${prefix}-${String(i).padStart(7, '0')}`;

export const leadingZeros: MakerFactory = () => (i) => String(i + 42).padStart(8, '0');

export const named =
  (what: string): MakerFactory =>
  ({ seed }) =>
  (i) =>
    `${pick(words.COMPANY_WORDS, mix(seed, i))} ${what} ${2020 + (i % 7)}`;

/** The owners are as many as OWNERS says; ids as HubSpot's, of eight digits. */
export const OWNERS = 12;
export const ownerIdOf = (n: number): string => String(41_629_779 + n * 1013);
export const owner: MakerFactory =
  ({ seed }) =>
  (i) =>
    ownerIdOf(mix(seed, i) % OWNERS);
