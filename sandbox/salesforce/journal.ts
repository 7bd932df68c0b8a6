/** The state file: a line of JSON per change, replayed at the next start. Writes reach the kernel before a call returns. */
import { closeSync, existsSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import type { Change } from './store.ts';
import type { FieldSpec } from './fields.ts';
import type { OverlayRow } from './table.ts';

export interface JournalHeader {
  readonly sandbox: 1;
  readonly seed: number;
  readonly startedAt: number;
  readonly rows: Readonly<Record<string, number>>;
  readonly stampSpanMs: number;
  readonly stampTies: number;
}

export type JournalLine =
  | { readonly row: OverlayRow; readonly object: string; readonly settled?: number }
  | { readonly pending: number; readonly change: Change; readonly visibleAt: number }
  | { readonly schema: string; readonly fields: readonly FieldSpec[]; readonly hidden: readonly string[] }
  | { readonly object: string; readonly hiddenObject: boolean }
  | { readonly clock: number }
  | { readonly living: number };

const PENDING_TEXT_MAX = 1 << 20;

export interface JournalContent {
  readonly header: JournalHeader;
  readonly lines: readonly JournalLine[];
}

/** Reads a state file. A last line without its newline was cut off by a kill and is dropped. */
export function readJournal(path: string): JournalContent | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf(10) + 1;
  if (end === 0) return undefined;
  if (end < bytes.length) truncateSync(path, end);
  const [header, ...lines] = bytes
    .subarray(0, end - 1)
    .toString('utf8')
    .split('\n');
  const parsed: JournalHeader = JSON.parse(header!);
  return { header: parsed, lines: lines.map((line): JournalLine => JSON.parse(line)) };
}

export class Journal {
  private readonly file: number | undefined;
  private text = '';

  constructor(path: string | undefined, header: JournalHeader, isNew: boolean) {
    this.file = path === undefined ? undefined : openSync(path, 'a', 0o600);
    if (this.file !== undefined && isNew) writeSync(this.file, `${JSON.stringify(header)}\n`);
  }

  append(line: JournalLine): void {
    if (this.file === undefined) return;
    this.text += `${JSON.stringify(line)}\n`;
    if (this.text.length > PENDING_TEXT_MAX) this.flush();
  }

  flush(): void {
    if (this.file === undefined || this.text === '') return;
    writeSync(this.file, this.text);
    this.text = '';
  }

  close(): void {
    this.flush();
    if (this.file !== undefined) closeSync(this.file);
  }
}
