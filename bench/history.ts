/** What Temporal adds to a run: its events, and the time that was not spent inside activities. */
import type { Client } from '@temporalio/client';

/** A run has at most so many children that are looked at. */
const CHILDREN_MAX = 1_000;

export interface Cost {
  /** Of the run alone, as the Temporal UI shows them. */
  events: number;
  /** Of its children together. */
  childEvents: number;
  /** Inside activities, children's too. */
  activityMs: number;
  activities: number;
}

interface Moment {
  seconds?: { toNumber(): number } | null;
  nanos?: number | null;
}

const msOf = (time: Moment | null | undefined): number =>
  (time?.seconds?.toNumber() ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6;

export async function costOf(client: Client, workflowId: string, runId?: string): Promise<Cost> {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const cost: Cost = { events: events?.length ?? 0, childEvents: 0, activityMs: 0, activities: 0 };
  const startedMs = new Map<string, number>();
  const children: { workflowId?: string | null; runId?: string | null }[] = [];
  for (const event of events ?? []) {
    const started = event.activityTaskStartedEventAttributes;
    const completed = event.activityTaskCompletedEventAttributes;
    const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
    if (started) startedMs.set(String(started.scheduledEventId), msOf(event.eventTime));
    if (completed) {
      cost.activities += 1;
      const since = startedMs.get(String(completed.scheduledEventId)) ?? msOf(event.eventTime);
      cost.activityMs += msOf(event.eventTime) - since;
    }
    if (child) children.push(child);
  }
  for (const child of children.slice(0, CHILDREN_MAX)) {
    const part = await costOf(client, child.workflowId ?? '', child.runId ?? undefined);
    cost.childEvents += part.events + part.childEvents;
    cost.activityMs += part.activityMs;
    cost.activities += part.activities;
  }
  return cost;
}
