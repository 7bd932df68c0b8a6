/** `seq` rises with every interval row of a sink; the ledger keeps a copy, so a rewound warehouse is noticed. */
export interface SinkState {
  epoch: string;
  seq: number;
}
