import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { add, contains, gapFreeEnd, normalize, overlaps } from '../../../rules/coverage.ts';
import { addMs, fromMs, ORIGIN } from '../../../rules/time.ts';
import {
  decideWindow,
  obsoleteWindows,
  type OpenWindow,
  sameOwner,
  windowUntil,
} from '../../../rules/windows.ts';
import type { Interval, Owner } from '../../../schemas/window.ts';

const EVERY_MS = 3_600_000;
const START_MS = Date.parse('2026-11-21T00:20:00.000Z');

interface Run {
  owner: Owner;
  closed: boolean;
  /** What the run, or the zombie of it, believes to hold. */
  holds: { id: string; attempt: number }[];
  ask: { until: string; past?: Interval };
}

/** One object's ledger with runs that come, die, come back and commit in any order. */
class Machine {
  nowMs = START_MS;
  coverage: Interval[] = [];
  windows = new Map<string, OpenWindow & { state: 'open' | 'staged' | 'abandoned' }>();
  runs: Run[] = [];
  committed: OpenWindow[] = [];
  refused = 0;
  inProgress = 0;

  get now(): string {
    return fromMs(this.nowMs);
  }
  get open(): OpenWindow[] {
    return [...this.windows.values()].filter((one) => one.state === 'open');
  }
  get closedOwners(): Owner[] {
    return this.runs.filter((run) => run.closed).map((run) => run.owner);
  }

  start(ask: Run['ask']): Run {
    const name = `r${this.runs.length}`;
    const run: Run = { owner: { workflowId: `sync/${name}`, runId: name }, closed: false, holds: [], ask };
    this.runs.push(run);
    this.plan(run);
    return run;
  }

  plan(run: Run): void {
    const state = { coverage: this.coverage, open: this.open };
    const request = { owner: run.owner, closedOwners: this.closedOwners, ...run.ask };
    const decision = decideWindow(state, request);
    const keep = decision.kind === 'resume' ? decision.window.id : null;
    for (const one of obsoleteWindows(state, this.closedOwners, this.now, keep)) {
      const stored = this.windows.get(one.id);
      if (stored !== undefined) stored.state = 'abandoned';
    }
    if (decision.kind === 'resume') {
      const window = this.windows.get(decision.window.id);
      expect(window?.state).toBe('open');
      if (window === undefined) return;
      // A live run's window is never taken from it.
      expect(
        sameOwner(window.owner, run.owner) || this.closedOwners.some((one) => sameOwner(one, window.owner)),
      ).toBe(true);
      Object.assign(window, { owner: run.owner, attempt: decision.attempt });
      run.holds.push({ id: window.id, attempt: decision.attempt });
    } else if (decision.kind === 'open') {
      const { from, until, windowKind } = decision;
      expect(from < until && until <= run.ask.until).toBe(true);
      const id = `w${this.windows.size}`;
      const window = { id, kind: windowKind, from, until, owner: run.owner, attempt: 1, createdAt: this.now };
      this.windows.set(id, { ...window, state: 'open' });
      run.holds.push({ id, attempt: 1 });
    } else if (decision.kind === 'in-progress') {
      this.inProgress += 1;
      // The owner named is a live one that holds an open window, and never the asker itself.
      expect(sameOwner(decision.owner, run.owner)).toBe(false);
      expect(this.closedOwners.some((one) => sameOwner(one, decision.owner))).toBe(false);
      expect(this.open.some((one) => sameOwner(one.owner, decision.owner))).toBe(true);
    } else if (decision.kind === 'current') {
      // Nothing is asked that is not covered.
      const asked = { from: ORIGIN, until: run.ask.until };
      expect(run.ask.past !== undefined || contains(this.coverage, asked)).toBe(true);
    }
  }

  /** Also called for zombies: the attempt decides, not whether the run lives. */
  commit(run: Run): void {
    const held = run.holds.pop();
    const window = held === undefined ? undefined : this.windows.get(held.id);
    if (held === undefined || window === undefined) return;
    if (held.attempt < window.attempt || window.state === 'abandoned') {
      this.refused += 1;
      return;
    }
    if (window.state === 'staged') return;
    window.state = 'staged';
    this.committed.push({ ...window });
    const before = gapFreeEnd(this.coverage) ?? '';
    this.coverage = add(this.coverage, window);
    expect((gapFreeEnd(this.coverage) ?? '') >= before).toBe(true);
    if (!run.closed && window.attempt > 1) this.plan(run);
  }

  check(): void {
    expect(this.coverage).toEqual(normalize(this.committed));
    const heads = [...this.committed, ...this.open].filter((one) => one.kind !== 'past');
    const distinct = new Map(heads.map((one) => [one.id, one]));
    for (const one of distinct.values()) {
      for (const two of distinct.values()) {
        // Apart from the look-back, no moment is read by two head windows.
        expect(one.id !== two.id && overlaps(one, two)).toBe(false);
      }
    }
  }

  /** Every run dies; then the schedule runs alone until it has nothing left to do. */
  settle(): void {
    for (const run of this.runs) run.closed = true;
    this.nowMs += 2 * EVERY_MS;
    const until = windowUntil({ scheduled: true, now: this.now, everyMs: EVERY_MS, visibleUntil: this.now });
    for (let rounds = 0; gapFreeEnd(this.coverage) !== until; rounds += 1) {
      expect(rounds).toBeLessThan(this.windows.size + 2);
      const run = this.start({ until });
      expect(run.holds).toHaveLength(1);
      this.commit(run);
      run.closed = true;
    }
    expect(this.coverage).toEqual([{ from: ORIGIN, until }]);
  }
}

type Step =
  | { do: 'schedule' | 'manual' }
  | { do: 'wait'; ms: number }
  | { do: 'backfill'; back: number; cells: number }
  | {
      do: 'crash' | 'retry' | 'commit' | 'zombie';
      run: number;
    };

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('schedule' as const, 'manual' as const) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2 * EVERY_MS }) }),
  fc.record({ do: fc.constant('backfill' as const), back: fc.nat(6), cells: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constantFrom('crash' as const, 'retry' as const, 'zombie' as const), run: fc.nat(3) }),
  fc.record({ do: fc.constant('commit' as const), run: fc.nat(5) }),
  fc.record({ do: fc.constant('commit' as const), run: fc.nat(2) }),
);

function apply(machine: Machine, step: Step): void {
  const until = (scheduled: boolean) =>
    windowUntil({
      scheduled,
      now: machine.now,
      everyMs: EVERY_MS,
      visibleUntil: addMs(machine.now, -60_000),
    });
  switch (step.do) {
    case 'wait':
      machine.nowMs += step.ms;
      return;
    case 'schedule':
    case 'manual':
      machine.start({ until: until(step.do === 'schedule') });
      return;
    case 'backfill': {
      const end = addMs(until(true), -step.back * EVERY_MS);
      machine.start({ until: until(true), past: { from: addMs(end, -step.cells * EVERY_MS), until: end } });
      return;
    }
    case 'crash':
    case 'retry':
    case 'commit':
    case 'zombie': {
      // Counted from the newest, so that steps meet the runs that matter.
      const run = machine.runs.at(-1 - step.run);
      if (run === undefined) return;
      if (step.do === 'crash') run.closed = true;
      else if (step.do === 'retry' && !run.closed) machine.plan(run);
      else if (step.do === 'commit' && !run.closed) machine.commit(run);
      else if (step.do === 'zombie' && run.closed) machine.commit(run);
    }
  }
}

test('any order of runs, triggers, backfills, crashes, retries and zombies leaves no gap and reads nothing twice', () => {
  let refused = 0;
  let inProgress = 0;
  fc.assert(
    fc.property(fc.array(steps, { minLength: 1, maxLength: 60, size: 'max' }), (list) => {
      const machine = new Machine();
      for (const step of list) {
        apply(machine, step);
        machine.check();
      }
      machine.settle();
      machine.check();
      refused += machine.refused;
      inProgress += machine.inProgress;
    }),
    { numRuns: 300 },
  );
  // The generator reaches the interesting answers.
  expect(refused).toBeGreaterThan(0);
  expect(inProgress).toBeGreaterThan(0);
});
