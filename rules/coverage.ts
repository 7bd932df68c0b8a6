import type { Instant } from '../schemas/instant.ts';
import type { Interval } from '../schemas/window.ts';
import { earliest, latest, ORIGIN } from './time.ts';

/**
 * A set of moments as intervals: sorted, disjoint and never touching, so that equal sets are equal arrays.
 * Every function takes sets of this form and returns one; `normalize` makes one of any list.
 */
export type Coverage = readonly Interval[];

/** Empty and inverted intervals hold no moment and are left out. */
export function normalize(intervals: Iterable<Interval>): Interval[] {
  const sorted = [...intervals].filter((one) => one.from < one.until);
  sorted.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const merged: Interval[] = [];
  for (const { from, until } of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last.until) last.until = latest(last.until, until);
    else merged.push({ from, until });
  }
  return merged;
}

export function add(coverage: Coverage, interval: Interval): Interval[] {
  return normalize([...coverage, interval]);
}

export function union(first: Coverage, second: Coverage): Interval[] {
  return normalize([...first, ...second]);
}

export function intersect(first: Coverage, second: Coverage): Interval[] {
  const common: Interval[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const a = first[i];
    const b = second[j];
    if (a === undefined || b === undefined) return common;
    const from = latest(a.from, b.from);
    const until = earliest(a.until, b.until);
    if (from < until) common.push({ from, until });
    if (a.until <= b.until) i += 1;
    else j += 1;
  }
}

/** `asked` without `taken`: what is missing. */
export function subtract(asked: Coverage, taken: Coverage): Interval[] {
  const rest: Interval[] = [];
  for (const { from, until } of asked) {
    let start = from;
    for (const cut of taken) {
      if (cut.until <= start) continue;
      if (cut.from >= until) break;
      if (cut.from > start) rest.push({ from: start, until: cut.from });
      start = latest(start, cut.until);
    }
    if (start < until) rest.push({ from: start, until });
  }
  return rest;
}

/** True for an interval that holds no moment. */
export function contains(coverage: Coverage, interval: Interval): boolean {
  if (interval.from >= interval.until) return true;
  return coverage.some((one) => one.from <= interval.from && interval.until <= one.until);
}

export function overlaps(first: Interval, second: Interval): boolean {
  return latest(first.from, second.from) < earliest(first.until, second.until);
}

/** C: up to where everything since the beginning is covered; null before the first load. */
export function gapFreeEnd(coverage: Coverage): Instant | null {
  const first = coverage[0];
  return first !== undefined && first.from === ORIGIN ? first.until : null;
}

export interface SizedInterval extends Interval {
  /** Expected rows. */
  rows: number;
}

/**
 * Joins neighbours that touch while their rows together stay within `rowsMax`; an interval that is larger by itself is kept
 * whole. Takes disjoint intervals sorted by time.
 */
export function coalesce(intervals: readonly SizedInterval[], rowsMax: number): SizedInterval[] {
  const joined: SizedInterval[] = [];
  for (const one of intervals) {
    const last = joined.at(-1);
    if (last !== undefined && last.until === one.from && last.rows + one.rows <= rowsMax) {
      last.until = one.until;
      last.rows += one.rows;
    } else joined.push({ ...one });
  }
  return joined;
}
