/** Where a configuration has its ledger, and its claims beside it; the address is a secret (I5). */
export type LedgerPlace =
  | { kind: 'sqlite'; path: string }
  | { kind: 'postgres'; url: string; schema: string };
