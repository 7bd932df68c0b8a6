/** The sandbox's own time: real time plus an offset that tests may move. */
export interface Clock {
  now(): number;
  advance(ms: number): void;
  set(ms: number): void;
  readonly offsetMs: number;
}

export class OffsetClock implements Clock {
  offsetMs: number;
  private readonly base: () => number;

  constructor(base: () => number, offsetMs = 0) {
    this.base = base;
    this.offsetMs = offsetMs;
  }

  now(): number {
    return this.base() + this.offsetMs;
  }

  advance(ms: number): void {
    this.offsetMs += ms;
  }

  set(ms: number): void {
    this.offsetMs = ms - this.base();
  }
}

/** Salesforce keeps stamps in whole seconds. */
export const wholeSecond = (ms: number): number => Math.floor(ms / 1000) * 1000;
