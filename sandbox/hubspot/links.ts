/** Base associations: each is a function from a row to at most one row of another type, so that none has to be kept. */
import { mix, seedOf } from '../seeded.ts';
import type { Twins } from './twins.ts';

export interface LinkSpec {
  readonly from: string;
  readonly to: string;
  /** HubSpot's ids of the unlabelled type in each direction. */
  readonly typeId: number;
  readonly backTypeId: number;
  /** The ids of the "Primary" label, where there is one. Every base link has it. */
  readonly primary: { readonly typeId: number; readonly backTypeId: number } | null;
  /** One row in so many has no link; 0 = none. */
  readonly noneEvery: number;
  readonly category: 'HUBSPOT_DEFINED' | 'USER_DEFINED';
}

function link(
  from: string,
  to: string,
  typeIds: readonly [number, number],
  noneEvery: number,
  primary: readonly [number, number] | null = null,
): LinkSpec {
  return {
    from,
    to,
    typeId: typeIds[0],
    backTypeId: typeIds[1],
    primary: primary === null ? null : { typeId: primary[0], backTypeId: primary[1] },
    noneEvery,
    category: from === 'memberships' ? 'USER_DEFINED' : 'HUBSPOT_DEFINED',
  };
}

/** The type ids are those of HubSpot's public list of association types. */
export const LINKS: readonly LinkSpec[] = [
  link('contacts', 'companies', [279, 280], 9, [1, 2]),
  link('deals', 'contacts', [3, 4], 12),
  link('deals', 'companies', [341, 342], 6, [5, 6]),
  link('deals', 'line_items', [19, 20], 3),
  link('tickets', 'contacts', [16, 15], 8),
  link('tickets', 'companies', [339, 340], 4, [26, 25]),
  link('orders', 'contacts', [507, 508], 5),
  link('calls', 'contacts', [194, 193], 7),
  link('emails', 'contacts', [198, 197], 7),
  link('meetings', 'contacts', [200, 199], 7),
  link('notes', 'contacts', [202, 201], 7),
  link('notes', 'deals', [214, 213], 2),
  link('tasks', 'contacts', [204, 203], 7),
  link('memberships', 'contacts', [41, 42], 0),
];

/** A label that the account made itself: an association may carry it besides its plain type. */
export const USER_LABELS: readonly {
  readonly from: string;
  readonly to: string;
  readonly typeId: number;
  readonly label: string;
  readonly backTypeId: number;
}[] = [{ from: 'contacts', to: 'companies', typeId: 36, label: 'Decision maker', backTypeId: 37 }];

export interface LinkContext {
  readonly seed: number;
  readonly countOf: (object: string) => number;
  readonly twins: Twins;
}

/** The base row that a base row links to, or -1. */
export function baseTarget(spec: LinkSpec, context: LinkContext): (index: number) => number {
  const seed = seedOf(context.seed, `link.${spec.from}.${spec.to}`);
  const noneSeed = seedOf(seed, 'none');
  const rows = context.countOf(spec.to);
  const any = (i: number): number => {
    if (rows === 0 || (spec.noneEvery > 0 && mix(noneSeed, i) % spec.noneEvery === 0)) return -1;
    return mix(seed, i) % rows;
  };
  if (spec.from !== 'contacts') return any;
  // A contact works for the company whose twin is the Account of the contact's own twin, where there is one.
  const accountOf = context.twins.accountOfPerson();
  return (i) => {
    const account = accountOf(i);
    if (account !== undefined && account < rows && context.twins.account(account) !== undefined)
      return account;
    return any(i);
  };
}
