/**
 * Which records of this account are the same customers as those of the Salesforce sandbox. Both are functions of one seed, so a twin's
 * Salesforce values can be read here without that sandbox running: they are its base values, before anybody edited them.
 */
import { STANDARD_OBJECTS } from '../salesforce/catalog.ts';
import { indexOfId } from '../salesforce/ids.ts';
import { makerOf, type Maker, type MakerContext } from '../salesforce/makers.ts';
import { mix, seedOf } from '../seeded.ts';
import type { Value } from './property.ts';

/** Of twenty contacts, this many are Salesforce Contacts and Leads; of twenty companies, this many are Accounts. */
const GROUP = 20;
const CONTACTS_IN_GROUP = 11;
const LEADS_IN_GROUP = 2;
const ACCOUNTS_IN_GROUP = 13;
const ACCOUNT_PREFIX = '001';

export type TwinObject = 'Contact' | 'Lead' | 'Account';
/** Undefined: this record has no twin. */
export type TwinReader = (index: number) => Value | undefined;

export interface PersonTwin {
  readonly object: 'Contact' | 'Lead';
  readonly index: number;
}

export class Twins {
  private readonly counts: Readonly<Record<TwinObject, number>>;
  private readonly seed: number;
  private readonly groupSeed: number;

  /** The seed and the row counts are those of the Salesforce sandbox. */
  constructor(seed: number, counts: Readonly<Record<TwinObject, number>>) {
    this.seed = seed;
    this.counts = counts;
    this.groupSeed = seedOf(seed, 'hubspot.twins');
  }

  person(index: number): PersonTwin | undefined {
    const group = Math.floor(index / GROUP);
    const slot = (index + (mix(this.groupSeed, group) % GROUP)) % GROUP;
    if (slot < CONTACTS_IN_GROUP)
      return index < this.counts.Contact ? { object: 'Contact', index } : undefined;
    const lead = group * LEADS_IN_GROUP + slot - CONTACTS_IN_GROUP;
    if (slot < CONTACTS_IN_GROUP + LEADS_IN_GROUP && lead < this.counts.Lead)
      return { object: 'Lead', index: lead };
    return undefined;
  }

  /** The Account behind a company; it has the same index. */
  account(index: number): number | undefined {
    const group = Math.floor(index / GROUP);
    const slot = (index + (mix(this.groupSeed ^ 0x5bd1, group) % GROUP)) % GROUP;
    return slot < ACCOUNTS_IN_GROUP && index < this.counts.Account ? index : undefined;
  }

  /** The contacts that may carry this number in their e-mail: its own, and those whose Lead has it. */
  *candidates(number: number): Generator<number> {
    yield number;
    const first = Math.floor(number / LEADS_IN_GROUP) * GROUP;
    for (let index = first; index < first + GROUP; index++) yield index;
  }

  /** Reads a field of a contact's twin, by its name on Contact and on Lead. */
  ofPerson(contactField: string, leadField = contactField): TwinReader {
    const contact = this.reader('Contact', contactField);
    const lead = this.reader('Lead', leadField);
    return (index) => {
      const twin = this.person(index);
      if (twin === undefined) return undefined;
      return twin.object === 'Contact' ? contact(twin.index) : lead(twin.index);
    };
  }

  ofAccount(field: string): TwinReader {
    const read = this.reader('Account', field);
    return (index) => {
      const twin = this.account(index);
      return twin === undefined ? undefined : read(twin);
    };
  }

  /** The index of the Account of a contact's twin, or undefined when it has none. */
  accountOfPerson(): (index: number) => number | undefined {
    const account = this.reader('Contact', 'AccountId');
    return (index) => {
      const twin = this.person(index);
      const id = twin?.object === 'Contact' ? account(twin.index) : null;
      return id === null ? undefined : indexOfId(ACCOUNT_PREFIX, id);
    };
  }

  private reader(object: TwinObject, field: string): Maker {
    const found = STANDARD_OBJECTS.find(({ spec }) => spec.name === object)?.spec;
    const spec = found?.fields.find((one) => one.name === field);
    if (found === undefined || spec === undefined) return () => null;
    const context: MakerContext = {
      seed: this.seed,
      object,
      prefix: found.prefix,
      // No field that is read here depends on the stamp.
      stamp: () => 0,
      prefixOf: (name) => (name === 'Account' ? ACCOUNT_PREFIX : undefined),
      countOf: (name) => (name === 'Account' ? this.counts.Account : 0),
    };
    return makerOf(context, spec);
  }
}
