import type { GoldenField } from '../../schemas/profile.ts';
import { identical } from './canonical.ts';

/** One golden field before and after; null where the profile has no such field. */
export interface FieldChange {
  field: string;
  before: GoldenField | null;
  after: GoldenField | null;
}

type Fields = Readonly<Record<string, GoldenField>>;

/**
 * The fields whose value differs, in their order as text. Another winner with the same value is no change: nobody who reads the
 * profile would see one.
 */
export function diffGolden(before: Fields, after: Fields): FieldChange[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].toSorted().flatMap((field) => {
    const [left, right] = [at(before, field), at(after, field)];
    const same = left && right ? identical(left.value, right.value) : left === right;
    return same ? [] : [{ field, before: left, after: right }];
  });
}

function at(fields: Fields, field: string): GoldenField | null {
  return (Object.hasOwn(fields, field) ? fields[field] : undefined) ?? null;
}
