/** Parses the part of SOQL that extracts use into a tree; names are resolved later, against the object's fields. */
import type { ApiError } from './api-error.ts';
import { queryError, tokensOf, type Token } from './soql-tokens.ts';

export type Operator =
  | '='
  | '!='
  | '<'
  | '>'
  | '<='
  | '>='
  | 'LIKE'
  | 'IN'
  | 'NOT IN'
  | 'INCLUDES'
  | 'EXCLUDES';

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  | {
      readonly kind: 'test';
      readonly field: Token;
      readonly operator: Operator;
      readonly values: readonly Token[];
    };

export type Selected =
  | { readonly kind: 'field'; readonly token: Token }
  | { readonly kind: 'count' }
  | {
      readonly kind: 'aggregate';
      readonly operation: string;
      readonly token: Token;
      readonly alias: string | null;
    }
  | { readonly kind: 'fields'; readonly group: string }
  | { readonly kind: 'unsupported'; readonly what: 'subquery' | 'TYPEOF' };

export interface Ordering {
  readonly token: Token;
  readonly descending: boolean;
  readonly nullsLast: boolean;
}

export interface Query {
  readonly text: string;
  readonly selected: readonly Selected[];
  readonly from: Token;
  readonly where: Condition | null;
  readonly groupBy: readonly Token[];
  readonly orderBy: readonly Ordering[];
  readonly limit: number | null;
  readonly offset: number | null;
}

const AGGREGATES = new Set(['COUNT', 'COUNT_DISTINCT', 'MIN', 'MAX', 'SUM', 'AVG']);
const COMPARISONS: ReadonlyMap<string, Operator> = new Map([
  ['=', '='],
  ['!=', '!='],
  ['<>', '!='],
  ['<', '<'],
  ['>', '>'],
  ['<=', '<='],
  ['>=', '>='],
]);
const QUERY_CHARACTERS_MAX = 100_000;
const NESTING_MAX = 100;

export function parseQuery(text: string): Query {
  if (text.length > QUERY_CHARACTERS_MAX) {
    throw queryError(
      'QUERY_TOO_COMPLICATED',
      text.slice(0, 80),
      0,
      1,
      'SOQL statements cannot be longer than 100000 characters.',
    );
  }
  return new Parser(text).query();
}

class Parser {
  private readonly text: string;
  private readonly tokens: readonly Token[];
  private position = 0;
  private aliasNumber = 0;

  constructor(text: string) {
    this.text = text;
    this.tokens = tokensOf(text);
  }

  query(): Query {
    this.expectWord('SELECT');
    const selected = [this.selected()];
    while (this.takeSymbol(',')) selected.push(this.selected());
    this.expectWord('FROM');
    const from = this.name();
    if (this.peek().kind === 'word' && !this.atKeyword()) this.position++;
    const where = this.takeWord('WHERE') ? this.condition(0) : null;
    const groupBy = this.groupBy();
    const orderBy = this.orderBy();
    const limit = this.takeWord('LIMIT') ? this.count() : null;
    const offset = this.takeWord('OFFSET') ? this.count() : null;
    if (this.takeWord('ALL')) this.expectWord('ROWS');
    if (this.peek().kind !== 'end') throw this.unexpected();
    return { text: this.text, selected, from, where, groupBy, orderBy, limit, offset };
  }

  private atKeyword(): boolean {
    return /^(?:WHERE|GROUP|ORDER|LIMIT|OFFSET|ALL|USING|WITH|FOR|HAVING)$/i.test(this.peek().text);
  }

  private selected(): Selected {
    if (this.takeSymbol('(')) return this.skipSubquery();
    if (this.isWord('TYPEOF')) return this.skipTypeof();
    const token = this.name();
    if (!this.takeSymbol('(')) return { kind: 'field', token };
    const operation = token.text.toUpperCase();
    if (operation === 'COUNT' && this.takeSymbol(')')) return { kind: 'count' };
    const argument = this.name();
    this.expectSymbol(')');
    if (operation === 'FIELDS') return { kind: 'fields', group: argument.text.toUpperCase() };
    if (!AGGREGATES.has(operation)) throw this.unexpected(token);
    const alias = this.peek().kind === 'word' && !this.isWord('FROM') ? this.name().text : null;
    return { kind: 'aggregate', operation, token: argument, alias: alias ?? `expr${this.aliasNumber++}` };
  }

  private skipSubquery(): Selected {
    for (let depth = 1; depth > 0;) {
      const token = this.next();
      if (token.kind === 'end') throw this.unexpected(token);
      if (token.kind === 'symbol' && token.text === '(') depth++;
      if (token.kind === 'symbol' && token.text === ')') depth--;
    }
    return { kind: 'unsupported', what: 'subquery' };
  }

  private skipTypeof(): Selected {
    while (!this.takeWord('END')) {
      if (this.next().kind === 'end') throw this.unexpected();
    }
    return { kind: 'unsupported', what: 'TYPEOF' };
  }

  /** SOQL has no precedence between AND and OR: mixing them without parentheses is an error. */
  private condition(depth: number): Condition {
    if (depth > NESTING_MAX) throw this.unexpected();
    const parts = [this.term(depth)];
    const joiner = this.isWord('OR') ? 'OR' : 'AND';
    while (this.takeWord(joiner)) parts.push(this.term(depth));
    if (this.isWord('AND') || this.isWord('OR')) throw this.unexpected();
    if (parts.length === 1) return parts[0]!;
    return { kind: joiner === 'OR' ? 'or' : 'and', parts };
  }

  private term(depth: number): Condition {
    if (this.takeWord('NOT')) return { kind: 'not', part: this.term(depth + 1) };
    if (this.takeSymbol('(')) {
      const inner = this.condition(depth + 1);
      this.expectSymbol(')');
      return inner;
    }
    const field = this.name();
    const operator = this.operator();
    if (operator === 'IN' || operator === 'NOT IN' || operator === 'INCLUDES' || operator === 'EXCLUDES') {
      this.expectSymbol('(');
      const values = [this.literal()];
      while (this.takeSymbol(',')) values.push(this.literal());
      this.expectSymbol(')');
      return { kind: 'test', field, operator, values };
    }
    return { kind: 'test', field, operator, values: [this.literal()] };
  }

  private operator(): Operator {
    const token = this.next();
    const comparison = token.kind === 'symbol' ? COMPARISONS.get(token.text) : undefined;
    if (comparison !== undefined) return comparison;
    const word = token.text.toUpperCase();
    if (word === 'LIKE' || word === 'IN' || word === 'INCLUDES' || word === 'EXCLUDES') return word;
    if (word === 'NOT') {
      this.expectWord('IN');
      return 'NOT IN';
    }
    throw this.unexpected(token);
  }

  private literal(): Token {
    const token = this.next();
    if (token.kind === 'symbol' || token.kind === 'end') throw this.unexpected(token);
    return token;
  }

  private groupBy(): Token[] {
    if (!this.takeWord('GROUP')) return [];
    this.expectWord('BY');
    const names = [this.name()];
    while (this.takeSymbol(',')) names.push(this.name());
    return names;
  }

  private orderBy(): Ordering[] {
    if (!this.takeWord('ORDER')) return [];
    this.expectWord('BY');
    const orderings = [this.ordering()];
    while (this.takeSymbol(',')) orderings.push(this.ordering());
    return orderings;
  }

  private ordering(): Ordering {
    const token = this.name();
    const descending = this.takeWord('DESC');
    if (!descending) this.takeWord('ASC');
    let nullsLast = false;
    if (this.takeWord('NULLS')) {
      nullsLast = this.takeWord('LAST');
      if (!nullsLast) this.expectWord('FIRST');
    }
    return { token, descending, nullsLast };
  }

  private count(): number {
    const token = this.next();
    if (token.kind !== 'number' || !/^\d+$/.test(token.text)) throw this.unexpected(token);
    return Number(token.text);
  }

  private name(): Token {
    const token = this.next();
    if (token.kind !== 'word') throw this.unexpected(token);
    return token;
  }

  private peek(): Token {
    return this.tokens[this.position]!;
  }

  private next(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.position++;
    return token;
  }

  private isWord(word: string): boolean {
    const token = this.peek();
    return token.kind === 'word' && token.text.toUpperCase() === word;
  }

  private takeWord(word: string): boolean {
    const found = this.isWord(word);
    if (found) this.position++;
    return found;
  }

  private takeSymbol(symbol: string): boolean {
    const token = this.peek();
    const found = token.kind === 'symbol' && token.text === symbol;
    if (found) this.position++;
    return found;
  }

  private expectWord(word: string): void {
    if (!this.takeWord(word)) throw this.unexpected();
  }

  private expectSymbol(symbol: string): void {
    if (!this.takeSymbol(symbol)) throw this.unexpected();
  }

  private unexpected(token: Token = this.peek()): ApiError {
    const reason = token.kind === 'end' ? 'unexpected token: <EOF>' : `unexpected token: '${token.text}'`;
    return queryError('MALFORMED_QUERY', this.text, token.at, token.text.length, reason);
  }
}
