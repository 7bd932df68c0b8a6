/** Splits SOQL into tokens; a token knows its offset, since Salesforce's errors point at row and column. */
import { ApiError } from './api-error.ts';

export type TokenKind = 'word' | 'string' | 'number' | 'date' | 'datetime' | 'symbol' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** As written; for strings without the quotes and with the escapes still in place. */
  readonly text: string;
  readonly at: number;
}

const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ['datetime', /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+\- ]\d{2}:?\d{2})/y],
  ['date', /\d{4}-\d{2}-\d{2}(?![\dT])/y],
  ['number', /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w)/y],
  ['word', /[A-Za-z_][\w.]*(?::\d+)?/y],
  ['string', /'((?:[^'\\]|\\.)*)'/sy],
  ['symbol', /<=|>=|!=|<>|[<>=(),]/y],
];
const SPACE = /\s+/y;

export function queryError(
  code: string,
  query: string,
  at: number,
  length: number,
  reason: string,
): ApiError {
  const start = Math.max(0, at - 30);
  const shown = query.slice(start, at + 40).replaceAll('\n', ' ');
  const marker = `${' '.repeat(at - start)}${'^'.repeat(Math.max(1, Math.min(length, 40)))}`;
  const rows = query.slice(0, at).split('\n');
  const column = rows.at(-1)!.length + 1;
  return new ApiError(
    400,
    code,
    `\n${shown}\n${marker}\nERROR at Row:${rows.length}:Column:${column}\n${reason}`,
  );
}

export function tokensOf(query: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < query.length) {
    SPACE.lastIndex = at;
    if (SPACE.test(query)) {
      at = SPACE.lastIndex;
      continue;
    }
    const token = tokenAt(query, at);
    tokens.push(token.token);
    at = token.end;
  }
  tokens.push({ kind: 'end', text: '', at: query.length });
  return tokens;
}

function tokenAt(query: string, at: number): { token: Token; end: number } {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const match = pattern.exec(query);
    if (match !== null) return { token: { kind, text: match[1] ?? match[0], at }, end: pattern.lastIndex };
  }
  const bad = query.charAt(at);
  const reason = bad === "'" ? 'mismatched character: missing closing quote' : `unexpected token: '${bad}'`;
  throw queryError('MALFORMED_QUERY', query, at, 1, reason);
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  "'": "'",
  '"': '"',
  '\\': '\\',
  _: '_',
  '%': '%',
};

/** The value of a string literal. An unknown escape is an error, as in Salesforce. */
export function unescapeText(query: string, token: Token): string {
  return token.text.replaceAll(/\\(.)/gsu, (_all, escaped: string) => {
    const plain = ESCAPES[escaped];
    if (plain === undefined) {
      throw queryError('MALFORMED_QUERY', query, token.at, 1, `invalid escape sequence '\\${escaped}'`);
    }
    return plain;
  });
}

/** The pattern of a LIKE: % is any text, _ any character, letters match in either case. */
export function likePattern(token: Token): RegExp {
  let source = '';
  for (const [part] of token.text.matchAll(/\\.|[^\\]/gsu)) {
    if (part === '%') source += '.*';
    else if (part === '_') source += '.';
    else {
      const plain =
        part.length > 1 && part.startsWith('\\') ? (ESCAPES[part.slice(1)] ?? part.slice(1)) : part;
      source += plain.replaceAll(/[\\^$.*+?()[\]{}|/]/gu, String.raw`\$&`);
    }
  }
  return new RegExp(`^${source}$`, 'isu');
}
