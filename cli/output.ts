import { stripVTControlCharacters, styleText } from 'node:util';
import { ERRORS, HeadwaterError } from '../rules/errors.ts';

type Style = Parameters<typeof styleText>[0];

/** Progress on a terminal is drawn at most this often, ms. */
const REDRAW_MS_MIN = 80;

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

export interface OutputStreams {
  stdout: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  environment: NodeJS.ProcessEnv;
}

/** Answers go to stdout; progress, notes and errors to stderr, so that an answer can be piped. */
export interface Output {
  line(text?: string): void;
  note(text: string): void;
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void;
  /** One JSON document on one line. */
  json(value: unknown): void;
  error(error: unknown): void;
  /** Lines that are drawn over each other on a terminal; elsewhere only what changed is told, once. */
  progress(lines: readonly string[]): void;
  endProgress(): void;
  style(style: Style, text: string): string;
}

export function createOutput(streams: OutputStreams): Output {
  const { stdout, stderr, environment } = streams;
  const coloured = stdout.isTTY === true && !environment['NO_COLOR'];
  const live = stderr.isTTY === true && environment['TERM'] !== 'dumb';
  const drawing = { lines: 0, at: 0 };
  const style = (how: Style, text: string) =>
    coloured ? styleText(how, text, { validateStream: false }) : text;
  const erase = () => {
    if (drawing.lines > 0) stderr.write(`\u001B[${drawing.lines}A\u001B[J`);
    drawing.lines = 0;
  };
  return {
    style,
    line: (text = '') => void stdout.write(`${text}\n`),
    note: (text) => {
      erase();
      stderr.write(`${text}\n`);
    },
    json: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    table: (columns, rows) => {
      for (const text of tableLines(columns, rows, (title) => style('bold', title)))
        stdout.write(`${text}\n`);
    },
    error: (error) => {
      erase();
      for (const text of errorLines(error)) stderr.write(`${text}\n`);
    },
    progress: (lines) => {
      const now = Date.now();
      if (!live || now - drawing.at < REDRAW_MS_MIN) return;
      erase();
      const width = (stderr.columns ?? 80) - 1;
      const shown = lines.slice(0, 40);
      for (const text of shown) stderr.write(`${clip(text, width)}\n`);
      drawing.lines = shown.length;
      drawing.at = now;
    },
    endProgress: erase,
  };
}

/** Cells are padded by what is seen, colours not counted; two spaces between columns, none at the end. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  titled: (title: string) => string = (title) => title,
): string[] {
  const widths = columns.map(({ title }, index) =>
    rows.reduce((width, row) => Math.max(width, widthOf(row[index] ?? '')), widthOf(title)),
  );
  const format = (cells: readonly string[]) =>
    columns
      .map(({ align = 'left' }, index) => {
        const cell = cells[index] ?? '';
        const padding = ' '.repeat(Math.max(0, (widths[index] ?? 0) - widthOf(cell)));
        return align === 'right' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd();
  return [format(columns.map(({ title }) => titled(title))), ...rows.map(format)];
}

/** `✗ CODE what. → remedy`, one line each; a configuration's mistakes are lines of their own. */
export function errorLines(error: unknown): string[] {
  if (!(error instanceof HeadwaterError)) {
    const message = error instanceof Error ? error.message : String(error);
    return [`✗ INTERNAL ${sentence(firstLine(message))} → ${ERRORS.INTERNAL.remedy}`];
  }
  const { lines } = error.details;
  if (Array.isArray(lines) && error.code === 'CONFIG_INVALID')
    return lines.map((line) => `✗ ${String(line)}`);
  return [errorLine(error.code, error.message, error.remedy)];
}

export function errorLine(code: string, message: string, remedy: string): string {
  return `✗ ${code} ${sentence(firstLine(message))}${remedy === '' ? '' : ` → ${remedy}`}`;
}

const SEGMENTER = new Intl.Segmenter('en', { granularity: 'grapheme' });

function graphemes(text: string): string[] {
  return Array.from(SEGMENTER.segment(stripVTControlCharacters(text)), ({ segment }) => segment);
}

function widthOf(text: string): number {
  return graphemes(text).length;
}

function clip(text: string, width: number): string {
  return widthOf(text) <= width
    ? text
    : `${graphemes(text)
        .slice(0, width - 1)
        .join('')}…`;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}
