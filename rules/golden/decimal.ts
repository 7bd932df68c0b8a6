/** An exact decimal: `units` / 10^`scale`. */
export interface Decimal {
  units: bigint;
  scale: number;
}

/** A leading zero makes it a postal code or an account number, not a quantity. */
const DECIMAL_TEXT = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
const NUMBER_TEXT = /^(-?\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/;
/** Longer texts are no quantities; also bounds the work. */
const DIGITS_MAX = 400;

/** Undefined when it is not a quantity. */
export function toDecimal(value: unknown): Decimal | undefined {
  if (typeof value === 'number') return ofNumber(value);
  if (typeof value !== 'string' || value.length > DIGITS_MAX || !DECIMAL_TEXT.test(value)) return undefined;
  const point = value.indexOf('.');
  if (point < 0) return { units: BigInt(value), scale: 0 };
  return {
    units: BigInt(value.slice(0, point) + value.slice(point + 1)),
    scale: value.length - point - 1,
  };
}

function ofNumber(value: number): Decimal | undefined {
  const [, whole, fraction = '', exponent = '0'] = NUMBER_TEXT.exec(String(value)) ?? [];
  if (whole === undefined) return undefined;
  const scale = fraction.length - Number(exponent);
  const units = BigInt(whole + fraction);
  return scale >= 0 ? { units, scale } : { units: units * 10n ** BigInt(-scale), scale: 0 };
}

export function compareDecimals(left: Decimal, right: Decimal): number {
  const scale = Math.max(left.scale, right.scale);
  const a = unitsAt(left, scale);
  const b = unitsAt(right, scale);
  return a < b ? -1 : a > b ? 1 : 0;
}

export function addDecimals(left: Decimal, right: Decimal): Decimal {
  const scale = Math.max(left.scale, right.scale);
  return { units: unitsAt(left, scale) + unitsAt(right, scale), scale };
}

/** With all digits of its scale: 10.50 stays 10.50. */
export function formatDecimal({ units, scale }: Decimal): string {
  if (scale === 0) return String(units);
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** One text for equal quantities: 10.50 and 10.5 are both 10.5. */
export function decimalKey({ units, scale }: Decimal): string {
  if (units === 0n) return '0';
  const text = formatDecimal({ units, scale });
  return scale === 0 ? text : text.replace(/\.?0+$/, '');
}

function unitsAt({ units, scale }: Decimal, wanted: number): bigint {
  return wanted === scale ? units : units * 10n ** BigInt(wanted - scale);
}
