/** What a measurement yields, and how it is printed: one line per figure with median, extremes, target and verdict. */

export interface Target {
  max?: number;
  min?: number;
}

export interface Figure {
  name: string;
  unit: 's' | 'ms' | 'MB' | '×' | 'events' | 'calls' | 'rows/s';
  /** One per repetition, in order. Empty when it could not be measured: `error` says why. */
  values: number[];
  target?: Target;
  note?: string;
  error?: string;
}

export interface Summary {
  median: number;
  min: number;
  max: number;
}

export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** The median decides; undefined for a figure without a target. A figure that has one but could not be measured fails. */
export function isMet({ values, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined;
  if (values.length === 0) return false;
  const { median } = summarize(values);
  return median <= (target.max ?? Number.POSITIVE_INFINITY) && median >= (target.min ?? 0);
}

function show(value: number, unit: Figure['unit']): string {
  if (unit === 's' || unit === '×') return value.toFixed(2);
  return Math.round(value).toLocaleString('en');
}

function showTarget({ target, unit }: Figure): string {
  if (target?.max !== undefined) return `≤ ${show(target.max, unit)}`;
  if (target?.min !== undefined) return `≥ ${show(target.min, unit)}`;
  return '';
}

/** By how much the median misses its target, as a share of the target. */
function verdict(figure: Figure): string {
  const met = isMet(figure);
  if (met === undefined) return figure.error === undefined ? '' : 'not run';
  if (met) return 'pass';
  if (figure.values.length === 0) return 'FAIL';
  const { median } = summarize(figure.values);
  const line = figure.target?.max ?? figure.target?.min ?? median;
  return `FAIL by ${Math.round((Math.abs(median - line) / line) * 100)} %`;
}

const HEADER = ['measurement', 'unit', 'median', 'min', 'max', 'target', 'result', 'note'];
const LEFT = new Set([0, 1, 6, 7]);

function cells(figure: Figure): string[] {
  const { name, unit, values, note = '', error } = figure;
  const numbers = values.length === 0 ? ['–', '–', '–'] : shown(summarize(values), unit);
  return [name, unit, ...numbers, showTarget(figure), verdict(figure), error ?? note];
}

const shown = ({ median, min, max }: Summary, unit: Figure['unit']): string[] =>
  [median, min, max].map((value) => show(value, unit));

/** A Markdown table that also reads well in a terminal. */
export function table(figures: readonly Figure[]): string {
  const rows = [HEADER, ...figures.map(cells)];
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string => {
    const padded = row.map((cell, column) =>
      LEFT.has(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, column) =>
    LEFT.has(column) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(HEADER), line(rule), ...rows.slice(1).map(line)].join('\n');
}
