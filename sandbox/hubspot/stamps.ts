/** Base stamps in milliseconds. They do not follow the ids: a row's place in time is a permutation of its index, computed both ways. */
export interface BaseStamps {
  readonly at: (index: number) => number;
  /** When the row was made: in the order of the ids, before any stamp. */
  readonly created: (index: number) => number;
  /** The row at a place in time; places run from 0 with stamps that do not decrease. */
  readonly rowAt: (place: number) => number;
  /** The first place whose stamp is not before this time; the number of rows when there is none. */
  readonly firstAtOrAfter: (ms: number) => number;
}

export interface StampPlan {
  readonly rows: number;
  /** Exclusive end of the base stamps, epoch milliseconds. */
  readonly until: number;
  readonly spanMs: number;
  /** So many rows that are neighbours in time share one stamp. */
  readonly ties: number;
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));

/** An odd step near the golden section that shares no divisor with the number of rows, so that it visits each once. */
function stepFor(rows: number): number {
  let step = Math.max(1, Math.floor(rows * 0.618));
  while (greatestDivisor(step, rows) !== 1) step++;
  return step;
}

function inverseOf(step: number, rows: number): number {
  let [a, b, x, y] = [step % rows, rows, 1, 0];
  while (b > 0) {
    const q = Math.floor(a / b);
    [a, b] = [b, a % b];
    [x, y] = [y, x - q * y];
  }
  return ((x % rows) + rows) % rows;
}

export function baseStamps(plan: StampPlan): BaseStamps {
  const { rows, spanMs, ties } = plan;
  const from = plan.until - spanMs;
  const groups = Math.max(1, Math.ceil(rows / ties));
  const step = rows > 1 ? stepFor(rows) : 1;
  const inverse = rows > 1 ? inverseOf(step, rows) : 1;
  const stampAt = (place: number): number => from + Math.floor((Math.floor(place / ties) * spanMs) / groups);
  return {
    rowAt: (place) => (place * step) % Math.max(1, rows),
    at: (index) => stampAt((index * inverse) % Math.max(1, rows)),
    created: (index) => from - spanMs + Math.floor((index * spanMs) / Math.max(1, rows)),
    firstAtOrAfter: (ms) => {
      let low = 0;
      let high = rows;
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        if (stampAt(middle) < ms) low = middle + 1;
        else high = middle;
      }
      return low;
    },
  };
}
