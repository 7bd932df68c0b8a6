/** Salesforce record ids: 3 characters of key prefix, 12 of number, 3 of checksum. Their ASCII order is the index order. */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const CHECKSUM = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';
const POD = 'Hw0';
const NUMBER_DIGITS = 9;
export const INDEX_MAX = 62 ** 5 - 1;

const PAIRS: { text: string; upper: number }[] = [];
for (let high = 0; high < 62; high++) {
  for (let low = 0; low < 62; low++) {
    PAIRS.push({
      text: DIGITS.charAt(high) + DIGITS.charAt(low),
      upper: upperBit(high) | (upperBit(low) << 1),
    });
  }
}

function upperBit(digit: number): number {
  return digit >= 10 && digit < 36 ? 1 : 0;
}

/** The three checksum characters of a 15-character id: bit n of a character says that letter n of its five is upper case. */
export function checksumOf(id15: string): string {
  let suffix = '';
  for (let chunk = 0; chunk < 3; chunk++) {
    let bits = 0;
    for (let n = 0; n < 5; n++) {
      const code = id15.charCodeAt(chunk * 5 + n);
      if (code >= 65 && code <= 90) bits |= 1 << n;
    }
    suffix += CHECKSUM.charAt(bits);
  }
  return suffix;
}

/** Makes the ids of one key prefix; indexes up to INDEX_MAX (about 916 million). */
export function idMaker(prefix: string): (index: number) => string {
  const head = `${prefix}${POD}0000`;
  const headSum = checksumOf(`${head}00000`).slice(0, 2);
  return (index) => {
    const low = PAIRS[index % 3844]!;
    const rest = Math.floor(index / 3844);
    const mid = PAIRS[rest % 3844]!;
    const top = Math.floor(rest / 3844);
    const bits = upperBit(top) | (mid.upper << 1) | (low.upper << 3);
    return head + DIGITS.charAt(top) + mid.text + low.text + headSum + CHECKSUM.charAt(bits);
  };
}

/** The index behind an id of this prefix (15 or 18 characters), or undefined when it is not one of ours. */
export function indexOfId(prefix: string, id: string): number | undefined {
  if (id.length !== 15 && id.length !== 18) return undefined;
  const id15 = id.slice(0, 15);
  if (!id15.startsWith(prefix + POD)) return undefined;
  if (id.length === 18 && checksumOf(id15) !== id.slice(15)) return undefined;
  let index = 0;
  for (let n = 15 - NUMBER_DIGITS; n < 15; n++) {
    const digit = DIGITS.indexOf(id15.charAt(n));
    if (digit < 0) return undefined;
    index = index * 62 + digit;
  }
  return index;
}

/** True for a string that has the form of an id, whatever its prefix; 18 characters need their checksum. */
export function isId(text: string): boolean {
  if (!/^[0-9A-Za-z]{15}(?:[A-Z0-5]{3})?$/.test(text)) return false;
  return text.length === 15 || checksumOf(text.slice(0, 15)) === text.slice(15);
}
