import type { DrainReceipt } from '../schemas/inbox-run.ts';
import { countOf, formatCount, formatInstant } from './report.ts';

export const NOTHING_DRAINED: DrainReceipt = {
  ...{ events: 0, fetched: 0, profiles: 0, landed: 0, parked: 0, waiting: 0 },
  ...{ lastAt: null, held: null, poll: null },
};

/** Counts add up; what waits, and why, is as of the later one. */
export function addDrained(sum: DrainReceipt, more: DrainReceipt): DrainReceipt {
  return {
    ...more,
    events: sum.events + more.events,
    fetched: sum.fetched + more.fetched,
    profiles: sum.profiles + more.profiles,
    landed: sum.landed + more.landed,
    parked: sum.parked + more.parked,
  };
}

const POLL_TEXT = {
  quiet: 'No event has come for longer than `quietAfter`: the connection is polled until they come back.',
  missed: 'A poll found changes that no webhook had brought: the connection is polled until they come back.',
};

/** For the Temporal UI: what the fast lane of a connection did so far. */
export function inboxReport(connection: string, sum: DrainReceipt): string {
  const last = sum.lastAt === null ? 'no event has come yet' : `last event ${formatInstant(sum.lastAt)} UTC`;
  const lines = [
    `**${connection}**: pushed changes, ${last}`,
    '',
    '| events | records read | profiles changed | records landed | waiting | parked |',
    '|---:|---:|---:|---:|---:|---:|',
    `| ${[sum.events, sum.fetched, sum.profiles, sum.landed, sum.waiting, sum.parked].map(formatCount).join(' | ')} |`,
  ];
  if (sum.held !== null)
    lines.push('', `Nothing can be read from the source now: \`${sum.held}\`. Events wait; nothing is lost.`);
  if (sum.parked > 0)
    lines.push(
      '',
      `${countOf(sum.parked, 'event')} set aside: \`npx headwater inbox ${connection}\` says why, \`npx headwater inbox ${connection} retry\` tries again.`,
    );
  if (sum.poll !== null) lines.push('', POLL_TEXT[sum.poll]);
  return lines.join('\n');
}
