/** Generators of contacts and companies: mostly the customers of the Salesforce sandbox, as another department wrote them down. */
import { mix, pick, seedOf } from '../seeded.ts';
import * as words from '../words.ts';
import type { Maker, MakerFactory, Value } from './property.ts';

/** One row in so many, by a hash of its own. */
const once = (seed: number, name: string, every: number): ((index: number) => boolean) => {
  const own = seedOf(seed, name);
  return (index) => mix(own, index) % every === 0;
};

const ascii = (name: string): string => name.normalize('NFD').replaceAll(/[^A-Za-z]/g, '');

const ownFirst = (seed: number): Maker => {
  const own = seedOf(seed, 'contacts.first');
  return (i) => pick(words.FIRST_NAMES, mix(own, i));
};
const ownLast = (seed: number): Maker => {
  const own = seedOf(seed, 'contacts.last');
  return (i) => pick(words.LAST_NAMES, mix(own, i));
};

/** Where the twin has a value, `changed` of it; a twin's null and a record without twin get the account's own. */
function fromTwin(
  read: (index: number) => Value | undefined,
  own: Maker,
  changed: (value: string, index: number) => Value,
): Maker {
  return (i) => {
    const value = read(i);
    return value === undefined || value === null ? own(i) : changed(value, i);
  };
}

const plain = (name: string): string =>
  name
    .normalize('NFD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll('ø', 'o')
    .replaceAll('ß', 'ss')
    .replaceAll('ı', 'i');

export const firstName: MakerFactory = ({ seed, accountSeed, twins }) => {
  const folded = once(seed, 'folded', 6);
  const short = once(seed, 'short', 15);
  return fromTwin(twins.ofPerson('FirstName'), ownFirst(accountSeed), (value, i) => {
    if (short(i)) return `${value.charAt(0)}.`;
    return folded(i) ? plain(value) : value;
  });
};

export const lastName: MakerFactory = ({ seed, accountSeed, twins }) => {
  const upper = once(seed, 'upper', 20);
  const folded = once(seed, 'folded', 7);
  return fromTwin(twins.ofPerson('LastName'), ownLast(accountSeed), (value, i) => {
    if (upper(i)) return value.toUpperCase();
    return folded(i) ? plain(value) : value;
  });
};

const capitals = (mail: string): string => mail.replaceAll(/(^|[.@])[a-z]/g, (part) => part.toUpperCase());

/** The number in an e-mail leads back to its row: see Twins.candidates. */
export const email: MakerFactory = ({ seed, accountSeed, twins }) => {
  const first = ownFirst(accountSeed);
  const last = ownLast(accountSeed);
  const mixed = once(seed, 'case', 9);
  const upper = once(seed, 'upper', 40);
  const own: Maker = (i) => `${ascii(first(i) ?? '')}_${ascii(last(i) ?? '')}${i}@post.example`.toLowerCase();
  return fromTwin(twins.ofPerson('Email'), own, (value, i) => {
    if (upper(i)) return value.toUpperCase();
    return mixed(i) ? capitals(value) : value;
  });
};

const ownPhone = (seed: number): Maker => {
  const own = seedOf(seed, 'phone');
  return (i) => {
    const h = mix(own, i);
    if ((h & 1) === 0) return `+49 89 ${100_000 + (h % 899_999)}`;
    return `+1${200 + (h % 700)}555${String(1000 + ((h >>> 8) % 9000))}`;
  };
};

/** The same number as a sales department types it; one in eight is another number. */
function retyped(value: string, style: number): string {
  const digits = value.replaceAll(/\D/g, '').replace(/^00/, '');
  if (value.startsWith('00')) {
    return (style & 1) === 0
      ? `+${digits.slice(0, 2)} ${digits.slice(2, 4)} ${digits.slice(4)}`
      : `+${digits.slice(0, 2)} (0)${digits.slice(2, 4)}/${digits.slice(4)}`;
  }
  if (value.startsWith('+'))
    return (style & 1) === 0 ? `+${digits}` : `${digits.slice(1, 4)}.${digits.slice(4)}`;
  return (style & 1) === 0 ? `+1${digits}` : `${digits.slice(0, 3)}-${digits.slice(3, 6)}-${digits.slice(6)}`;
}

const phoneLike =
  (field: string, leadField: string): MakerFactory =>
  ({ seed, twins }) => {
    const own = ownPhone(seed);
    const other = once(seed, 'other', 8);
    const style = seedOf(seed, 'style');
    return fromTwin(twins.ofPerson(field, leadField), own, (value, i) =>
      other(i) ? own(i) : retyped(value, mix(style, i)),
    );
  };

export const phone = phoneLike('Phone', 'Phone');
export const mobilePhone = phoneLike('MobilePhone', 'MobilePhone');

export const jobTitle: MakerFactory = ({ seed, twins }) => {
  const OTHERS = [
    'Chief Executive Officer',
    'Sales Lead',
    'Software Engineer',
    'Procurement',
    'Owner',
    '',
  ] as const;
  const own: Maker = (i) => pick(OTHERS, mix(seed, i));
  const other = once(seed, 'other', 3);
  return fromTwin(twins.ofPerson('Title'), own, (value, i) =>
    other(i) ? own(i) : value.replaceAll(',', ''),
  );
};

const cityOf = (seed: number, i: number): (typeof words.CITIES)[number] => pick(words.CITIES, mix(seed, i));

/** One in five has moved: then the whole address is another one, so that its parts still belong together. */
const addressPart =
  (field: string, leadField: string, part: 0 | 1 | 2 | 3): MakerFactory =>
  ({ accountSeed, twins }) => {
    const own = seedOf(accountSeed, 'contacts.city');
    const moved = once(accountSeed, 'contacts.moved', 5);
    const make: Maker = (i) => cityOf(own, i)[part];
    return fromTwin(twins.ofPerson(field, leadField), make, (value, i) => (moved(i) ? make(i) : value));
  };

export const city = addressPart('MailingCity', 'City', 0);
export const state = addressPart('MailingState', 'State', 1);
export const country = addressPart('MailingCountry', 'Country', 2);
export const zip = addressPart('MailingPostalCode', 'PostalCode', 3);

export const street: MakerFactory = ({ seed, accountSeed, twins }) => {
  const moved = once(accountSeed, 'contacts.moved', 5);
  const own: Maker = (i) => `${pick(words.STREETS, mix(seed, i) >>> 9)} ${1 + (mix(seed, i) % 180)}`;
  const spelled = once(seed, 'spelled', 2);
  return fromTwin(twins.ofPerson('MailingStreet', 'Street'), own, (value, i) => {
    if (moved(i)) return own(i);
    const line = value.split('\n')[0]!;
    return spelled(i) ? line.replace(/ St$/, ' Street').replace(/straße$/, 'str.') : line;
  });
};

export const birthDate: MakerFactory = ({ seed, twins }) => {
  const read = twins.ofPerson('Birthdate', 'Birthdate');
  const wrong = once(seed, 'wrong', 9);
  return (i) => {
    const value = read(i) ?? null;
    if (value === null || !wrong(i)) return value;
    const [year = '', month = '', day = ''] = value.split('-');
    // Day and month changed places where that is a date too, as hand-typed dates do.
    return Number(day) <= 12 ? `${year}-${day}-${month}` : `${Number(year) + 1}-${month}-28`;
  };
};

/** Consent: four of five agree with Salesforce. */
export const emailOptOut: MakerFactory = ({ seed, twins }) => {
  const read = twins.ofPerson('HasOptedOutOfEmail', 'HasOptedOutOfEmail');
  const other = once(seed, 'other', 5);
  return (i) => {
    const value = read(i) ?? (mix(seed, i) % 7 === 0 ? 'true' : 'false');
    return other(i) ? (value === 'true' ? 'false' : 'true') : value;
  };
};

const ownCompany = (seed: number): Maker => {
  const own = seedOf(seed, 'companies.name');
  return (i) => {
    const h = mix(own, i);
    return `${pick(words.COMPANY_WORDS, h)} ${pick(['Labs', 'Logistics', 'Media', 'Works', 'Partners'], h >>> 8)}`;
  };
};

export const companyName: MakerFactory = ({ seed, accountSeed, twins }) => {
  const short = once(seed, 'short', 3);
  return fromTwin(twins.ofAccount('Name'), ownCompany(accountSeed), (value, i) =>
    short(i) ? value.replace(/,? (?:GmbH|Inc\.|Ltd|S\.A\.|AG|Oy|K\.K\.|LLC)$/, '') : value,
  );
};

/** The host of the Account's website: the key by which companies are matched. */
export const domain: MakerFactory = ({ accountSeed, twins }) => {
  const own = ownCompany(accountSeed);
  const make: Maker = (i) => `${(own(i) ?? '').toLowerCase().replaceAll(' ', '-')}-${i}.example`;
  return fromTwin(twins.ofAccount('Website'), make, (value) => value.replace(/^https:\/\/www\./, ''));
};

const accountPart =
  (field: string, part: 0 | 1 | 2 | 3): MakerFactory =>
  ({ accountSeed, twins }) => {
    const own = seedOf(accountSeed, 'companies.city');
    return fromTwin(
      twins.ofAccount(field),
      (i) => cityOf(own, i)[part],
      (value) => value,
    );
  };

export const companyCity = accountPart('BillingCity', 0);
export const companyCountry = accountPart('BillingCountry', 2);
export const companyZip = accountPart('BillingPostalCode', 3);

export const companyPhone: MakerFactory = ({ seed, twins }) => {
  const style = seedOf(seed, 'style');
  return fromTwin(twins.ofAccount('Phone'), ownPhone(seed), (value, i) => retyped(value, mix(style, i)));
};

export const employees: MakerFactory = ({ seed, twins }) =>
  fromTwin(
    twins.ofAccount('NumberOfEmployees'),
    (i) => String(mix(seed, i) % 9000),
    (value, i) => (mix(seed, i) % 4 === 0 ? String(Math.round(Number(value) * 1.1)) : value),
  );
