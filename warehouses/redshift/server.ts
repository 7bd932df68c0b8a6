import type { Statements } from '../pg-session.ts';

/** Of what a user's statement gives; types as format_type() writes them. */
export interface Part {
  columns: { name: string; type: string }[];
  rows: unknown[][];
}

/** Statements of one transaction. */
export interface Access extends Pick<Statements, 'rows' | 'run'> {
  /** At most so many rows of a statement that a user wrote; at least one part, which may be empty. */
  select(sql: string, rowsMax: number): AsyncGenerator<Part, void, undefined>;
}

export interface Transaction {
  begin: 'BEGIN' | 'BEGIN READ ONLY';
  /** What holds in this transaction alone. */
  settings: Readonly<Record<string, string | number>>;
  /** Statements before the work, one after the other. */
  before: readonly string[];
  end: 'COMMIT' | 'ROLLBACK';
}

export interface Work<T> {
  work: (access: Access) => Promise<T>;
  signal?: AbortSignal | undefined;
  /** The session is given up afterwards: what a statement of a user did to it is gone. */
  last?: boolean | undefined;
}

/** How statements reach the database: connections of its own protocol, or requests to the Data API. Errors carry the server's five characters as `code`. */
export interface Server {
  /** One transaction; rolled back when `work` throws or the signal aborts. */
  transact<T>(transaction: Transaction, within: Work<T>): Promise<T>;
  /** Statements that cannot run in a transaction. */
  alone(statements: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** What every session speaks. */
export const SETTINGS = { timezone: 'UTC', datestyle: 'ISO, YMD', extra_float_digits: '2' } as const;

export const setSql = (name: string, value: string | number, scope = 'SET LOCAL'): string =>
  `${scope} ${name} TO ${typeof value === 'number' ? value : `'${value}'`}`;

/** For a session that nobody else uses. */
export const sessionSql = (): string[] =>
  Object.entries(SETTINGS).map(([name, value]) => setSql(name, value, 'SET'));
