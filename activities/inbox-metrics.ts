// Part of inbox: what of the fast lane whoever watches the worker reads as gauges.
import { Context } from '@temporalio/activity';
import type { InboxState } from '../stores/inbox/inbox.ts';

/** Of one connection; there is no value of a record in any of them (I5). */
export interface LaneMetrics {
  note(state: Pick<InboxState, 'waiting' | 'parked' | 'oldestAt'>, nowMs: number): void;
  noteTrust(trust: { quiet: boolean; missed: number }): void;
}

/** Gauges of the worker's metrics endpoint; without one they go nowhere. */
export function laneMetrics(connection: string): LaneMetrics {
  const meter = Context.current().metricMeter.withTags({ connection });
  const waiting = meter.createGauge('headwater_events_waiting', 'int', '', 'Accepted, not landed yet');
  const parked = meter.createGauge('headwater_events_parked', 'int', '', 'Could not be dealt with');
  const oldest = meter.createGauge('headwater_events_oldest_seconds', 'float', 's', 'Age of the oldest');
  const quiet = meter.createGauge('headwater_webhooks_quiet', 'int', '', 'Polls stand in for webhooks');
  const missed = meter.createGauge('headwater_webhooks_missed', 'int', '', 'Found by a poll alone');
  return {
    note(state, nowMs) {
      waiting.set(state.waiting);
      parked.set(state.parked);
      oldest.set(state.oldestAt === null ? 0 : Math.max(0, nowMs - Date.parse(state.oldestAt)) / 1_000);
    },
    noteTrust(trust) {
      quiet.set(trust.quiet ? 1 : 0);
      missed.set(trust.missed);
    },
  };
}
