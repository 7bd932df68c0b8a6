/** The state file: a line of JSON per change, replayed at the next start. */
import { closeSync, existsSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import type { LinkChange } from './associations.ts';
import type { Header } from './options.ts';
import type { Store } from './store.ts';
import type { OverlayRow } from './table.ts';

export type JournalLine =
  | { readonly object: string; readonly row: OverlayRow }
  | { readonly link: LinkChange }
  | { readonly clock: number }
  | { readonly living: number };

const PENDING_TEXT_MAX = 1 << 16;

export interface JournalContent {
  readonly header: Header;
  readonly lines: readonly JournalLine[];
}

/** Reads a state file. A last line without its newline was cut off by a kill and is dropped. */
export function readJournal(path: string): JournalContent | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf(10) + 1;
  if (end === 0) return undefined;
  if (end < bytes.length) truncateSync(path, end);
  const [header = '', ...lines] = bytes
    .subarray(0, end - 1)
    .toString('utf8')
    .split('\n');
  const parsed: Header = JSON.parse(header);
  return { header: parsed, lines: lines.map((line): JournalLine => JSON.parse(line)) };
}

/** What search had not taken up yet it has taken up after a restart. */
export function replay(store: Store, lines: readonly JournalLine[]): void {
  for (const line of lines) {
    if ('row' in line) store.put(store.table(line.object), line.row, 0);
    else if ('link' in line) store.associations.apply(line.link);
    else if ('clock' in line) store.clock.offsetMs = line.clock;
    else store.livingSteps = line.living;
  }
}

export class Journal {
  private readonly file: number;
  private text = '';

  constructor(path: string, header: Header, isNew: boolean) {
    this.file = openSync(path, 'a', 0o600);
    if (isNew) writeSync(this.file, `${JSON.stringify(header)}\n`);
  }

  append(line: JournalLine): void {
    this.text += `${JSON.stringify(line)}\n`;
    if (this.text.length > PENDING_TEXT_MAX) this.flush();
  }

  /** Afterwards the lines outlive a kill of this process. */
  flush(): void {
    if (this.text !== '') writeSync(this.file, this.text);
    this.text = '';
  }

  close(): void {
    this.flush();
    closeSync(this.file);
  }
}
