import { parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/max';

/** Texts that people type where they know nothing; they never find anybody. */
const EMPTY_WORDS = /^(?:null|none|n\/?a|nil|undefined|unknown|test|-+|\.+|0+|-1|x+)$/i;
const PHONES_REMEMBERED_MAX = 20_000;

/** Lower case and NFKC. Dots and plus signs stay: only some providers ignore them. Null when it finds nobody. */
export function normaliseEmail(text: string): string | null {
  const email = text.normalize('NFKC').trim().toLowerCase();
  if (EMPTY_WORDS.test(email) || !/^[^\s@]+@[^\s@]+$/.test(email)) return null;
  return email;
}

/** Host name without `www.`, path and scheme, in lower case. */
export function normaliseDomain(text: string): string | null {
  const host = text
    .trim()
    .toLowerCase()
    .replace(/^[a-z]+:\/\//, '')
    .replace(/^www\./, '')
    .replace(/[/?#:].*$/, '');
  return /^[^\s.]+(?:\.[^\s.]+)+$/.test(host) ? host : null;
}

export type PhoneNormaliser = (text: string) => string | null;

/**
 * E.164, without the extension; null when the number is not valid in its region. Parsing costs some 20 µs, so the last
 * answers are remembered (bounded).
 */
export function phoneNormaliser(region: CountryCode): PhoneNormaliser {
  const known = new Map<string, string | null>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const parsed = parsePhoneNumberFromString(text, region);
    const e164 = parsed?.isValid() === true && !repeated(parsed.nationalNumber) ? parsed.number : null;
    if (known.size >= PHONES_REMEMBERED_MAX) known.clear();
    known.set(text, e164);
    return e164;
  };
}

/** 5555555555 is what people type to get past a form. */
function repeated(digits: string): boolean {
  return /^(\d)\1+$/.test(digits);
}
